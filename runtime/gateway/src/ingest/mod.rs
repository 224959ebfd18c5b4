//! Plain documents: `POST /ingest/{name}` with JSON, JSON lines or CSV.

mod csv;
mod json;

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::json;

use crate::answer::{Answer, Problem};
use crate::destination::{Destination, Placed, Record, Refusal};
use crate::openapi::Operation;
use crate::protocol::{refuse, status_of};
use crate::request::Request;

/// Documents for the topics or streams of a destination.
pub struct Ingest {
    destination: Arc<dyn Destination>,
    /// The names in paths, each with that of its topic or stream; `None`: they are the same.
    names: Option<Vec<(String, String)>>,
}

impl Ingest {
    /// Documents that are posted to `/ingest/{name}` go into the topic or stream beside the name.
    pub fn new(destination: Arc<dyn Destination>, names: Vec<(String, String)>) -> Self {
        Self { destination, names: Some(names) }
    }

    /// Documents that are posted to `/ingest/{name}` go into the topic or stream of that name.
    pub fn of_all(destination: Arc<dyn Destination>) -> Self {
        Self { destination, names: None }
    }

    pub(crate) fn roots(&self) -> Vec<Vec<String>> {
        let ingest = || "ingest".to_owned();
        self.names
            .as_ref()
            .map_or_else(|| vec![vec![ingest()]], |names| names.iter().map(|(name, _)| vec![ingest(), name.clone()]).collect())
    }

    /// The topic or stream of a name in a path.
    fn target<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        match &self.names {
            None => Some(name),
            Some(names) => names.iter().find(|(known, _)| known == name).map(|(_, target)| target.as_str()),
        }
    }

    pub(crate) async fn answer(&self, request: Request) -> Answer {
        self.put(&request).await.unwrap_or_else(|problem| refuse(&problem))
    }

    async fn put(&self, request: &Request) -> Result<Answer, Problem> {
        let [_, name] = request.path.as_slice() else { return Err(Problem::not_found(&format!("/{}", request.path.join("/")))) };
        let Some(target) = self.target(name) else { return Err(Problem::not_found(&format!("/ingest/{name}"))) };
        if request.method != Method::POST {
            return Err(Problem::method("POST"));
        }
        let values = match request.content_type().as_str() {
            "application/json" | "text/json" | "" => json::documents(&request.body)?,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" | "application/json-lines" => {
                json::lines(&request.body)?
            }
            "text/csv" | "application/csv" => csv::rows(&request.body)?,
            other => {
                let message = format!("the type {other:?} is not supported: send application/json, application/x-ndjson or text/csv");
                return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
            }
        };
        let records: Vec<Record> = values.into_iter().map(Record::of_value).collect();
        let count = records.len();
        if count == 0 {
            return Ok(Answer::json(StatusCode::OK, "application/json", &json!({ "accepted": 0 })));
        }
        let placed = self.destination.put(target, records, request.key()?).await.map_err(problem)?;
        summary(&placed)
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        let schema = json!({ "anyOf": [{ "type": "object" }, { "type": "array", "items": { "type": "object" } }] });
        let types = ["application/json", "application/x-ndjson", "text/csv"];
        let post = |name: &str| {
            Operation::new("POST", &format!("/ingest/{name}"), "Takes records: JSON, JSON lines or CSV").with_bodies(&types, schema.clone())
        };
        self.names.as_ref().map_or_else(|| vec![post("{name}")], |names| names.iter().map(|(name, _)| post(name)).collect())
    }
}

fn problem(refusal: Refusal) -> Problem {
    Problem { retry_after: refusal.retry_after, ..Problem::new(status_of(refusal.kind), refusal.message) }
}

/// All records were taken, or it is an error: with how many were, because a retry would send those twice.
fn summary(placed: &[Result<Placed, Refusal>]) -> Result<Answer, Problem> {
    let refused: Vec<(usize, &Refusal)> =
        placed.iter().enumerate().filter_map(|(at, placed)| placed.as_ref().err().map(|refusal| (at, refusal))).collect();
    let accepted = placed.len() - refused.len();
    let Some((at, first)) = refused.first() else {
        return Ok(Answer::json(StatusCode::OK, "application/json", &json!({ "accepted": accepted })));
    };
    if accepted == 0 {
        return Err(problem((*first).clone()));
    }
    let records: Vec<usize> = refused.iter().map(|(at, _)| at + 1).collect();
    let body = json!({
        "error_code": 500,
        "message": format!("{accepted} of {} records were accepted; record {}: {}", placed.len(), at + 1, first.message),
        "accepted": accepted,
        "refused": records,
    });
    Ok(Answer::json(StatusCode::INTERNAL_SERVER_ERROR, "application/json", &body))
}
