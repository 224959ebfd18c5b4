//! YAML as JSON values, for case files.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Number, Value};

/// Reads the documents of a YAML file.
pub(super) fn documents(text: &str) -> Result<Vec<Value>, String> {
    Yaml::load_from_str(text).map_err(|error| error.to_string())?.iter().map(value).collect()
}

fn value(node: &Yaml<'_>) -> Result<Value, String> {
    Ok(match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => Value::Bool(*value),
        Yaml::Value(Scalar::Integer(value)) => Value::from(*value),
        Yaml::Value(Scalar::FloatingPoint(value)) => {
            Number::from_f64(value.into_inner()).map(Value::Number).ok_or_else(|| format!("{value} is no number in JSON"))?
        }
        Yaml::Value(Scalar::String(value)) => Value::String(value.to_string()),
        Yaml::Sequence(items) => Value::Array(items.iter().map(value).collect::<Result<_, _>>()?),
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, item) in entries {
                let key = key.as_str().ok_or_else(|| format!("a key is not a text: {key:?}"))?;
                object.insert(key.to_owned(), value(item)?);
            }
            Value::Object(object)
        }
        other => return Err(format!("tags, aliases and malformed values have no place in a case file: {other:?}")),
    })
}
