//! Lanes of keyed stages, driven by hand: epochs, restarts with other numbers of lanes, and models that know none of that.

mod aggregating;
mod deduplicating;
mod joining;

use arrow_array::{Int64Array, StringArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;
use wasmill_engine::{Batch, Depot, DepotFile, KeyedInstance, KeyedStage, KeyedStart, LocalDepot, Watermark};

pub(super) use super::Arc;

/// A row: its key, event time and number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub key: String,
    pub time: i64,
    pub number: i64,
}

pub fn input() -> Schema {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Schema::new(vec![Field::new("key", DataType::Utf8, true), Field::new("at", time, true), Field::new("number", DataType::Int64, true)])
}

pub fn batch(rows: &[Row]) -> Batch {
    let columns: Vec<arrow_array::ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.key))),
        Arc::new(arrow_array::TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.time)).with_timezone("UTC")),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.number))),
    ];
    let records = arrow_array::RecordBatch::try_new(Arc::new(input()), columns).unwrap();
    let payload = wasmill_engine::Payload::Rows { first: 0, count: rows.len() };
    let chunk = wasmill_engine::SourceChunk { source: "s".into(), partition: "p".into(), payload };
    Batch { records, lineage: wasmill_engine::Lineage::of_source(Arc::new(chunk)) }
}

/// The lanes of one process over a state.
pub struct Lanes<'s> {
    stage: &'s dyn KeyedStage,
    pub depot: Arc<LocalDepot>,
    instances: Vec<Box<dyn KeyedInstance>>,
    pub incarnation: Uuid,
    epoch: u64,
    watermark: Watermark,
    pub state: Option<Value>,
    pub late: usize,
    pub passed: u64,
    pub filtered: u64,
    /// The greatest that the lanes gave at the end of all sources.
    pub closed: Option<i64>,
}

impl<'s> Lanes<'s> {
    fn start(stage: &'s dyn KeyedStage, folder: &std::path::Path, lanes: usize) -> Self {
        let depot = Arc::new(LocalDepot::new(folder));
        let (incarnation, watermark) = (Uuid::now_v7(), Watermark::NONE);
        let (instances, state) = (Vec::new(), None);
        let mut process =
            Self { stage, depot, instances, incarnation, epoch: 1, watermark, state, late: 0, passed: 0, filtered: 0, closed: None };
        process.restart(lanes);
        process
    }

    /// Another process takes over, with what the checkpoint holds.
    pub fn restart(&mut self, lanes: usize) {
        let open = |lane| {
            let (incarnation, epoch, state, watermark) = (self.incarnation, self.epoch, self.state.clone(), self.watermark);
            let depot = Arc::<LocalDepot>::clone(&self.depot);
            self.stage.open(KeyedStart { lane, lanes, incarnation, epoch, state, watermark, depot }).unwrap()
        };
        self.instances = (0..lanes).map(open).collect();
    }

    /// An epoch with these batches, dealt out to the lanes. Afterwards the depot holds what the state names, and nothing else.
    pub fn epoch(&mut self, batches: &[Vec<Row>], watermark: Watermark) -> Vec<Batch> {
        let batches: Vec<(usize, &[Row])> = batches.iter().map(|rows| (0, &rows[..])).collect();
        self.epoch_of(&batches, watermark)
    }

    /// The same with batches of several sides.
    pub fn epoch_of(&mut self, batches: &[(usize, &[Row])], watermark: Watermark) -> Vec<Batch> {
        for (index, (side, rows)) in batches.iter().enumerate() {
            let lane = index % self.instances.len();
            let collected = self.instances[lane].collect(*side, &batch(rows)).unwrap();
            self.late += collected.rejects.len();
            assert!(collected.rejects.iter().all(|reject| reject.code == "late" && reject.column.as_deref() == Some("at")));
        }
        let sealed: Vec<_> = self.instances.iter_mut().map(|instance| instance.seal().unwrap()).collect();
        let mut found = Vec::new();
        let mut changes = Vec::new();
        for instance in &mut self.instances {
            let mut deliver = |batch: Batch| {
                found.push(batch);
                Ok(())
            };
            let emission = instance.emit(sealed.clone(), watermark, &mut deliver).unwrap();
            self.passed += emission.passed;
            self.filtered += emission.filtered;
            self.closed = self.closed.max(emission.closed);
            changes.extend(emission.change);
        }
        if !changes.is_empty() {
            let next = self.stage.next_state(self.state.as_ref(), changes).unwrap();
            let files = |state: &Option<Value>| state.as_ref().map_or(Vec::new(), |state| self.stage.files(state).unwrap());
            let (old, new) = (files(&self.state), files(&next));
            let there = self.depot.list(wasmill_engine::STATE_FOLDER).unwrap();
            assert!(there.iter().all(|name| new.iter().chain(&old).any(|file| file.name == *name)), "{there:?} and {new:?}");
            self.depot.remove(&old.iter().filter(|file| !new.contains(file)).map(|file| file.name.clone()).collect::<Vec<_>>()).unwrap();
            let written: Vec<DepotFile> = new.iter().filter(|file| !old.contains(file)).cloned().collect();
            self.depot.seal(&written).unwrap();
            self.state = next;
        }
        (self.epoch, self.watermark) = (self.epoch + 1, watermark);
        found
    }

    /// Another process resumes behind the end of all sources.
    pub fn resume_behind_the_end(&mut self, lanes: usize) {
        self.watermark = self.closed.map_or(Watermark::NONE, Watermark::at);
        self.restart(lanes);
    }

    pub fn files(&self) -> Vec<DepotFile> {
        self.state.as_ref().map_or(Vec::new(), |state| self.stage.files(state).unwrap())
    }
}

pub fn row(key: &str, time: i64, number: i64) -> Row {
    Row { key: key.into(), time, number }
}

pub fn rows() -> impl Strategy<Value = Vec<Vec<Row>>> {
    let row = (0u8..12, -60i64..120, -50i64..50).prop_map(|(key, time, number)| Row { key: format!("k{key}"), time, number });
    prop::collection::vec(prop::collection::vec(row, 1..20), 0..12)
}
