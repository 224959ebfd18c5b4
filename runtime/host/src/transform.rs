//! A plugin with its configuration and input schema fixed, and the instances that do the work.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use wasmill_boundary::Encoding;
use wasmill_boundary::budget::Budget;

use crate::answer::{self, Asked, RowReject};
use crate::assemble::{CallError, Called, assemble};
use crate::cancel::Canceller;
use crate::error::{Fault, FaultKind, HostError, Phase};
use crate::faults::Faults;
use crate::limits::{FaultBudget, Limits, OnFault};
use crate::merge::{Merge, PortOutput, Processed};
use crate::needs::InputPlan;
use crate::nulls::null_rows;
use crate::opening;
use crate::ports::{ColumnSource, Port};
use crate::sandbox::{Sandbox, SandboxMaker, SandboxStats};
use crate::select::Selected;
use crate::texts::Beginnings;
use crate::{contract, crossing};

/// The reject code of a record that the plugin fails on.
const FAULT_CODE: &str = "plugin-fault";

/// How many times longer than usual a call may take after a breach, before fewer rows are tried.
const CAUTION_FACTOR: u32 = 50;

/// The memory for crossing batches that an instance keeps between calls is at most this.
const KEPT_BYTES: usize = 64 << 20;

/// How many whole answers the parts of one batch may take together, when it had to be split.
const MAX_ANSWERS_PER_BATCH: u64 = 4;

/// An opened plugin: immutable and shareable between threads, each of which creates its own
/// [`Instance`].
#[derive(Clone)]
pub struct Transform {
    shared: Arc<Shared>,
}

struct Shared {
    maker: SandboxMaker,
    config: String,
    plan: InputPlan,
    ports: Vec<Port>,
    /// The input columns that cross or are passed on; the others are not even cast.
    used: Vec<bool>,
    /// The input columns whose values cross, and those of which some texts do.
    whole: Vec<usize>,
    peeked: Vec<usize>,
    encoding: Encoding,
    rules: Rules,
}

/// What an instance may use, and what its faults lead to.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub limits: Limits,
    pub on_fault: OnFault,
    pub faults: FaultBudget,
}

impl Transform {
    pub(crate) fn new(maker: SandboxMaker, config: String, plan: InputPlan, ports: Vec<Port>, encoding: Encoding, rules: Rules) -> Self {
        let mut used = vec![false; plan.input.fields().len()];
        let passed_on = ports.iter().flat_map(|port| &port.columns).filter_map(ColumnSource::input);
        for index in plan.crossing.iter().copied().chain(passed_on) {
            if let Some(used) = used.get_mut(index) {
                *used = true;
            }
        }
        let crossing = plan.crossing.iter().zip(&plan.beginnings);
        let (peeked, whole): (Vec<_>, Vec<_>) = crossing.partition(|(_, beginnings)| beginnings.is_some());
        let indices = |columns: Vec<(&usize, &Option<Beginnings>)>| columns.into_iter().map(|(index, _)| *index).collect();
        let (whole, peeked) = (indices(whole), indices(peeked));
        Self { shared: Arc::new(Shared { maker, config, plan, ports, used, whole, peeked, encoding, rules }) }
    }

    /// The plugin's outputs, by name; at least one.
    pub fn ports(&self) -> &[Port] {
        &self.shared.ports
    }

    /// The input columns whose values cross into the plugin, as indices into the input schema.
    pub fn crossing(&self) -> &[usize] {
        &self.shared.whole
    }

    /// The input columns of which nulls and some texts cross into the plugin ([`Crossing::BeginningWith`](crate::Crossing::BeginningWith)),
    /// as indices into the input schema.
    pub fn peeked(&self) -> &[usize] {
        &self.shared.peeked
    }

    /// The schema of the batches that its instances take.
    pub fn input(&self) -> &SchemaRef {
        &self.shared.plan.input
    }

    /// Creates an instance and opens it. Each thread needs its own. Create one and keep it: it
    /// costs as much as many batches.
    ///
    /// # Errors
    /// [`HostError::Fault`] if the plugin fails or opens other ports than before, [`HostError::Refusal`] if it now refuses.
    pub fn instance(&self) -> Result<Instance, HostError> {
        let mut instance = Instance {
            shared: Arc::clone(&self.shared),
            sandbox: None,
            crossing: Vec::new(),
            faults: Faults::new(self.shared.rules.faults),
            canceller: Canceller::default(),
            renew_bytes: u64::MAX,
            slowest_row: Duration::ZERO,
            stats: InstanceStats::default(),
        };
        instance.start()?;
        Ok(instance)
    }
}

/// What an instance has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceStats {
    /// Calls into the plugin.
    pub calls: u64,
    /// The time spent in them, copying across the boundary included.
    pub time: Duration,
    /// How often the plugin failed, and was replaced by a fresh instance.
    pub faults: u64,
    /// How often it was replaced between two calls because its memory had grown.
    pub renewals: u64,
}

/// A running plugin, to be used by one thread at a time. Records that it fails on are isolated.
/// Then it continues with a fresh WebAssembly instance.
pub struct Instance {
    shared: Arc<Shared>,
    sandbox: Option<Sandbox>,
    /// The bytes of the last batch that crossed: their memory is reused.
    crossing: Vec<u8>,
    /// Guilty records, failures without one, and missed deadlines.
    faults: Faults,
    canceller: Canceller,
    /// The memory past which the sandbox is replaced.
    renew_bytes: u64,
    /// The most time that a row has taken, averaged over its call.
    slowest_row: Duration,
    stats: InstanceStats,
}

impl Instance {
    /// What it has done so far.
    pub fn stats(&self) -> InstanceStats {
        let live = self.sandbox.as_ref().map_or(SandboxStats::default(), |sandbox| sandbox.stats);
        InstanceStats { calls: self.stats.calls + live.calls, time: self.stats.time + live.time, ..self.stats }
    }

    /// What ends calls of this instance from other threads.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Transforms one batch, which must have the schema of [`Transform::input`].
    ///
    /// A record that the plugin fails on is rejected with the code `plugin-fault`. One with a null
    /// where the plugin takes none is rejected with `unexpected-null`. The others are processed as
    /// if it had not been there.
    ///
    /// # Errors
    /// [`HostError::Fault`] on the first fault under [`OnFault::Stop`], when there were too many of late, or when the plugin can't
    /// be opened again; [`HostError::Cancelled`]. The instance may be used again after an error.
    pub fn process(&mut self, records: &RecordBatch) -> Result<Processed, HostError> {
        let shared = Arc::clone(&self.shared);
        let same_types = records.num_columns() == shared.plan.input.fields().len()
            && records.columns().iter().zip(shared.plan.input.fields()).all(|(column, field)| column.data_type() == field.data_type());
        if !same_types {
            return Err(HostError::bug(format!("{} received a batch of another schema than it was opened for", shared.maker.name)));
        }
        if u32::try_from(records.num_rows()).is_err() {
            return Err(HostError::bug(format!("{} received a batch of {} rows", shared.maker.name, records.num_rows())));
        }
        match null_rows(&shared.plan, records) {
            None => self.isolate(records),
            Some(nulls) => {
                let keep = BooleanArray::new(!nulls.rows.values(), None);
                let kept: Vec<u32> = keep.values().set_indices_u32().collect();
                let records = filter_record_batch(records, &keep)
                    .map_err(|error| HostError::bug(format!("cannot reject records with nulls: {error}")))?;
                Ok(self.isolate(&records)?.within(&kept, nulls.rejects))
            }
        }
    }

    /// Processes a batch in as few calls as possible: whole, and after a fault in halves, until the guilty records are alone.
    fn isolate(&mut self, records: &RecordBatch) -> Result<Processed, HostError> {
        let shared = Arc::clone(&self.shared);
        let rows = records.num_rows();
        if rows == 0 {
            return Ok(Processed::default());
        }
        self.faults.add_rows(rows);
        let columns = shared.plan.convert(records, &shared.used)?;
        let mut merge = Merge::new(rows);
        let mut todo: Vec<Range<usize>> = std::iter::once(0..rows).collect();
        let (mut failed, mut guilty, mut held_bytes) = (None, 0_u32, 0_u64);
        while let Some(range) = todo.pop() {
            let (fault, hurried) = match self.attempt(&columns, &range, rows)? {
                Attempt::Done { processed, bytes } => {
                    merge.add(&range, processed);
                    held_bytes = held_bytes.saturating_add(bytes);
                    self.check_held(held_bytes)?;
                    continue;
                }
                Attempt::Failed { fault, hurried } => (fault, hurried),
            };
            if range.len() > 1 {
                let middle = range.start + range.len() / 2;
                todo.push(middle..range.end);
                todo.push(range.start..middle);
            } else {
                guilty += 1;
                self.count_fault(&fault)?;
                let reject = RowReject { row: 0, code: FAULT_CODE.to_owned(), column: None, message: fault.message.clone() };
                merge.add(&range, Processed { outputs: Vec::new(), rejects: vec![reject] });
            }
            // Rows that take longer than usual on a busy machine are not a fault.
            if !hurried {
                failed = Some(fault);
            }
        }
        if let (Some(fault), 0) = (failed, guilty) {
            tracing::warn!(target: "wasmill::host", plugin = &*shared.maker.name, fault = fault.message, "a batch failed, but none of its records alone");
            self.count_fault(&fault)?;
        }
        merge.finish(&shared.ports)
    }

    fn count_fault(&mut self, fault: &Fault) -> Result<(), HostError> {
        if !self.faults.add(Instant::now()) {
            return Ok(());
        }
        let FaultBudget { faults, rows, period } = self.shared.rules.faults;
        let message =
            format!("more than {faults} faults within {rows} rows or {} s; the last one: {}", period.as_secs_f32(), fault.message);
        Err(Fault { message, ..fault.clone() }.of(&self.shared.maker.name))
    }

    /// A plugin that fails on every batch and returns something for every row must not fill memory
    /// with answers.
    fn check_held(&self, bytes: u64) -> Result<(), HostError> {
        let most = self.shared.rules.limits.output_bytes.saturating_mul(MAX_ANSWERS_PER_BATCH);
        if bytes <= most {
            return Ok(());
        }
        let message = format!("its answers to the parts of one batch take more than {most} bytes");
        Err(Fault::new(Phase::Process, FaultKind::Output, message).of(&self.shared.maker.name))
    }

    /// Processes some rows in one call. A single row that misses a deadline shorter than the limit
    /// is retried once with the whole time of a call. Otherwise it would be blamed for a busy
    /// machine.
    fn attempt(&mut self, columns: &[Option<ArrayRef>], range: &Range<usize>, batch_rows: usize) -> Result<Attempt, HostError> {
        let whole = self.shared.rules.limits.call;
        let mut deadline = self.deadline(range.len(), batch_rows);
        loop {
            let fault = match self.call(columns, range, deadline) {
                Ok((processed, bytes)) => return Ok(Attempt::Done { processed, bytes }),
                Err(CallError::Host(error)) => return Err(error),
                Err(CallError::Fault(fault)) => fault,
            };
            self.drop_sandbox();
            if fault.cancelled {
                self.canceller.consume();
                return Err(fault.of(&self.shared.maker.name));
            }
            self.stats.faults += 1;
            if self.shared.rules.on_fault == OnFault::Stop {
                return Err(fault.of(&self.shared.maker.name));
            }
            let missed = fault.kind == FaultKind::Deadline;
            if missed {
                self.faults.miss_deadline(Instant::now());
            }
            let hurried = missed && deadline < whole;
            if !hurried || range.len() > 1 {
                return Ok(Attempt::Failed { fault, hurried });
            }
            deadline = whole;
        }
    }

    /// The plugin's result for some rows, and how many bytes it takes.
    fn call(&mut self, columns: &[Option<ArrayRef>], range: &Range<usize>, deadline: Duration) -> Result<(Processed, u64), CallError> {
        let shared = Arc::clone(&self.shared);
        let crossing = shared.plan.crossing_batch(columns, range.start, range.len()).map_err(CallError::Host)?;
        let table = shared.plan.writing.table(&crossing, std::mem::take(&mut self.crossing));
        let batch = contract::Batch { table: table.map_err(|message| CallError::Host(HostError::bug(message)))?, extra: Vec::new() };
        self.renew();
        if self.sandbox.is_none() {
            self.start().map_err(CallError::Host)?;
        }
        let Some(sandbox) = &mut self.sandbox else { return Err(CallError::Host(HostError::bug("an opened plugin vanished"))) };
        let before = sandbox.stats.time;
        let raw = sandbox.process(&batch, deadline).map_err(CallError::Fault)?;
        let row_time = sandbox.stats.time.saturating_sub(before) / u32::try_from(range.len()).unwrap_or(u32::MAX).max(1);
        self.slowest_row = self.slowest_row.max(row_time);
        let handed_over = bytes_of(&raw.outputs);
        let budget = Budget::new(shared.rules.limits.output_bytes);
        let asked = Asked { ports: &shared.ports, rows: range.len(), encoding: shared.encoding, limits: &shared.rules.limits };
        let answer = answer::check(raw, &batch.table, &asked, &budget).map_err(CallError::Fault)?;
        self.crossing = crossing::memory_of(batch.table, KEPT_BYTES);
        let kept = answer.kept.map(Selected::new);
        let called = Called { columns, offset: range.start, rows: range.len(), kept };
        let mut outputs = Vec::with_capacity(answer.outputs.len());
        for part in answer.outputs {
            let index = part.port;
            let Some(port) = shared.ports.get(index) else { continue };
            let (records, origins) = assemble(part, port, &called, &budget)?;
            outputs.push(PortOutput { port: index, records, origins });
        }
        outputs.sort_by_key(|output| output.port);
        Ok((Processed { outputs, rejects: answer.rejects }, handed_over.saturating_add(budget.used())))
    }

    /// The whole deadline, until one was missed of late. Then a share of it by rows, and no more than many times what rows have
    /// taken so far.
    fn deadline(&self, rows: usize, batch_rows: usize) -> Duration {
        let limits = &self.shared.rules.limits;
        if !self.faults.is_cautious(Instant::now()) {
            return limits.call;
        }
        let (rows, batch_rows) = (u32::try_from(rows).unwrap_or(u32::MAX), u32::try_from(batch_rows).unwrap_or(u32::MAX).max(1));
        let mut share = limits.call.mul_f64(f64::from(rows) / f64::from(batch_rows));
        if !self.slowest_row.is_zero() {
            share = share.min(self.slowest_row.saturating_mul(rows.saturating_mul(CAUTION_FACTOR)));
        }
        (limits.call_floor + share).min(limits.call)
    }

    /// Drops a sandbox whose memory has grown past its bound.
    fn renew(&mut self) {
        if self.sandbox.as_ref().is_some_and(|sandbox| sandbox.memory_bytes() > self.renew_bytes) {
            self.drop_sandbox();
            self.stats.renewals += 1;
        }
    }

    fn start(&mut self) -> Result<(), HostError> {
        let sandbox = self.open().inspect_err(|error| {
            if matches!(error, HostError::Cancelled { .. }) {
                self.canceller.consume();
            }
        })?;
        let (fresh, limits) = (sandbox.memory_bytes(), &self.shared.rules.limits);
        // A plugin that begins with nearly as much would be replaced all the time.
        self.renew_bytes = match limits.renew_bytes() {
            renew if fresh <= renew / 2 => renew,
            _ => fresh.midpoint(limits.memory_bytes),
        };
        self.sandbox = Some(sandbox);
        Ok(())
    }

    fn open(&self) -> Result<Sandbox, HostError> {
        let shared = &self.shared;
        let mut sandbox = shared.maker.start(&shared.rules.limits, &self.canceller).map_err(|fault| fault.of(&shared.maker.name))?;
        let ports =
            opening::open(&mut sandbox, &shared.config, &shared.plan, shared.encoding).map_err(|error| error.of(&shared.maker.name))?;
        if ports != shared.ports {
            let fault = Fault::new(Phase::Open, FaultKind::Unstable, "it changed its mind: a second instance opens other ports");
            return Err(fault.of(&shared.maker.name));
        }
        Ok(sandbox)
    }

    fn drop_sandbox(&mut self) {
        if let Some(sandbox) = self.sandbox.take() {
            self.stats.calls += sandbox.stats.calls;
            self.stats.time += sandbox.stats.time;
        }
    }
}

/// How an attempt to process some rows ended.
enum Attempt {
    /// The bytes are those that the answer takes.
    Done { processed: Processed, bytes: u64 },
    /// `hurried`: only a deadline was missed that is shorter than the limit.
    Failed { fault: Fault, hurried: bool },
}

fn bytes_of(outputs: &[contract::Output]) -> u64 {
    let bytes = |output: &contract::Output| {
        output.table.as_ref().map_or(0, crossing::bytes_of) + output.origins.as_ref().map_or(0, |origins| size_of_val(origins.as_slice()))
    };
    outputs.iter().map(|output| bytes(output) as u64).sum()
}
