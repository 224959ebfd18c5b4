//! The groups of one thread in a sandbox, carried over when the sandbox is replaced.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use wasmill_boundary::sizes::range_bytes;

use super::answer::{Asked, check_grouped, check_updated, nothing};
use super::history::{History, Taken};
use super::{Grouped, Shared};
use crate::answer::RowReject;
use crate::assemble::CallError;
use crate::cancel::Canceller;
use crate::error::{Fault, FaultKind, HostError, Phase};
use crate::isolate::{FAULT_CODE, Parts, isolate};
use crate::nulls::null_rows;
use crate::worker::{InstanceStats, Worker};
use crate::{contract, crossing, opening};

/// The memory for crossing tables that an instance keeps between calls is at most this.
const KEPT_BYTES: usize = 64 << 20;

/// States are merged in calls of at most so many rows and so many bytes.
const MERGED_ROWS: usize = 65_536;
const MERGED_BYTES: u64 = 8 << 20;

/// A sandbox that has grown by more than this is replaced once its groups are taken: memory never shrinks, and what it holds would no longer
/// tell how much the next groups take.
const GROWN_BYTES: u64 = 4 << 20;

/// What an instance is said to hold whose sandbox is full: more than any bound, and little enough for many to be added up.
const FULL_BYTES: usize = 1 << 48;

/// The groups of one thread, in a running plugin. Records that it fails on are isolated; the groups are then built again in a fresh
/// WebAssembly instance.
pub struct AggregateInstance {
    shared: Arc<Shared>,
    worker: Worker,
    history: History,
    /// There are groups `0..count`.
    count: u32,
    /// The linear memory without groups.
    empty_bytes: u64,
    /// The bytes of the last table that crossed: their memory is reused.
    crossing: Vec<u8>,
}

impl AggregateInstance {
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self, HostError> {
        let worker = Worker::new(Arc::clone(&shared.maker.name), shared.rules.clone());
        let mut instance = Self { shared, worker, history: History::default(), count: 0, empty_bytes: 0, crossing: Vec::new() };
        instance.start_sandbox()?;
        Ok(instance)
    }

    /// What it has done so far.
    pub fn stats(&self) -> InstanceStats {
        self.worker.stats()
    }

    /// What ends calls of this instance from other threads.
    pub fn canceller(&self) -> Canceller {
        self.worker.canceller().clone()
    }

    /// The bytes that its groups take: what its linear memory has grown by, and what the host keeps to build them again. Where the memory has
    /// grown past [`Limits::renew_bytes`](crate::Limits::renew_bytes), it is more than any bound, so that a caller that spills takes the state
    /// before the plugin's own limit is reached.
    pub fn memory_bytes(&self) -> usize {
        if self.worker.is_full() {
            return FULL_BYTES;
        }
        let grown = self.worker.memory_bytes().saturating_sub(self.empty_bytes);
        usize::try_from(grown).unwrap_or(usize::MAX).saturating_add(self.history.bytes())
    }

    /// Adds rows to groups: row `i` of a batch with the schema of [`Aggregate::input`](super::Aggregate::input) belongs to `groups[i]`.
    /// There are `count` groups from now on, and `count` never decreases until the groups are taken. Returns the rows that are rejected, in
    /// increasing order; they have changed nothing.
    ///
    /// A record that the plugin fails on is rejected with the code `plugin-fault`, one with a null where the plugin takes none with
    /// `unexpected-null`. The others are added as if it had not been there.
    ///
    /// # Errors
    /// [`HostError::Fault`] on the first fault under [`OnFault::Stop`](crate::OnFault::Stop), when there were too many of late, or when the
    /// groups can't be built again; [`HostError::Cancelled`]. Some rows of the batch may be added then.
    pub fn update(&mut self, records: &RecordBatch, groups: &[u32], count: u32) -> Result<Vec<RowReject>, HostError> {
        let input = Arc::clone(&self.shared.plan.input);
        self.check(records, &input, groups, count)?;
        self.count = count;
        match null_rows(&self.shared.plan, records) {
            None => self.isolate(records, groups),
            Some(nulls) => {
                let keep = BooleanArray::new(!nulls.rows.values(), None);
                let kept: Vec<u32> = keep.values().set_indices_u32().collect();
                let groups: Vec<u32> = kept.iter().filter_map(|&row| groups.get(row as usize).copied()).collect();
                let records = filter_record_batch(records, &keep)
                    .map_err(|error| HostError::bug(format!("cannot reject records with nulls: {error}")))?;
                let rejects = self.isolate(&records, &groups)?.into_iter();
                let in_batch = |reject: RowReject| Some(RowReject { row: *kept.get(reject.row as usize)?, ..reject });
                let mut rejects: Vec<RowReject> = rejects.filter_map(in_batch).chain(nulls.rejects).collect();
                rejects.sort_by_key(|reject| reject.row);
                Ok(rejects)
            }
        }
    }

    /// Adds states that instances of this aggregate have returned, with the schema of [`Aggregate::state_schema`](super::Aggregate::state_schema).
    /// `groups` and `count` as in [`update`](Self::update).
    ///
    /// # Errors
    /// [`HostError::Fault`] if the plugin fails, [`HostError::Cancelled`]. All groups are lost then.
    pub fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<(), HostError> {
        let schema = Arc::clone(&self.shared.shape.state);
        self.check(states, &schema, groups, count)?;
        self.count = count;
        if states.num_rows() == 0 {
            return Ok(());
        }
        let merged = self.merge_all(states, groups, count);
        merged.inspect_err(|_| self.clear())
    }

    /// The state of all groups in increasing order. The instance then has none.
    ///
    /// # Errors
    /// [`HostError::Fault`] if the plugin fails or its answer breaks the contract, [`HostError::Cancelled`]. All groups are lost then.
    pub fn take_state(&mut self) -> Result<Grouped, HostError> {
        self.take(Phase::TakeState)
    }

    /// The results of all groups in increasing order. The instance then has none. A group may have several rows or none.
    ///
    /// # Errors
    /// [`HostError::Fault`] if the plugin fails or its answer breaks the contract, [`HostError::Cancelled`]. All groups are lost then.
    pub fn finish(&mut self) -> Result<Grouped, HostError> {
        self.take(Phase::Finish)
    }

    fn check(&self, records: &RecordBatch, schema: &SchemaRef, groups: &[u32], count: u32) -> Result<(), HostError> {
        let plugin = self.worker.plugin();
        let same_types = records.num_columns() == schema.fields().len()
            && records.columns().iter().zip(schema.fields()).all(|(column, field)| column.data_type() == field.data_type());
        if !same_types {
            return Err(HostError::bug(format!("{plugin} received rows of another schema than it was opened for")));
        }
        if u32::try_from(records.num_rows()).is_err() || groups.len() != records.num_rows() {
            return Err(HostError::bug(format!("{plugin} received {} rows and {} groups", records.num_rows(), groups.len())));
        }
        if count < self.count || groups.iter().any(|&group| group >= count) {
            return Err(HostError::bug(format!("{plugin} received rows of other groups than 0..{count}, after {}", self.count)));
        }
        Ok(())
    }

    fn isolate(&mut self, records: &RecordBatch, groups: &[u32]) -> Result<Vec<RowReject>, HostError> {
        let rows = records.num_rows();
        if rows == 0 {
            return Ok(Vec::new());
        }
        let shared = Arc::clone(&self.shared);
        let columns = shared.plan.convert(records, &shared.used)?;
        let table = shared.plan.crossing_batch(&columns, 0, rows)?;
        if self.history.calls().is_none() {
            self.snapshot()?;
        }
        let mut parts = UpdatedParts { instance: self, table: &table, groups, rejects: Vec::new() };
        isolate(&mut parts, rows)?;
        let rejects = parts.rejects;
        if self.history.is_long() && self.worker.is_running() {
            self.snapshot()?;
        }
        Ok(rejects)
    }

    fn merge_all(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<(), HostError> {
        self.ready()?;
        self.send_states(states, groups, count)?;
        self.history.push(Taken::States { table: states.clone(), groups: groups.to_vec(), count });
        if self.history.is_long() && !self.history.forget_states() {
            self.snapshot()?;
        }
        Ok(())
    }

    fn take(&mut self, phase: Phase) -> Result<Grouped, HostError> {
        let taken = self.ready().and_then(|()| self.call_take(phase));
        self.clear();
        taken
    }

    /// Forgets all groups, which are taken or lost.
    fn clear(&mut self) {
        self.history = History::default();
        self.count = 0;
        if self.worker.memory_bytes() > self.empty_bytes.saturating_add(GROWN_BYTES) {
            self.worker.renew();
        }
        self.worker.settle();
        self.empty_bytes = self.worker.memory_bytes();
    }

    /// A sandbox that holds all groups and is not full.
    fn ready(&mut self) -> Result<(), HostError> {
        if self.worker.is_full() {
            let state = self.call_take(Phase::TakeState)?;
            self.history.begin_with(state, self.count);
            self.worker.renew();
        }
        if self.worker.is_running() { Ok(()) } else { self.restore() }
    }

    /// Starts a sandbox and builds the groups again in it.
    fn restore(&mut self) -> Result<(), HostError> {
        self.start_sandbox()?;
        let history = std::mem::take(&mut self.history);
        let replayed = history.calls().unwrap_or_default().iter().try_for_each(|taken| self.replay(taken));
        self.history = history;
        replayed?;
        self.worker.settle();
        if self.history.is_worth_a_snapshot() { self.snapshot() } else { Ok(()) }
    }

    fn replay(&mut self, taken: &Taken) -> Result<(), HostError> {
        match taken {
            Taken::States { table, groups, count } => self.send_states(table, groups, *count),
            Taken::Rows { table, groups, count, rejected } => {
                let whole = self.shared.rules.limits.call;
                let again = match self.send_rows(table, groups, *count, whole) {
                    Ok(rejects) if rejects.iter().map(|reject| &reject.row).eq(rejected) => return Ok(()),
                    Ok(_) => {
                        let message = "it changed its mind: rows that it took before are sent again, and it rejects others of them";
                        Fault::new(Phase::Update, FaultKind::Unstable, message)
                    }
                    Err(CallError::Host(error)) => return Err(error),
                    Err(CallError::Fault(fault)) => Fault {
                        message: format!("it failed on rows that it took before, and that were sent again: {}", fault.message),
                        ..fault
                    },
                };
                Err(self.worker.stop(again))
            }
        }
    }

    /// Takes the state and merges it again: what came before need not be kept.
    fn snapshot(&mut self) -> Result<(), HostError> {
        let state = self.call_take(Phase::TakeState)?;
        let groups: Vec<u32> = state.groups.clone().unwrap_or_else(|| (0..self.count).collect());
        self.send_states(&state.records, &groups, self.count)?;
        self.history.begin_with(state, self.count);
        Ok(())
    }

    fn start_sandbox(&mut self) -> Result<(), HostError> {
        let shared = Arc::clone(&self.shared);
        self.worker.start(|limits, canceller| {
            let of_plugin = |fault: Fault| fault.of(&shared.maker.name);
            let mut sandbox = shared.maker.start(limits, canceller).map_err(of_plugin)?;
            let shape = opening::aggregate(&mut sandbox, &shared.config, &shared.plan, shared.encoding)
                .map_err(|error| error.of(&shared.maker.name))?;
            shared.shape.check_stable(&shape).map_err(of_plugin)?;
            Ok(sandbox)
        })?;
        self.empty_bytes = self.worker.memory_bytes();
        Ok(())
    }

    /// Sends rows in one call; the rows that the plugin rejects.
    fn send_rows(&mut self, table: &RecordBatch, groups: &[u32], count: u32, deadline: Duration) -> Result<Vec<RowReject>, CallError> {
        let table = self.written(table).map_err(CallError::Host)?;
        let batch = contract::Batch { table, extra: Vec::new() };
        let rows = groups.len();
        let updated = self.worker.call(rows, |sandbox| sandbox.update(&batch, groups, count, deadline));
        self.crossing = crossing::memory_of(batch.table, KEPT_BYTES);
        let updated = updated.map_err(CallError::Host)?.map_err(CallError::Fault)?;
        check_updated(updated, rows).map_err(CallError::Fault)
    }

    /// Sends states in as many calls as their size needs.
    fn send_states(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<(), HostError> {
        let rows = states.num_rows();
        let bytes: u64 = states.columns().iter().map(|column| range_bytes(column.as_ref(), 0, rows)).sum();
        let calls = bytes.div_ceil(MERGED_BYTES).max(1);
        let step = rows.div_ceil(usize::try_from(calls).unwrap_or(usize::MAX)).clamp(1, MERGED_ROWS);
        for start in (0..rows).step_by(step) {
            let length = step.min(rows - start);
            let table = self.written(&states.slice(start, length))?;
            let merged = self.worker.sandbox()?.merge(&table, &groups[start..start + length], count);
            self.crossing = crossing::memory_of(table, KEPT_BYTES);
            merged.map_err(|fault| self.worker.stop(fault))?;
        }
        Ok(())
    }

    fn written(&mut self, table: &RecordBatch) -> Result<contract::Table, HostError> {
        self.shared.plan.writing.table(table, std::mem::take(&mut self.crossing)).map_err(HostError::bug)
    }

    /// Calls `take-state` or `finish`.
    fn call_take(&mut self, phase: Phase) -> Result<Grouped, HostError> {
        let shared = Arc::clone(&self.shared);
        let schema = if phase == Phase::Finish { &shared.shape.output } else { &shared.shape.state };
        if self.count == 0 {
            return Ok(nothing(schema));
        }
        let sandbox = self.worker.sandbox()?;
        let answer = if phase == Phase::Finish { sandbox.finish(self.count) } else { sandbox.take_state(self.count) };
        let asked = Asked { phase, schema, count: self.count, encoding: shared.encoding, limits: &shared.rules.limits };
        answer.and_then(|answer| check_grouped(answer, &asked)).map_err(|fault| self.worker.stop(fault))
    }
}

/// A batch that is added part by part.
struct UpdatedParts<'a> {
    instance: &'a mut AggregateInstance,
    table: &'a RecordBatch,
    groups: &'a [u32],
    rejects: Vec<RowReject>,
}

impl Parts for UpdatedParts<'_> {
    fn worker(&mut self) -> &mut Worker {
        &mut self.instance.worker
    }

    fn call(&mut self, range: &Range<usize>, deadline: Duration) -> Result<(), CallError> {
        let instance = &mut *self.instance;
        instance.ready().map_err(CallError::Host)?;
        let (table, groups, count) = (self.table.slice(range.start, range.len()), &self.groups[range.clone()], instance.count);
        let rejects = instance.send_rows(&table, groups, count, deadline)?;
        let rejected = rejects.iter().map(|reject| reject.row).collect();
        instance.history.push(Taken::Rows { table, groups: groups.to_vec(), count, rejected });
        let start = range.start as u32;
        self.rejects.extend(rejects.into_iter().map(|reject| RowReject { row: reject.row + start, ..reject }));
        Ok(())
    }

    fn reject(&mut self, row: usize, fault: Fault) -> Result<(), HostError> {
        if matches!(fault.kind, FaultKind::Memory | FaultKind::Deadline) && self.fits_alone(row)? {
            let message = format!("{} groups are too many for one instance: {}", self.instance.count, fault.message);
            return Err(Fault { message, ..fault }.of(self.instance.worker.plugin()));
        }
        self.rejects.push(RowReject { row: row as u32, code: FAULT_CODE.to_owned(), column: None, message: fault.message });
        Ok(())
    }
}

impl UpdatedParts<'_> {
    /// Whether a row that fails beside all groups is taken where it is the only one: then it is not to blame.
    fn fits_alone(&mut self, row: usize) -> Result<bool, HostError> {
        let instance = &mut *self.instance;
        instance.start_sandbox()?;
        let whole = instance.shared.rules.limits.call;
        let sent = instance.send_rows(&self.table.slice(row, 1), &[0], 1, whole);
        instance.worker.drop_sandbox();
        match sent {
            Ok(_) => Ok(true),
            Err(CallError::Fault(fault)) if fault.cancelled => Err(fault.of(instance.worker.plugin())),
            Err(CallError::Fault(_)) => Ok(false),
            Err(CallError::Host(error)) => Err(error),
        }
    }
}
