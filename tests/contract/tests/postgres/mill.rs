//! Writes epochs through the sink into a schema of the server.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use tempfile::TempDir;
use uuid::Uuid;
use wasmill_engine::{CommitOutcome, Error, LocalDepot, RowReject, Sink, Token, WriterContext};
use wasmill_postgres::{PostgresConfig, PostgresSink};

use super::{Schema, url};

/// A schema of the server, a folder for spools, and the epochs that were committed.
pub struct Mill {
    pub server: Schema,
    pub spools: TempDir,
    pub epoch: std::cell::Cell<u64>,
}

pub fn token(previous: u64, epoch: u64) -> Token {
    Token { pipeline: "p".into(), sink: "s".into(), incarnation: Uuid::from_u128(9), epoch, previous }
}

impl Mill {
    pub fn new() -> Self {
        Self { server: Schema::new(), spools: tempfile::tempdir().unwrap(), epoch: 0.into() }
    }

    pub fn config(&self) -> PostgresConfig {
        PostgresConfig::new(url(), self.server.table("t"))
    }

    pub fn sink(&self, config: &PostgresConfig, schema: &arrow_schema::Schema) -> Result<PostgresSink, Error> {
        PostgresSink::new(config, schema, Arc::new(LocalDepot::new(self.spools.path())))
    }

    /// Prepares an epoch; each batch is of a lane of its own.
    pub fn prepare(&self, sink: &PostgresSink, lanes: &[RecordBatch]) -> (Token, serde_json::Value, Vec<RowReject>) {
        let token = token(self.epoch.get(), self.epoch.get() + 1);
        let mut rejects = Vec::new();
        let parts = lanes.iter().enumerate().map(|(lane, records)| {
            let Token { pipeline, sink: name, incarnation, epoch, .. } = token.clone();
            let context = WriterContext { pipeline, sink: name, incarnation, epoch, lane, schema: records.schema() };
            let mut writer = sink.writer(context).unwrap();
            rejects.extend(writer.write(records).unwrap());
            writer.prepare().unwrap()
        });
        let parts = parts.collect();
        let prepared = sink.prepare(&token, parts).unwrap();
        (token, prepared, rejects)
    }

    /// Writes and commits an epoch.
    pub fn write(&self, config: &PostgresConfig, lanes: &[RecordBatch]) -> Vec<RowReject> {
        let sink = self.sink(config, &lanes[0].schema()).unwrap();
        let (token, prepared, rejects) = self.prepare(&sink, lanes);
        assert_eq!(sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
        self.epoch.set(token.epoch);
        assert_eq!(spooled(self.spools.path()), 0, "a committed epoch leaves nothing in the spool");
        rejects
    }
}

pub fn spooled(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("spool/p.s")).map_or(0, Iterator::count)
}

pub fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

pub fn told(rejects: &[RowReject]) -> Vec<(u32, &str, &str)> {
    rejects.iter().map(|reject| (reject.row, reject.code.as_str(), reject.column.as_deref().unwrap_or("-"))).collect()
}

pub fn pairs(rows: &[(Option<i64>, &str)]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from_iter(rows.iter().map(|(id, _)| *id)))),
        ("value", Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, value)| *value)))),
    ])
}
