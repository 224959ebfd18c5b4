//! The contract of a keyed stage: rows are collected during an epoch, and what they make of their keys is emitted at its end.
//!
//! Rows become visible when their epoch is committed, so emitting earlier would gain nothing. At the end of an epoch each lane *seals* what it has
//! collected and hands it to every lane: that is the exchange, and the only thing that moves between lanes. Each lane then *emits* what became
//! of the keys that it owns.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use serde_json::Value;
use uuid::Uuid;

use crate::{Batch, Depot, DepotFile, Result, RowReject};

/// The folder of the depot in which stages keep the files of their state.
pub const STATE_FOLDER: &str = "keyed";

/// A planned keyed stage: immutable, shared by all lanes.
///
/// # Contract
/// * What is emitted depends on the rows that were collected and on watermarks alone: neither on the number of lanes, nor on how rows are cut into
///   batches and epochs, nor on the lane that collected them.
/// * State is what [`KeyedStage::next_state`] returns. It is a small value, for it is written with every checkpoint: what is large lies in
///   files of the depot, which it names.
pub trait KeyedStage: Send + Sync {
    /// The columns of the rows that it emits.
    fn output(&self) -> SchemaRef;

    /// How far its watermark is behind the rows; `None`: it has no event time, and emits everything when all sources have ended.
    fn event_time(&self) -> Option<EventTime>;

    /// What its state depends on: keys, work, versions. A state of another fingerprint is refused before anything runs.
    fn fingerprint(&self) -> Value;

    /// Opens the instance of one lane. Called on the lane's own thread.
    ///
    /// # Errors
    /// The state can't be read, or a plugin can't be opened.
    fn open(&self, start: KeyedStart) -> Result<Box<dyn KeyedInstance>>;

    /// The state after an epoch, from the state before it and what each lane's emission changed, in the order of lanes. `None`: nothing is left.
    ///
    /// # Errors
    /// A bug: the stage does not understand its own state.
    fn next_state(&self, before: Option<&Value>, changes: Vec<Value>) -> Result<Option<Value>>;

    /// The files of the depot that a state names.
    ///
    /// # Errors
    /// The state is damaged.
    fn files(&self, state: &Value) -> Result<Vec<DepotFile>>;
}

/// How a stage follows the event time of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTime {
    /// How much later than the latest row of its split a row may come.
    pub delay: Duration,
    /// A split that has had nothing for so long does not hold the watermark back.
    pub idle: Duration,
}

/// Up to which event time rows are expected to have come, in microseconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watermark(i64);

impl Watermark {
    /// Nothing is known yet.
    pub const NONE: Self = Self(i64::MIN);
    /// No row will follow.
    pub const END: Self = Self(i64::MAX);

    /// The watermark of an event time in microseconds.
    pub fn at(micros: i64) -> Self {
        Self(micros)
    }

    /// In microseconds; the least value for [`NONE`](Self::NONE), the greatest for [`END`](Self::END).
    pub fn micros(self) -> i64 {
        self.0
    }
}

/// With what a lane opens its instance.
pub struct KeyedStart {
    /// Which lane it is.
    pub lane: usize,
    /// How many lanes there are. They may be others than those that wrote the state.
    pub lanes: usize,
    /// The life of the pipeline's state.
    pub incarnation: Uuid,
    /// The first epoch of the run.
    pub epoch: u64,
    /// The state that the newest checkpoint holds.
    pub state: Option<Value>,
    /// The watermark of that checkpoint.
    pub watermark: Watermark,
    /// Where runs of the state lie.
    pub depot: Arc<dyn Depot>,
}

/// A lane's own instance of a keyed stage.
///
/// # Contract
/// Within an epoch: any number of [`collect`](Self::collect), then [`seal`](Self::seal) once, then [`emit`](Self::emit) once. Both happen in
/// every epoch, also in those without rows.
pub trait KeyedInstance: Send {
    /// Takes rows of one side: a stage has one, a join two.
    ///
    /// # Errors
    /// Anything but a bad row, which is a reject.
    fn collect(&mut self, side: usize, batch: &Batch) -> Result<Collected>;

    /// Ends the collection of the open epoch. Returns what each lane takes its keys from.
    ///
    /// # Errors
    /// What was collected can't be written.
    fn seal(&mut self) -> Result<Sealed>;

    /// Emits what became of the keys that this lane owns. `sealed` is what the lanes have sealed, in the order of lanes, and `watermark` is never below
    /// the one before it.
    ///
    /// # Errors
    /// What was sealed can't be read, or a row can't be delivered.
    fn emit(&mut self, sealed: Vec<Sealed>, watermark: Watermark, deliver: &mut dyn FnMut(Batch) -> Result<()>) -> Result<Emission>;
}

/// What a lane hands over at the end of an epoch; the instances of a stage know what it is.
pub type Sealed = Arc<dyn Any + Send + Sync>;

/// What became of rows that a keyed stage took.
#[derive(Debug, Default)]
pub struct Collected {
    /// Rows that are set aside, in increasing order of row, each at most once: those that come late, and bad ones.
    pub rejects: Vec<RowReject>,
    /// How many of the others can't be in any result and are not kept.
    pub filtered: u64,
    /// The greatest event time, in microseconds; `None` where there is none.
    pub latest: Option<i64>,
}

/// How an epoch ended in one lane.
#[derive(Debug, Default)]
pub struct Emission {
    /// The change of the state, for [`KeyedStage::next_state`]; `None`: nothing changed.
    pub change: Option<Value>,
    /// How many of the emitted rows are rows that were collected in this epoch, by any lane, and go on as they are.
    pub passed: u64,
    /// How many rows that were collected in this epoch, by any lane, are left out: duplicates.
    pub filtered: u64,
    /// With [`Watermark::END`]: the watermark, in microseconds, at which every row is late that belongs to what was emitted and is not kept. A stream
    /// that resumes behind its end begins with it, so that no result is emitted twice in parts. `None`: there is no such bound.
    pub closed: Option<i64>,
}
