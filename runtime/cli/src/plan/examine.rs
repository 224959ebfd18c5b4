//! Looks at every place that a checked pipeline names, each through its connector.

use std::path::Path;

use arrow_schema::SchemaRef;
use wasmill_connect::examine::{Finding, folder_to_write};
use wasmill_connectors::{delta, files, kafka, kinesis, postgres, s3};
use wasmill_objects::S3Config;
use wasmill_objects::examine::{Use, examine as examine_bucket};

use super::connect::{sink_in_words, source_in_words};
use super::state::{in_bucket, state_of};
use crate::check::Checked;
use crate::spec::{SinkKind, SourceKind};

/// A place, and what a look at it found.
pub struct Examined {
    /// `source pins`.
    pub role: String,
    /// `kafka pin of b1:9092`.
    pub place: String,
    /// What was found, in the order in which it was looked at.
    pub findings: Vec<Finding>,
}

/// Looks at the sources, the sinks, the dead letters and the state of a pipeline, one after the other. Changes nothing.
pub fn examine(checked: &Checked) -> impl Iterator<Item = Examined> + '_ {
    let sources = checked.sources.iter().map(|source| Examined {
        role: format!("source {}", source.name),
        place: source_in_words(&source.kind),
        findings: examine_source(&source.kind),
    });
    let sink = |role: String, kind: &SinkKind| Examined { role, place: sink_in_words(kind), findings: examine_sink(kind) };
    let sinks = checked.sinks.iter().map(move |one| sink(format!("sink {}", one.name), &one.kind));
    let dead_letters = checked.dead_letters.iter().map(move |kind| sink("dead letters".to_owned(), kind));
    let state = std::iter::once_with(|| {
        let state = state_of(&checked.state, &checked.name);
        let findings = match in_bucket(&checked.state) {
            Some(_) => examine_bucket(&state.to_string_lossy(), &S3Config::default(), Use::Write),
            None => folder_to_write(&state),
        };
        Examined { role: "state".to_owned(), place: state.display().to_string(), findings }
    });
    sources.chain(sinks).chain(dead_letters).chain(state)
}

fn examine_source(kind: &SourceKind) -> Vec<Finding> {
    match kind {
        SourceKind::Files(config) => files::examine_source(config),
        SourceKind::S3(config) => s3::source::examine(config),
        SourceKind::Kafka(config) => kafka::examine_source(config),
        SourceKind::Kinesis(config) => kinesis::examine_source(config),
        SourceKind::Delta(config) => columns(&config.uri, delta::infer_schema(config)),
        SourceKind::Postgres(config) => columns(config.shown(), postgres::infer_schema(config)),
        SourceKind::Emulator(_) => vec![Finding::Good("makes its rows itself".to_owned())],
    }
}

/// What can tell its columns answers, lets us in and can be read.
fn columns(place: &str, found: wasmill_engine::Result<SchemaRef>) -> Vec<Finding> {
    vec![match found {
        Ok(schema) => Finding::Good(format!("{place} can be read: {} columns", schema.fields().len())),
        Err(error) => Finding::Bad(error),
    }]
}

fn examine_sink(kind: &SinkKind) -> Vec<Finding> {
    match kind {
        SinkKind::Delta(config) => delta::examine(config),
        SinkKind::Files(config) => folder_to_write(Path::new(&config.path)),
        SinkKind::Postgres(config) => postgres::examine(config),
        SinkKind::Kafka(config) => kafka::examine_sink(config),
        SinkKind::S3(config) => examine_bucket(&config.uri, &config.connection, Use::Write),
        SinkKind::Kinesis(config) => kinesis::examine_sink(config),
        SinkKind::Console(_) => vec![Finding::Good("standard output".to_owned())],
    }
}
