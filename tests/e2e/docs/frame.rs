//! The frame around a part of a pipeline: what the part takes its rows from, and where its rows go.

use serde_json::{Map, Value, json};
use wasmill_cli::diagnostics::Diagnostics;
use wasmill_cli::document::{SourceFiles, parse};

/// YAML as JSON.
///
/// # Errors
/// What is wrong with it.
pub fn yaml(text: &str) -> Result<Value, String> {
    let (mut files, mut diagnostics) = (SourceFiles::default(), Diagnostics::default());
    let file = files.add("part.yaml", text);
    let root = parse(&files, file, &mut diagnostics);
    let messages: Vec<String> = diagnostics.iter().map(|finding| finding.message.clone()).collect();
    root.filter(|_| messages.is_empty()).map(|root| root.to_json()).ok_or_else(|| messages.join("; "))
}

/// A whole pipeline around some of its keys. Names that it does not declare stand for the flows of the shipped pipelines: `pins` for
/// posts, `clean_pins` for cleaned ones, and so on; any other name stands for posts.
pub fn whole(part: Value) -> Result<Value, String> {
    let Value::Object(mut pipeline) = part else { return Err("a part of a pipeline is a map".into()) };
    let mut wanted = inputs(&pipeline);
    while let Some(name) = wanted.pop() {
        let declared = ["sources", "stages"].iter().any(|section| pipeline.get(*section).is_some_and(|nodes| nodes.get(&name).is_some()));
        if declared {
            continue;
        }
        let (section, node) = stand_in(&name);
        wanted.extend(node.get("from").and_then(Value::as_str).map(str::to_owned));
        insert(&mut pipeline, section, &name, node);
    }
    for name in nodes(&pipeline).filter(|name| !inputs(&pipeline).contains(name)).collect::<Vec<_>>() {
        insert(&mut pipeline, "sinks", &format!("shows_{name}"), json!({ "from": name, "console": {} }));
    }
    pipeline.entry("name").or_insert_with(|| json!("part"));
    pipeline.entry("mode").or_insert_with(|| json!("batch"));
    pipeline.entry("dead_letters").or_insert_with(|| json!({ "files": { "path": "part-dead-letters", "format": "jsonl" } }));
    Ok(Value::Object(pipeline))
}

fn stand_in(name: &str) -> (&'static str, Value) {
    let table = match name.trim_start_matches("clean_") {
        "geos" | "places" => "geo",
        "users" => "user",
        _ => "pin",
    };
    match name.strip_prefix("clean_") {
        Some(source) => ("stages", json!({ "from": source, "plugin": format!("clean-{table}") })),
        None => ("sources", json!({ "emulator": { "table": table, "rows": 100 } })),
    }
}

fn insert(pipeline: &mut Map<String, Value>, section: &str, name: &str, node: Value) {
    let nodes = pipeline.entry(section).or_insert_with(|| json!({}));
    if let Some(nodes) = nodes.as_object_mut() {
        nodes.insert(name.to_owned(), node);
    }
}

/// The names of sources and stages.
fn nodes(pipeline: &Map<String, Value>) -> impl Iterator<Item = String> {
    let sections = ["sources", "stages"].into_iter().filter_map(|section| pipeline.get(section)?.as_object());
    sections.flat_map(Map::keys).cloned()
}

/// The names that stages and sinks take rows from, without ports.
fn inputs(pipeline: &Map<String, Value>) -> Vec<String> {
    let sections = ["stages", "sinks"].into_iter().filter_map(|section| pipeline.get(section)?.as_object());
    let from = sections.flat_map(Map::values).flat_map(|node| {
        let sides = node.get("join").into_iter().flat_map(|join| [join.get("left"), join.get("right")]);
        sides.chain([node.get("from")]).flatten()
    });
    let names = from.flat_map(|from| match from {
        Value::Array(names) => names.iter().collect(),
        name => vec![name],
    });
    names.filter_map(Value::as_str).map(|name| name.split('.').next().unwrap_or(name).to_owned()).collect()
}
