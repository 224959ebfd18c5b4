//! The description of a server as OpenAPI 3.1. It is made from the routes of the file.

use serde_json::{Map, Value, json};

use crate::route::Route;

/// Something that can be asked of a route.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub method: &'static str,
    /// Below the prefix of the route; parameters in braces.
    pub path: String,
    pub summary: &'static str,
    /// The types of its body, and the schema of the first.
    pub body: Option<(Vec<&'static str>, Value)>,
}

impl Operation {
    pub(crate) fn new(method: &'static str, path: &str, summary: &'static str) -> Self {
        Self { method, path: path.to_owned(), summary, body: None }
    }

    pub(crate) fn with_body(self, content_type: &'static str, schema: Value) -> Self {
        self.with_bodies(&[content_type], schema)
    }

    pub(crate) fn with_bodies(mut self, content_types: &[&'static str], schema: Value) -> Self {
        self.body = Some((content_types.to_vec(), schema));
        self
    }
}

/// The document, as JSON.
pub(crate) fn describe(name: &str, routes: &[Route]) -> String {
    let mut paths = Map::new();
    for route in routes {
        let prefix: String = route.prefix.iter().map(|part| format!("/{part}")).collect();
        for operation in route.protocol.operations() {
            let item = paths.entry(format!("{prefix}{}", operation.path)).or_insert_with(|| json!({}));
            if let Some(item) = item.as_object_mut() {
                item.insert(operation.method.to_lowercase(), described(&operation, route));
            }
        }
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": name, "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": { "securitySchemes": {
            "bearer": { "type": "http", "scheme": "bearer" },
            "basic": { "type": "http", "scheme": "basic" },
        } },
    });
    document.to_string()
}

fn described(operation: &Operation, route: &Route) -> Value {
    let mut responses = json!({
        "200": { "description": "Done, and durable" },
        "400": { "description": "Malformed; the message has the line and the column" },
        "413": { "description": "The body is too large" },
        "429": { "description": "Too many requests, or no room; retry after the time in Retry-After" },
    });
    let mut described = json!({ "summary": operation.summary, "tags": [route.name] });
    let parameters: Vec<Value> = parameters(&operation.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some((types, schema)) = &operation.body {
        let content: Map<String, Value> = types
            .iter()
            .enumerate()
            .map(|(at, name)| ((*name).to_owned(), if at == 0 { json!({ "schema": schema }) } else { json!({}) }))
            .collect();
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    if !route.guard.is_open() {
        responses["401"] = json!({ "description": "A token, or a user and a password, is needed" });
        described["security"] = json!([{ "bearer": [] }, { "basic": [] }]);
    }
    described["responses"] = responses;
    described
}

fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}
