//! The reference page of pipeline files, written from their JSON Schema.

use std::fmt::Write;

use serde_json::Value as Json;

const HEAD: &str = "<!-- Written by `wasmill schema --markdown` from the types in runtime/cli/src/spec. Do not edit. -->\n\n# Pipeline reference\n\n";

/// The page, in Markdown.
pub fn markdown(schema: &Json) -> String {
    let mut page = Page { schema, text: HEAD.to_owned() };
    page.prose(description(schema));
    page.fields("The pipeline", "pipeline", schema, 2);
    page.types();
    page.text.trim_end().to_owned() + "\n"
}

struct Page<'a> {
    schema: &'a Json,
    text: String,
}

/// The parts in the order of the page: title, definition, the path of keys that leads there.
const PARTS: [(&str, &str, &str); 6] = [
    ("A source", "SourceSpec", "sources.<name>"),
    ("A stage", "StageSpec", "stages.<name>"),
    ("Limits of a stage", "LimitsSpec", "stages.<name>.limits"),
    ("A sink", "SinkSpec", "sinks.<name>"),
    ("Dead letters", "DeadLettersSpec", "dead_letters"),
    ("Epochs", "EpochSpec", "epoch"),
];

impl Page<'_> {
    fn prose(&mut self, text: &str) {
        // Writing to a String can't fail.
        let _ = writeln!(self.text, "{text}\n");
    }

    fn fields(&mut self, title: &str, path: &str, schema: &Json, level: usize) {
        let _ = writeln!(self.text, "{} {title}\n", "#".repeat(level));
        if path != "pipeline" {
            let _ = writeln!(self.text, "`{path}`\n");
            self.prose(description(schema));
        }
        let required: Vec<&str> = schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
        for (name, property) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            let must = if required.contains(&name.as_str()) { " *(required)*" } else { "" };
            let (example, text) = example(description(property));
            let _ = writeln!(self.text, "{} `{name}`{must}\n", "#".repeat(level + 1));
            if let Some(example) = example {
                let _ = writeln!(self.text, "```yaml\n{example}\n```\n");
            }
            if !text.is_empty() {
                self.prose(text);
            }
            self.values(property);
        }
    }

    /// The values of an enumeration, each with what it means.
    fn values(&mut self, property: &Json) {
        let target = self.resolve(property);
        let values = target.get("oneOf").and_then(Json::as_array).into_iter().flatten();
        let lines: Vec<String> = values
            .filter_map(|value| Some(format!("- `{}`: {}", value.get("const")?.as_str()?, description(value))))
            .collect();
        if !lines.is_empty() {
            self.prose(&lines.join("\n"));
        }
    }

    fn resolve<'b>(&'b self, schema: &'b Json) -> &'b Json {
        let alternatives = schema.get("anyOf").and_then(Json::as_array);
        let schema = alternatives.and_then(|list| list.iter().find(|schema| schema.get("$ref").is_some())).unwrap_or(schema);
        let link = schema.get("$ref").and_then(Json::as_str).and_then(|link| link.strip_prefix('#'));
        link.and_then(|pointer| self.schema.pointer(pointer)).unwrap_or(schema)
    }

    fn types(&mut self) {
        for (title, definition, path) in PARTS {
            let Some(schema) = self.schema.pointer(&format!("/$defs/{definition}")) else { continue };
            self.fields(title, path, schema, 2);
            self.connectors(path, schema);
        }
        self.text.push_str("## Types\n\n");
        for name in ["Period", "Size", "Share", "PluginReference", "Inputs", "Columns", "ColumnType"] {
            let Some(schema) = self.schema.pointer(&format!("/$defs/{name}")) else { continue };
            let examples: Vec<String> =
                schema.get("examples").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).map(|text| format!("`{text}`")).collect();
            let examples = if examples.is_empty() { String::new() } else { format!(" For example {}.", examples.join(", ")) };
            let _ = writeln!(self.text, "- **{name}**: {}{examples}", description(schema));
        }
    }

    fn connectors(&mut self, path: &str, schema: &Json) {
        let properties = schema.get("properties").and_then(Json::as_object);
        for (name, property) in properties.into_iter().flatten().filter(|(_, property)| property.get("x-connector").is_some()) {
            if path == "dead_letters" {
                continue;
            }
            let kind = if path.starts_with("sources") { "source" } else { "sink" };
            let target = self.resolve(property).clone();
            self.fields(&format!("The {kind} `{name}`"), &format!("{path}.{name}"), &target, 3);
        }
    }
}

fn description(schema: &Json) -> &str {
    schema.get("description").and_then(Json::as_str).unwrap_or_default()
}

/// The literal config line that a description begins with, and the rest.
fn example(description: &str) -> (Option<&str>, &str) {
    let (first, rest) = description.split_once('\n').unwrap_or((description, ""));
    match first.strip_prefix('`').and_then(|line| line.strip_suffix('`')) {
        Some(line) => (Some(line), rest.trim()),
        None => (None, description),
    }
}
