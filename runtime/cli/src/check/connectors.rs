//! The check's requests to connectors. A trait, so that it can be tested without files and tables,
//! and so that commands can request less.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arrow_schema::SchemaRef;
use wasmill_connect::registry::{Server, SinkConnector, SourceConnector, SourceRequest};
use wasmill_connect::{Sampling, Survey};
use wasmill_engine::{Class, Mode, Result};

use super::SourceColumns;
use super::source_columns::{SourceSchema, resolve};
use crate::plan::{HeldState, held_state};

/// How long `wasmill check` waits for servers to take a connection.
const REACH: Duration = Duration::from_secs(5);

/// Whether a server is contacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It is.
    Asked,
    /// It is not, because the check contacts no server.
    Offline,
    /// It can't be: why, in words that follow a colon.
    Unreachable(String),
}

/// Examines the places of a pipeline, without changing anything.
pub trait Connectors {
    /// Which servers are contacted, by their descriptions; the others are left out. Of those, the
    /// check calls nothing below.
    fn reach(&self, _servers: &[&Server]) -> HashMap<String, Reach> {
        HashMap::new()
    }

    /// The newest checkpoint of the pipeline. A run reads it by itself, and under its lock.
    fn state(&self, _states: &Path, _pipeline: &str) -> Result<HeldState> {
        Ok(HeldState::Unasked)
    }

    /// The columns that a source returns for a request. Where the source lacks some that stages
    /// need, the columns that it has.
    fn source_schema(&self, name: &str, source: &dyn SourceConnector, columns: &SourceColumns, mode: Mode) -> Result<SourceSchema> {
        let reserved = source.reserved_columns();
        let known = if columns.needs_discovery(&reserved) { source.columns(columns)? } else { None };
        let found = resolve(columns, &reserved, known);
        build(name, source, &found, mode)?;
        Ok(found)
    }

    /// Which columns a source has, as far as a quick survey finds; `None` where it does not.
    fn survey(&self, source: &dyn SourceConnector) -> Result<Option<Survey>> {
        source.survey()
    }

    /// How these columns differ from those of a table that is already there.
    fn check_sink(&self, sink: &dyn SinkConnector, schema: &SchemaRef) -> Result<Vec<String>> {
        sink.differences(schema)
    }
}

/// Whether a source can be built for its columns.
pub fn build(name: &str, source: &dyn SourceConnector, found: &SourceSchema, mode: Mode) -> Result<()> {
    // An endless source in a batch has been reported, with better words.
    if source.endless().is_none() || mode == Mode::Stream {
        let sampling = Sampling::default();
        // A run finds out whether the state has a folder; nothing is created in this one.
        let state = Some(Path::new(".wasmill"));
        source.build(SourceRequest { pipeline: name, name, schema: Arc::clone(&found.schema), mode, sampling, state })?;
    }
    Ok(())
}

/// The connectors of Wasmill. Servers are contacted, with each connector's own retries.
pub struct BuiltConnectors;

impl Connectors for BuiltConnectors {}

/// The same, contacting only servers that accept a connection.
pub struct ReachableConnectors;

impl Connectors for ReachableConnectors {
    fn reach(&self, servers: &[&Server]) -> HashMap<String, Reach> {
        let reach = |server: &Server| server.reach(REACH).map_or_else(Reach::Unreachable, |()| Reach::Asked);
        let names: HashMap<&str, &Server> = servers.iter().map(|server| (server.words(), *server)).collect();
        // All at once: the waits for those that do not respond overlap.
        thread::scope(|scope| {
            let running: Vec<_> = names.into_iter().map(|(name, server)| (name, scope.spawn(move || reach(server)))).collect();
            // A broken one is contacted, and reports its error itself.
            running.into_iter().map(|(name, thread)| (name.to_owned(), thread.join().unwrap_or(Reach::Asked))).collect()
        })
    }

    fn state(&self, states: &Path, pipeline: &str) -> Result<HeldState> {
        held_state(states, pipeline, |server| server.reach(REACH).map_err(|why| format!("cannot reach {}: {why}", server.words())))
    }
}

/// The same, without contacting any server.
pub struct OfflineConnectors;

impl Connectors for OfflineConnectors {
    fn reach(&self, servers: &[&Server]) -> HashMap<String, Reach> {
        servers.iter().map(|server| (server.words().to_owned(), Reach::Offline)).collect()
    }

    fn state(&self, states: &Path, pipeline: &str) -> Result<HeldState> {
        held_state(states, pipeline, |server| Err(format!("only {} can tell", server.words())))
    }
}

/// The connectors of Wasmill, but an unreachable place is no mistake: its columns are taken as the
/// pipeline needs them.
pub struct ForgivingConnectors;

impl Connectors for ForgivingConnectors {
    fn source_schema(&self, name: &str, source: &dyn SourceConnector, columns: &SourceColumns, mode: Mode) -> Result<SourceSchema> {
        match BuiltConnectors.source_schema(name, source, columns, mode) {
            Err(error) if error.class() == Class::Environment => {
                Ok(SourceSchema { untyped: Vec::new(), ..resolve(columns, &source.reserved_columns(), None) })
            }
            other => other,
        }
    }

    fn check_sink(&self, sink: &dyn SinkConnector, schema: &SchemaRef) -> Result<Vec<String>> {
        match BuiltConnectors.check_sink(sink, schema) {
            Err(error) if error.class() == Class::Environment => Ok(Vec::new()),
            other => other,
        }
    }
}

/// For a report, which reads what sinks have written: unreachable sources are no mistake, and sinks are taken as they are.
pub struct AnyConnectors;

impl Connectors for AnyConnectors {
    fn source_schema(&self, name: &str, source: &dyn SourceConnector, columns: &SourceColumns, mode: Mode) -> Result<SourceSchema> {
        ForgivingConnectors.source_schema(name, source, columns, mode)
    }

    fn check_sink(&self, _sink: &dyn SinkConnector, _schema: &SchemaRef) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// For a preview: sources are checked completely, sinks not at all.
pub struct WithoutSinks;

impl Connectors for WithoutSinks {
    fn check_sink(&self, _sink: &dyn SinkConnector, _schema: &SchemaRef) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
