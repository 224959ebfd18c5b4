//! Joins of two inputs by equal keys: inner, left and full.
//!
//! Both sides are collected whole, as runs sorted by window, key group and key. At the end of an epoch the pairs that are new are
//! `ΔL ⋈ R + L ⋈ ΔR + ΔL ⋈ ΔR`. They are found by scanning the new rows of one side in the order of their keys and seeking in the runs of the other.
//! Then the new runs are state. A null in a key matches nothing.
//!
//! With `within`, rows match whose times are at most that far apart. Windows are that long, so a row's partners lie in its own window and the two
//! beside it. A row is late when its time is below the watermark; its time is over when the watermark has passed it by more than `within`: then it
//! leaves, alone if the join keeps unmatched rows and it had no partner. Without `within` rows stay until time has ended, as in a batch.

mod collector;
mod emitter;

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use wasmill_types::TypeName;

pub use collector::JoinCollector;
pub use emitter::{JoinEmitter, JoinInput, Joined, SideRuns};

use crate::codes::{EVENT_TIME_TYPE, KEY_TYPE};
use crate::key::KeyCodec;
use crate::run::check_state_schema;
use crate::windows::Windows;
use crate::{Error, Result};

/// Which rows a join keeps that have no partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those of the left side.
    Left,
    /// Those of both sides.
    Full,
}

/// One of the two inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one whose columns come first.
    Left,
    /// The other one.
    Right,
}

/// One input of a join. Columns are indices into it.
#[derive(Debug, Clone)]
pub struct SideSpec {
    /// Its columns.
    pub input: SchemaRef,
    /// The columns whose values have to be equal, at least one.
    pub keys: Vec<usize>,
    /// The column of event time; needed by `within`.
    pub event_time: Option<usize>,
}

/// A planned join: immutable, shared by all lanes.
pub struct JoinStage {
    kind: JoinKind,
    within: Option<i64>,
    windows: Windows,
    sides: [SidePlan; 2],
    output: SchemaRef,
}

struct SidePlan {
    spec: SideSpec,
    codec: KeyCodec,
    /// The input's columns and the time: what runs of this side hold.
    row_schema: SchemaRef,
    /// The columns in results.
    output: SchemaRef,
    /// Whether rows without a partner are emitted.
    keeps_unmatched: bool,
}

impl JoinStage {
    /// Plans a join. `within` is in microseconds.
    ///
    /// # Errors
    /// Configuration: a column can't be a key or can't be kept in a run, keys of the sides have other types, `within` is not positive, or an event
    /// time is missing.
    pub fn new(kind: JoinKind, within: Option<i64>, left: SideSpec, right: SideSpec) -> Result<Self> {
        let windows = match within {
            None => Windows::none(),
            Some(within) => Windows::tumbling(within)?.with_allowed_lateness(within.saturating_mul(2)),
        };
        if within.is_some() && (left.event_time.is_none() || right.event_time.is_none()) {
            return Err(Error::configuration("`within` needs a column of event time on both sides").code(EVENT_TIME_TYPE));
        }
        // A side has nulls where rows of the other one have no partner.
        let left = SidePlan::new(left, kind != JoinKind::Inner, kind == JoinKind::Full)?;
        let right = SidePlan::new(right, kind == JoinKind::Full, kind != JoinKind::Inner)?;
        if !left.codec.compares_with(&right.codec) || left.spec.keys.is_empty() {
            let types = |side: &SidePlan| {
                side.codec.fields().iter().map(|key| TypeName(key.data_type()).to_string()).collect::<Vec<_>>().join(", ")
            };
            let message = format!("the keys of a join have the types ({}) and ({})", types(&left), types(&right));
            return Err(Error::configuration(message).code(KEY_TYPE).hint("convert one of them in a `select` before the join"));
        }
        let output = Arc::new(Schema::new(left.output.fields().iter().chain(right.output.fields()).cloned().collect::<Vec<_>>()));
        Ok(Self { kind, within, windows, sides: [left, right], output })
    }

    /// Which rows it keeps that have no partner.
    pub fn kind(&self) -> JoinKind {
        self.kind
    }

    /// The windows in which rows are kept.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// The columns of results: those of the left side, then those of the right one. Names may repeat.
    pub fn output_schema(&self) -> &SchemaRef {
        &self.output
    }

    /// The columns of the runs of a side, which [`KeptRows`](crate::KeptRows) compacts.
    pub fn row_schema(&self, side: Side) -> &SchemaRef {
        &self.side(side).row_schema
    }

    fn side(&self, side: Side) -> &SidePlan {
        &self.sides[usize::from(side == Side::Right)]
    }
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        if self == Self::Left { Self::Right } else { Self::Left }
    }
}

impl SidePlan {
    fn new(spec: SideSpec, keeps_unmatched: bool, may_be_null: bool) -> Result<Self> {
        let fields = spec.input.fields();
        if spec.keys.iter().chain(&spec.event_time).any(|&column| column >= fields.len()) {
            return Err(Error::bug("a column of a join lies outside its input"));
        }
        if let Some(column) = spec.event_time {
            let none = arrow_array::new_empty_array(fields[column].data_type());
            crate::windows::event_times(&none, &mut Vec::new())?;
        }
        let codec = KeyCodec::new(spec.keys.iter().map(|&column| Arc::clone(&fields[column])).collect::<Vec<_>>())?;
        let time = Arc::new(Field::new("_time", DataType::Int64, false));
        let row_schema: SchemaRef = Arc::new(Schema::new(fields.iter().cloned().chain([time]).collect::<Vec<_>>()));
        check_state_schema(&row_schema)?;
        let output = fields.iter().map(|field| field.as_ref().clone().with_nullable(field.is_nullable() || may_be_null));
        let output = Arc::new(Schema::new(output.collect::<Vec<_>>()));
        Ok(Self { spec, codec, row_schema, output, keeps_unmatched })
    }
}

#[cfg(test)]
mod tests;
