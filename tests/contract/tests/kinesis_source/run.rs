//! A run without lanes, and what it reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use wasmill_engine::{Mode, Progress, Read, Result, Source, SplitId, SplitReader, SplitState};
use wasmill_kinesis::{KinesisConfig, KinesisSource};

use crate::kinesis_server::{PATIENCE, Stream, connection};

pub fn schema(columns: &[(&str, DataType, bool)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(name, kind, null)| Field::new(*name, kind.clone(), *null)).collect::<Vec<_>>()))
}

pub fn ids() -> SchemaRef {
    schema(&[("id", DataType::Int64, true)])
}

pub fn config(stream: &Stream) -> KinesisConfig {
    KinesisConfig { poll: Some("200ms".into()), follow: Some("300ms".into()), ..KinesisConfig::of_stream(&stream.name, connection()) }
}

pub fn source(config: &KinesisConfig, schema: &SchemaRef, mode: Mode) -> KinesisSource {
    KinesisSource::new("pins", config.clone(), Arc::clone(schema), mode).unwrap()
}

/// A run without lanes: reads all splits in turn, in what order they come.
pub struct Run {
    pub source: KinesisSource,
    restored: Progress,
    pub progress: Progress,
    readers: Vec<(SplitId, Box<dyn SplitReader>)>,
    /// The ids of the rows, in the order in which they were read, and the codes of the rejects.
    pub read: Vec<String>,
    complete: bool,
}

impl Run {
    pub fn start(config: &KinesisConfig, mode: Mode, restored: &Progress) -> Result<Self> {
        let source = source(config, &ids(), mode);
        let (restored, progress, read) = (restored.clone(), restored.clone(), Vec::new());
        let mut run = Self { source, restored, progress, readers: Vec::new(), read, complete: false };
        run.look()?;
        Ok(run)
    }

    fn look(&mut self) -> Result<()> {
        let found = self.source.discover(&self.restored)?;
        self.complete = found.complete;
        for split in found.splits {
            let reader = self.source.opener().open(&split)?;
            if reader.begins_here() {
                self.progress.insert(split.id.clone(), SplitState { position: reader.position(), done: false });
            }
            self.readers.push((split.id, reader));
        }
        Ok(())
    }

    /// Reads what is there. False when everything has ended.
    pub fn step(&mut self) -> Result<bool> {
        self.look()?;
        let mut left = Vec::new();
        for (id, mut reader) in std::mem::take(&mut self.readers) {
            let read = reader.read(100)?;
            let done = matches!(read, Read::End);
            if let Read::Batch(batch) = read {
                let rows = batch.batch.records.column(0).as_primitive::<Int64Type>();
                self.read.extend(rows.iter().map(|id| id.map_or("null".to_owned(), |id| id.to_string())));
                self.read.extend(batch.rejects.iter().map(|reject| reject.code.clone()));
            }
            self.progress.insert(id.clone(), SplitState { position: reader.position(), done });
            if !done {
                left.push((id, reader));
            }
        }
        self.readers = left;
        Ok(!(self.readers.is_empty() && self.complete))
    }

    /// Reads until something is so.
    pub fn until(&mut self, mut is_so: impl FnMut(&Self) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "it did not happen within {PATIENCE:?}; read {}, {:#?}", self.read.len(), self.progress);
            self.step()?;
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        Ok(())
    }
}

/// What a batch reads after some progress, and the progress after it.
pub fn batch(config: &KinesisConfig, before: &Progress) -> Result<(Vec<String>, Progress)> {
    let mut run = Run::start(config, Mode::Batch, before)?;
    let deadline = Instant::now() + PATIENCE;
    while run.step()? {
        assert!(Instant::now() < deadline, "a batch ends");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    Ok((run.read, run.progress))
}

pub fn sorted(mut read: Vec<String>) -> Vec<u64> {
    read.sort_by_key(|id| id.parse::<u64>().unwrap());
    read.iter().map(|id| id.parse().unwrap()).collect()
}

pub fn numbers(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

/// The numbers of each key come in their order.
pub fn check_order(read: &[String]) {
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for number in read.iter().map(|id| id.parse::<u64>().unwrap()) {
        let before = last.insert(number % 50, number);
        assert!(before.is_none_or(|before| before < number), "{number} came behind {before:?}");
    }
}

/// When the newest record arrived.
pub fn newest(stream: &Stream) -> std::time::SystemTime {
    let all = stream.shards().into_iter().flat_map(|shard| stream.records(&shard.shard_id));
    let newest = all.map(|record| record.approximate_arrival_timestamp.unwrap().to_millis().unwrap()).max().unwrap();
    std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(newest as u64 + 2)
}
