//! Runs a pipeline: lanes that decode, transform and write; epochs that commit; a checkpoint that
//! makes it exactly-once.
//!
//! The engine knows no wire protocol, no plugin format and no configuration language. It has four
//! traits, each documented as a contract that every implementation is tested against:
//!
//! * [`Source`]: where records come from. It lists [`Split`]s, and its [`SplitOpener`] opens a
//!   [`SplitReader`] on one. A lane owns a reader from its first batch to its last.
//! * [`Stage`]: turns batches into batches. Shared and immutable; each lane opens its own [`StageInstance`].
//! * [`KeyedStage`]: brings the rows of a key together, over all lanes and epochs, and keeps state for it.
//! * [`Sink`]: where batches go. Each lane writes through its own [`SinkWriter`]; an epoch is prepared (durable,
//!   invisible), noted in the checkpoint, then committed.
//!
//! A [`Plan`] wires them; [`run`] executes it until the sources end or a [`StopSignal`] is set.
//!
//! Cost: there are no locks and no channels between the stages of a lane. A batch moves by
//! reference counting.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod batch;
pub mod codes;
mod counts;
pub mod disk;
pub mod failpoint;
mod keyed;
mod observer;
mod plan;
mod reject;
mod retired;
mod run;
mod sink;
mod source;
mod stage;
mod state;
mod stop;

pub use batch::{Batch, Lineage, Payload, Records, SourceChunk};
pub use counts::Counts;
pub use keyed::{Collected, Emission, EventTime, KeyedInstance, KeyedStage, KeyedStart, STATE_FOLDER, Sealed, Watermark};
pub use observer::{EpochTimes, Event, NodeSummary, Observer, Progression, Summary};
pub use plan::{EpochPolicy, Input, Mode, Plan, RowAsJson, SinkNode, SourceNode, StageNode, StageWork};
pub use reject::{OriginalRecord, Reject, dead_letter_schema, dead_letters_batch};
pub use retired::{RecordForm, Retired};
pub use run::{
    NamedSink, RETIRED, SourceRename, adopt, check_stage_state, drop_source, drop_stage, rename_source, reset, retired_pieces, run,
};
pub use sink::{CommitOutcome, Committed, Sink, SinkWriter, Token, WriterContext};
pub use source::{Discovery, Progress, Read, Source, SourceBatch, Split, SplitId, SplitOpener, SplitReader, SplitState};
pub use stage::{PortOutput, RowReject, Stage, StageInstance, StageOutput};
pub use state::{
    Checkpoint, Depot, DepotFile, DepotKey, DepotWriter, EpochId, FolderLock, LocalDepot, LocalState, Put, SinkProgress, StageState,
    StateStore, depot,
};
pub use stop::StopSignal;
pub use wasmill_error::{Class, Code, Error, Result, codes, panic_message};
