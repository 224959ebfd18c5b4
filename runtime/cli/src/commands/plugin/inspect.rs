//! `wasmill plugin inspect`.

use std::fmt::Write;

use clap::Args;
use serde_json::{Map, Value, json};
use wasmill_host::{Crossing, Encoding};

use super::locate::PluginArguments;
use crate::plugins::{Hosted, Needs, PluginInfo, PluginProblem, StageBounds};
use crate::spec::{LimitsSpec, OnFault, Written};

/// Displays a plugin's description, its imports, size and digest
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wasmill plugin inspect clean-pin\n  wasmill plugin inspect target/wasm32-wasip2/plugin/clean_pin.wasm --json"
)]
pub struct Inspect {
    #[command(flatten)]
    arguments: PluginArguments,
    /// Prints it as one JSON object
    #[arg(long)]
    json: bool,
}

impl Inspect {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        let plugin = match self.arguments.load() {
            Ok(plugin) => plugin,
            Err(status) => return status,
        };
        // Not every plugin can do without a configuration: then what it needs is left out.
        let bounds = StageBounds { limits: LimitsSpec::default(), on_fault: OnFault::Stop, max_faults: 0 };
        let config = Value::Object(Map::new());
        let transforms = plugin.plugin().transforms();
        let needs = if transforms { plugin.prepare(&config, &bounds) } else { plugin.prepare_aggregate(&config, &bounds) };
        if self.json {
            return crate::commands::print(&format!("{:#}\n", as_json(&plugin, needs.ok().as_ref())));
        }
        crate::commands::print(&as_text(&plugin, &needs))
    }
}

fn as_json(plugin: &Hosted, needs: Option<&Needs>) -> Value {
    let (inner, description) = (plugin.plugin(), plugin.plugin().description());
    let column = |(field, crosses): (&std::sync::Arc<arrow_schema::Field>, &Crossing)| {
        let mut column = json!({
            "name": field.name(),
            "type": Written(field.data_type()).to_string(),
            "nullable": field.is_nullable(),
            "crosses": *crosses != Crossing::Nothing,
        });
        if let Crossing::BeginningWith(texts) = crosses {
            column["beginning_with"] = json!(texts);
        }
        column
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
            let _ = writeln!(text, "Needs, with an empty configuration (* crosses into the plugin, ~ its nulls and few of its texts do):");
            for (field, crosses) in needs.columns.fields().iter().zip(&needs.crosses) {
                let mark = match crosses {
                    Crossing::Nothing => " ",
                    Crossing::Values => "*",
                    _ => "~",
                };
                let nullable = if field.is_nullable() { "" } else { " not null" };
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
        Encoding::Columns => "columns",
    }
}
