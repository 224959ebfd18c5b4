//! What a plugin reports about itself, checked, and its configuration, checked against its own
//! schema.

use jsonschema::Validator;
use serde_json::Value;
use wasmill_boundary::Encoding;
use wasmill_boundary::text::{printable, shown};

use crate::contract;
use crate::error::{ConfigError, Fault, FaultKind, Phase};
use crate::extra;

/// The longest configuration schema and documentation.
const MAX_SCHEMA_BYTES: usize = 1 << 20;
const MAX_DOCUMENTATION_BYTES: usize = 1 << 20;

/// The most mistakes that are reported of one configuration.
const MAX_CONFIG_ERRORS: usize = 100;

/// What a plugin reports about itself.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Description {
    /// The name that pipelines use, in kebab case.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// What it does, in Markdown; the first line is a summary.
    pub documentation: String,
    /// How tables and schemas cross.
    pub encoding: Encoding,
    /// The JSON Schema of its configuration; `None` if it takes none.
    pub config_schema: Option<Value>,
}

/// Checks what `describe` returned.
pub(crate) fn check(raw: contract::Description) -> Result<(Description, Option<Validator>), Fault> {
    let bad = |message: String| Fault::answer(Phase::Describe, message);
    extra::check(Phase::Describe, &raw.extra)?;
    if !is_kebab(&raw.name) {
        return Err(bad(format!("its name `{}` is not in kebab case, such as `clean-pin`", shown(&raw.name))));
    }
    if raw.version.is_empty() || raw.version.len() > 64 || raw.version.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(bad(format!("its version `{}` is none, such as `1.0.0`", shown(&raw.version))));
    }
    if raw.documentation.len() > MAX_DOCUMENTATION_BYTES || raw.config_schema.len() > MAX_SCHEMA_BYTES {
        return Err(bad("its documentation or config schema has more than 1 MiB".to_owned()));
    }
    let (config_schema, validator) = if raw.config_schema.is_empty() { (None, None) } else { schema(&raw.config_schema)? };
    let encoding = match raw.encoding {
        contract::Encoding::ArrowIpc => Encoding::ArrowIpc,
        contract::Encoding::Columns => Encoding::Columns,
    };
    Ok((Description { name: raw.name, version: raw.version, documentation: raw.documentation, encoding, config_schema }, validator))
}

fn schema(text: &str) -> Result<(Option<Value>, Option<Validator>), Fault> {
    let bad = |message: String| Fault::answer(Phase::Describe, message);
    let schema: Value = serde_json::from_str(text).map_err(|error| bad(format!("its config schema is no JSON: {error}")))?;
    let validator = jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .build(&schema)
        .map_err(|error| bad(format!("its config schema is no JSON Schema: {}", printable(&error.to_string(), 500))))?;
    Ok((Some(schema), Some(validator)))
}

/// Whether two results of `describe` are the same.
pub(crate) fn check_stable(first: &contract::Description, second: &contract::Description) -> Result<(), Fault> {
    let changed = [
        ("name", first.name != second.name),
        ("version", first.version != second.version),
        ("documentation", first.documentation != second.documentation),
        ("encoding", first.encoding != second.encoding),
        ("config schema", first.config_schema != second.config_schema),
        ("extra values", first.extra != second.extra),
    ];
    match changed.iter().find(|(_, changed)| *changed) {
        None => Ok(()),
        Some((what, _)) => {
            Err(Fault::new(Phase::Describe, FaultKind::Unstable, format!("it changed its mind: a second instance gives another {what}")))
        }
    }
}

/// All mistakes in a configuration.
pub(crate) fn config_errors(validator: Option<&Validator>, config: &Value) -> Vec<ConfigError> {
    match (validator, config) {
        (None, Value::Object(members)) if members.is_empty() => Vec::new(),
        (None, _) => vec![ConfigError { path: String::new(), message: "this plugin takes no configuration".to_owned() }],
        (Some(_), _) if !config.is_object() => {
            vec![ConfigError { path: String::new(), message: "the configuration has to be an object".to_owned() }]
        }
        (Some(validator), _) => validator
            .iter_errors(config)
            .take(MAX_CONFIG_ERRORS)
            .map(|error| ConfigError { path: error.instance_path().to_string(), message: printable(&error.to_string(), 500) })
            .collect(),
    }
}

/// Lower-case words joined by hyphens.
pub(crate) fn is_kebab(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.split('-').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
}

/// Lower-case words joined by underscores.
pub(crate) fn is_snake(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.split('_').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
}
