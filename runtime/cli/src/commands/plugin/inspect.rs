//! `wasmill plugin inspect`.

use std::fmt::Write;

use clap::Args;
use serde_json::{Map, Value, json};
use wasmill_engine::Class;
use wasmill_host::Encoding;

use super::PluginArguments;
use crate::commands::checked::fail;
use crate::diagnostics::nearest;
use crate::document::Redactor;
use crate::exit;
use crate::plugins::{Hosted, Needs, PluginInfo, PluginProblem, StageBounds};
use crate::spec::{LimitsSpec, OnFault, PluginReference, Written};

/// Shows what a plugin says of itself, its imports, size and digest
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wasmill plugin inspect clean-pin\n  wasmill plugin inspect target/wasm32-wasip2/plugin/clean_pin.wasm --json")]
pub struct Inspect {
    #[command(flatten)]
    arguments: PluginArguments,
    /// Prints it as one JSON object
    #[arg(long)]
    json: bool,
}

impl Inspect {
    /// Runs it; gives the exit status.
    pub fn run(self) -> u8 {
        let reference = match self.arguments.plugin.parse::<PluginReference>() {
            Ok(reference) => reference,
            Err(message) => return failed(exit::CONFIGURATION, &message),
        };
        let catalog = match self.arguments.catalog() {
            Ok(catalog) => catalog,
            Err(error) => return fail(&error, &Redactor::default(), false),
        };
        let plugin = match catalog.load(&reference) {
            Ok(plugin) => plugin,
            Err(problem) => return failed(exit::status(class(&problem)), &in_words(&problem)),
        };
        // Not every plugin can do without a configuration: then what it needs is left out.
        let bounds = StageBounds { limits: LimitsSpec::default(), on_fault: OnFault::Stop, max_faults: 0 };
        let needs = plugin.prepare(&Value::Object(Map::new()), &bounds);
        if self.json {
            return crate::commands::print(&format!("{:#}\n", as_json(&plugin, needs.ok().as_ref())));
        }
        crate::commands::print(&as_text(&plugin, &needs))
    }
}

fn as_json(plugin: &Hosted, needs: Option<&Needs>) -> Value {
    let (inner, description) = (plugin.plugin(), plugin.plugin().description());
    let column = |(field, crosses): (&std::sync::Arc<arrow_schema::Field>, &bool)| {
        json!({"name": field.name(), "type": Written(field.data_type()).to_string(), "nullable": field.is_nullable(), "crosses": crosses})
    };
    let needs = needs.map(|needs| needs.columns.fields().iter().zip(&needs.crosses).map(column).collect::<Vec<_>>());
    json!({
        "name": description.name,
        "version": description.version,
        "path": plugin.path(),
        "digest": format!("sha256:{}", inner.digest()),
        "size_bytes": inner.size_bytes(),
        "encoding": encoding(description.encoding),
        "imports": inner.imports(),
        "exports": inner.exports(),
        "documentation": description.documentation,
        "config_schema": description.config_schema,
        "needs": needs,
    })
}

fn as_text(plugin: &Hosted, needs: &Result<Needs, PluginProblem>) -> String {
    let (inner, description) = (plugin.plugin(), plugin.plugin().description());
    let mut text = format!("{} {}\n", description.name, description.version);
    let size = bytesize::ByteSize(inner.size_bytes()).display().iec();
    // Writing to a String can't fail.
    let _ = writeln!(text, "  file      {} ({size})", plugin.path().display());
    let _ = writeln!(text, "  digest    sha256:{}", inner.digest());
    let _ = writeln!(text, "  encoding  {}", encoding(description.encoding));
    for (title, names) in [("exports", inner.exports()), ("imports", inner.imports())] {
        let _ = writeln!(text, "  {title}   {}", if names.is_empty() { "nothing".into() } else { names.join("\n            ") });
    }
    let _ = writeln!(text, "\n{}\n", description.documentation.trim());
    match needs {
        Ok(needs) => {
            let _ = writeln!(text, "Needs, with an empty configuration (* crosses into the plugin):");
            for (field, crosses) in needs.columns.fields().iter().zip(&needs.crosses) {
                let (mark, nullable) = (if *crosses { "*" } else { " " }, if field.is_nullable() { "" } else { " not null" });
                let _ = writeln!(text, "  {mark} {} {}{nullable}", field.name(), Written(field.data_type()));
            }
        }
        Err(problem) => {
            let _ = writeln!(text, "What it needs depends on its configuration: {problem}");
        }
    }
    config(&mut text, description.config_schema.as_ref());
    text
}

fn config(text: &mut String, schema: Option<&Value>) {
    let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
        let _ = writeln!(text, "\nTakes no configuration.");
        return;
    };
    let _ = writeln!(text, "\nConfiguration:");
    for (name, property) in properties {
        let description = property.get("description").and_then(Value::as_str).unwrap_or_default();
        let default = property.get("default").map_or(String::new(), |default| format!(" (default: {default})"));
        let _ = writeln!(text, "  {name}{default}");
        description.lines().filter(|line| !line.trim().is_empty()).for_each(|line| {
            let _ = writeln!(text, "      {}", line.trim());
        });
    }
}

fn encoding(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::ArrowIpc => "arrow-ipc",
        Encoding::JsonLines => "json-lines",
    }
}

fn class(problem: &PluginProblem) -> Class {
    match problem {
        PluginProblem::NotFound(_) | PluginProblem::Digest { .. } | PluginProblem::NotAPlugin { .. } => Class::Configuration,
        PluginProblem::Refused { .. } => Class::PluginRefusal,
        PluginProblem::Fault { .. } => Class::PluginFault,
        PluginProblem::Environment(_) => Class::Environment,
        PluginProblem::Bug(_) => Class::Bug,
    }
}

fn in_words(problem: &PluginProblem) -> String {
    let PluginProblem::NotFound(missing) = problem else { return problem.to_string() };
    let near = nearest(&missing.name, missing.available.iter().map(String::as_str));
    let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    let looked: String = missing.looked.iter().map(|path| format!("\n  {}", path.display())).collect();
    format!("{problem}{near}\nlooked for{looked}")
}

fn failed(status: u8, message: &str) -> u8 {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("error: {message}\n").as_bytes());
    status
}
