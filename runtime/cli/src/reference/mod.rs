//! The reference pages: of pipeline files, written from their JSON Schema, of the command line, and of error codes.

mod codes;
mod commands;

use std::fmt::Write;

pub use codes::markdown as codes_markdown;
pub use commands::markdown as commands_markdown;
use serde_json::Value as Json;

const HEAD: &str =
    "<!-- Written by `wasmill schema --markdown` from the types in runtime/cli/src/spec. Do not edit. -->\n\n# Pipeline reference\n\n";

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
const PARTS: [(&str, &str, &str); 13] = [
    ("A source", "SourceSpec", "sources.<name>"),
    ("A stage", "StageSpec", "stages.<name>"),
    ("Limits of a stage", "LimitsSpec", "stages.<name>.limits"),
    ("Duplicates", "DedupSpec", "stages.<name>.dedup"),
    ("Joins", "JoinSpec", "stages.<name>.join"),
    ("Aggregates", "AggregateSpec", "stages.<name>.aggregate"),
    ("Windows", "WindowSpec", "stages.<name>.aggregate.window"),
    ("Sliding windows", "SlidingSpec", "stages.<name>.aggregate.window.sliding"),
    ("Plugins that aggregate", "AggregatePlugin", "stages.<name>.aggregate.compute.<name>"),
    ("A sink", "SinkSpec", "sinks.<name>"),
    ("Dead letters", "DeadLettersSpec", "dead_letters"),
    ("Epochs", "EpochSpec", "epoch"),
    ("State", "StateOptions", "state"),
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
            self.prose(example(description(schema)).1);
        }
        let required: Vec<&str> = schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
        for (name, property) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            let must = if required.contains(&name.as_str()) { " *(required)*" } else { "" };
            let (example, text) = example(description(property));
            let _ = writeln!(self.text, "{} `{name}`{must}\n", "#".repeat(level + 1));
            if let Some(example) = example {
                let _ = writeln!(self.text, "```yaml key\n{example}\n```\n");
            }
            if !text.is_empty() {
                self.prose(text);
            }
            self.values(property);
        }
    }

    /// What a field may hold: the values of an enumeration, or the keys of a map without a section
    /// of its own on the page.
    fn values(&mut self, property: &Json) {
        if property.get("x-connector").is_some() {
            return;
        }
        let mut lines = Vec::new();
        for target in self.alternatives(property) {
            let value =
                |value: &Json| Some(format!("- `{}`: {}", value.get("const")?.as_str()?, in_one_line(without_name(description(value)))));
            lines.extend(target.get("oneOf").and_then(Json::as_array).into_iter().flatten().filter_map(value));
            if PARTS.iter().any(|(_, name, _)| self.schema.pointer(&format!("/$defs/{name}")) == Some(target)) {
                continue;
            }
            for (_, key) in target.get("properties").and_then(Json::as_object).into_iter().flatten() {
                let (example, text) = example(description(key));
                lines.push(format!("- `{}`: {}", example.unwrap_or_default(), in_one_line(text)));
            }
        }
        if !lines.is_empty() {
            self.prose(&lines.join("\n"));
        }
    }

    /// The definitions that a property refers to.
    fn alternatives<'b>(&'b self, schema: &'b Json) -> Vec<&'b Json> {
        let schema = self.resolve(schema);
        match schema.get("anyOf").and_then(Json::as_array) {
            Some(list) => list.iter().flat_map(|schema| self.alternatives(schema)).collect(),
            None => vec![schema],
        }
    }

    fn resolve<'b>(&'b self, schema: &'b Json) -> &'b Json {
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
        for name in
            ["Period", "Size", "Share", "PluginReference", "Inputs", "Columns", "ColumnType", "Expressions", "JoinKeys", "Computations"]
        {
            let Some(schema) = self.schema.pointer(&format!("/$defs/{name}")) else { continue };
            let examples: Vec<String> = schema
                .get("examples")
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
                .filter_map(Json::as_str)
                .map(|text| format!("`{text}`"))
                .collect();
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
            let targets: Vec<Json> = self.alternatives(property).into_iter().cloned().collect();
            for target in targets.iter().filter(|target| target.get("properties").is_some()) {
                self.fields(&format!("The {kind} `{name}`"), &format!("{path}.{name}"), target, 3);
            }
        }
    }
}

/// Some variants are described as `` `name`: what it is ``.
fn without_name(description: &str) -> &str {
    let named = description.strip_prefix('`').and_then(|rest| rest.split_once("`: "));
    named.map_or(description, |(_, rest)| rest)
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn description(schema: &Json) -> &str {
    schema.get("description").and_then(Json::as_str).unwrap_or_default()
}

/// The literal config line at the start of a description, and the rest.
fn example(description: &str) -> (Option<&str>, &str) {
    let (first, rest) = description.split_once('\n').unwrap_or((description, ""));
    match first.strip_prefix('`').and_then(|line| line.strip_suffix('`')) {
        Some(line) => (Some(line), rest.trim()),
        None => (None, description),
    }
}
