//! Stages that join two inputs.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use serde_json::{Value, json};
use wasmill_engine::{
    Batch, Collected, DepotFile, Emission, Error, EventTime, KeyedInstance, KeyedStage, KeyedStart, Result, Sealed, Watermark,
};
use wasmill_keyed::KeptRows;
use wasmill_keyed::codes::COLUMN_TWICE;
use wasmill_keyed::join::{JoinCollector, JoinEmitter, JoinInput, JoinKind, JoinStage, Side, SideRuns, SideSpec};
use wasmill_keyed::key::owned;
use wasmill_keyed::windows::Windows;

use super::state::{self, LaneState, Stays, to_state};
use super::{KeyedOptions, SealedRuns, closed, describe, describe_all, emitted, new_runs, rejects};

/// The sides, by their number in the engine.
const SIDES: [Side; 2] = [Side::Left, Side::Right];

/// A join, planned.
///
/// Its output are the columns of the left side, then those of the right side that are not its keys: where both are there, these are equal to the left
/// side's, and a row of the right side that is alone has its keys in the left side's columns.
pub struct Joining {
    stage: Arc<JoinStage>,
    options: KeyedOptions,
    shape: Arc<Shape>,
    fingerprint: Value,
}

/// What becomes of the columns of both sides.
struct Shape {
    output: SchemaRef,
    /// For each column of the output those of a pair that it is made of: the second one where the first is null.
    columns: Vec<(usize, Option<usize>)>,
    times: [Option<String>; 2],
}

impl Joining {
    /// Plans a join. `within` is in microseconds.
    ///
    /// # Errors
    /// As [`JoinStage::new`], or two columns of the output have one name.
    pub fn new(kind: JoinKind, within: Option<i64>, [left, right]: [SideSpec; 2], options: KeyedOptions) -> Result<Self> {
        let side = |side: &SideSpec| {
            let columns: Vec<String> = side.input.fields().iter().map(|field| describe(field)).collect();
            json!({ "columns": columns, "on": describe_all(&side.input, &side.keys), "time": side.event_time })
        };
        let kinds = match kind {
            JoinKind::Inner => "inner",
            JoinKind::Left => "left",
            JoinKind::Full => "full",
        };
        let fingerprint = json!({ "join": kinds, "within": within, "left": side(&left), "right": side(&right) });
        let shape = Arc::new(Shape::new(kind, &left, &right)?);
        let stage = Arc::new(JoinStage::new(kind, within, left, right)?);
        Ok(Self { stage, options, shape, fingerprint })
    }
}

impl Shape {
    fn new(kind: JoinKind, left: &SideSpec, right: &SideSpec) -> Result<Self> {
        let width = left.input.fields().len();
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (column, field) in left.input.fields().iter().enumerate() {
            let key = left.keys.iter().position(|&key| key == column).filter(|_| kind == JoinKind::Full);
            let other = key.and_then(|key| right.keys.get(key).copied());
            let is_nullable = field.is_nullable()
                || match other.and_then(|other| right.input.fields().get(other)) {
                    Some(other) => other.is_nullable(),
                    None => kind == JoinKind::Full,
                };
            fields.push(Arc::new(field.as_ref().clone().with_nullable(is_nullable)));
            columns.push((column, other.map(|other| width + other)));
        }
        for (column, field) in right.input.fields().iter().enumerate().filter(|(column, _)| !right.keys.contains(column)) {
            fields.push(Arc::new(field.as_ref().clone().with_nullable(field.is_nullable() || kind != JoinKind::Inner)));
            columns.push((width + column, None));
        }
        for (index, field) in fields.iter().enumerate() {
            if fields[..index].iter().any(|other| other.name() == field.name()) {
                return Err(Error::configuration(format!("both sides of the join have a column `{}`", field.name()))
                    .code(COLUMN_TWICE)
                    .hint("rename or drop one of them in a stage before the join"));
            }
        }
        let time = |side: &SideSpec| side.event_time.map(|column| side.input.field(column).name().clone());
        Ok(Self { output: Arc::new(Schema::new(fields)), columns, times: [time(left), time(right)] })
    }

    fn of_pairs(&self, pairs: &RecordBatch) -> Result<RecordBatch> {
        let column = |&(column, other): &(usize, Option<usize>)| {
            let values = pairs.column(column);
            match other.filter(|_| values.null_count() > 0) {
                None => Ok(Arc::clone(values)),
                Some(other) => arrow_select::zip::zip(&arrow_array::BooleanArray::from(not_null(values)), values, pairs.column(other)),
            }
        };
        let columns = self.columns.iter().map(column).collect::<Result<Vec<_>, _>>();
        columns
            .and_then(|columns| RecordBatch::try_new(Arc::clone(&self.output), columns))
            .map_err(|error| Error::bug(format!("pairs do not have the columns that were planned: {error}")))
    }
}

fn not_null(values: &arrow_array::ArrayRef) -> Vec<bool> {
    (0..values.len()).map(|row| values.is_valid(row)).collect()
}

impl KeyedStage for Joining {
    fn output(&self) -> SchemaRef {
        Arc::clone(&self.shape.output)
    }

    fn event_time(&self) -> Option<EventTime> {
        self.options.event_time
    }

    fn fingerprint(&self) -> Value {
        self.fingerprint.clone()
    }

    fn open(&self, start: KeyedStart) -> Result<Box<dyn KeyedInstance>> {
        let mut sides = Vec::with_capacity(2);
        for (number, side) in SIDES.into_iter().enumerate() {
            let rows = Arc::new(KeptRows::new(Arc::clone(self.stage.row_schema(side))));
            let state = LaneState::open(rows, *self.stage.windows(), number, &start)?;
            let mut collector = JoinCollector::new(Arc::clone(&self.stage), side, self.options.limits, state.scratch());
            collector.begin(start.watermark.micros());
            sides.push(JoinSide { collector, state });
        }
        let emitter = JoinEmitter::new(Arc::clone(&self.stage), owned(start.lane, start.lanes));
        let (name, shape) = (Arc::clone(&self.options.name), Arc::clone(&self.shape));
        let windows = *self.stage.windows();
        Ok(Box::new(Instance { name, shape, sides, emitter, windows, watermark: start.watermark }))
    }

    fn next_state(&self, _before: Option<&Value>, changes: Vec<Value>) -> Result<Option<Value>> {
        state::next_state(&changes)
    }

    fn files(&self, state: &Value) -> Result<Vec<DepotFile>> {
        state::files(state)
    }
}

struct JoinSide {
    collector: JoinCollector,
    state: LaneState,
}

struct Instance {
    name: Arc<str>,
    shape: Arc<Shape>,
    /// The left one and the right one.
    sides: Vec<JoinSide>,
    emitter: JoinEmitter,
    windows: Windows,
    /// That of the epoch that is open.
    watermark: Watermark,
}

impl KeyedInstance for Instance {
    fn collect(&mut self, side: usize, batch: &Batch) -> Result<Collected> {
        let time = self.shape.times.get(side).and_then(Option::as_deref);
        let side = self.sides.get_mut(side).ok_or_else(|| Error::bug("rows came for a third side of a join"))?;
        let collected = side.collector.collect(&batch.records)?;
        let rejects = rejects(collected.late, collected.rejects, time);
        Ok(Collected { rejects, filtered: collected.filtered, latest: collected.greatest_time })
    }

    fn seal(&mut self) -> Result<Sealed> {
        let runs = self.sides.iter_mut().map(|side| side.collector.seal()).collect::<Result<_>>()?;
        Ok(Arc::new(SealedRuns(runs)))
    }

    fn emit(&mut self, sealed: Vec<Sealed>, watermark: Watermark, deliver: &mut dyn FnMut(Batch) -> Result<()>) -> Result<Emission> {
        let [left, right] = &mut self.sides[..] else { return Err(Error::bug("a join does not have two sides")) };
        let (new_left, new_right) = (new_runs(&sealed, 0)?, new_runs(&sealed, 1)?);
        let (held_left, held_right) = (left.state.runs(), right.state.runs());
        let input = JoinInput {
            left: SideRuns { state: &held_left, new: &new_left },
            right: SideRuns { state: &held_right, new: &new_right },
            before: self.watermark.micros(),
            now: watermark.micros(),
        };
        let (name, shape) = (&self.name, &self.shape);
        let joined = self.emitter.emit(input, &mut |pairs| deliver(emitted(name, shape.of_pairs(&pairs)?)))?;
        self.watermark = watermark;
        let all = [&held_left, &new_left, &held_right, &new_right];
        let closed = closed(&self.windows, all.into_iter().flatten(), watermark);
        let watermark = watermark.micros();
        let mut parts = left.state.keep(Stays { kept: &joined.left, new: &new_left, added: None, watermark })?;
        parts.extend(right.state.keep(Stays { kept: &joined.right, new: &new_right, added: None, watermark })?);
        [left, right].into_iter().for_each(|side| side.collector.begin(watermark));
        let is_unchanged = held_left.is_empty() && held_right.is_empty() && parts.is_empty();
        Ok(Emission { change: if is_unchanged { None } else { Some(to_state(&parts)?) }, closed, ..Emission::default() })
    }
}
