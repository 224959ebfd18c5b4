//! A plugin with its configuration and input schema fixed, and the instances that do the work.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use wasmill_boundary::Encoding;
use wasmill_boundary::budget::Budget;

use crate::answer::{self, Asked, RowReject};
use crate::assemble::{CallError, Called, assemble};
use crate::cancel::Canceller;
use crate::error::{Fault, FaultKind, HostError, Phase};
use crate::isolate::{FAULT_CODE, Parts, isolate};
use crate::merge::{Merge, PortOutput, Processed};
use crate::needs::InputPlan;
use crate::nulls::null_rows;
use crate::opening;
use crate::ports::{ColumnSource, Port};
use crate::sandbox::SandboxMaker;
use crate::select::Selected;
use crate::texts::Beginnings;
use crate::worker::{InstanceStats, Rules, Worker};
use crate::{contract, crossing};

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
        let worker = Worker::new(Arc::clone(&self.shared.maker.name), self.shared.rules.clone());
        let mut instance = Instance { shared: Arc::clone(&self.shared), worker, crossing: Vec::new() };
        instance.start()?;
        Ok(instance)
    }
}

/// A running plugin, to be used by one thread at a time. Records that it fails on are isolated.
/// Then it continues with a fresh WebAssembly instance.
pub struct Instance {
    shared: Arc<Shared>,
    worker: Worker,
    /// The bytes of the last batch that crossed: their memory is reused.
    crossing: Vec<u8>,
}

impl Instance {
    /// What it has done so far.
    pub fn stats(&self) -> InstanceStats {
        self.worker.stats()
    }

    /// What ends calls of this instance from other threads.
    pub fn canceller(&self) -> Canceller {
        self.worker.canceller().clone()
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
        let columns = shared.plan.convert(records, &shared.used)?;
        let mut batch = ProcessedParts { instance: self, columns: &columns, merge: Merge::new(rows), held_bytes: 0 };
        isolate(&mut batch, rows)?;
        batch.merge.finish(&shared.ports)
    }

    /// The plugin's result for some rows, and how many bytes it takes.
    fn call(&mut self, columns: &[Option<ArrayRef>], range: &Range<usize>, deadline: Duration) -> Result<(Processed, u64), CallError> {
        let shared = Arc::clone(&self.shared);
        let crossing = shared.plan.crossing_batch(columns, range.start, range.len()).map_err(CallError::Host)?;
        let table = shared.plan.writing.table(&crossing, std::mem::take(&mut self.crossing));
        let batch = contract::Batch { table: table.map_err(|message| CallError::Host(HostError::bug(message)))?, extra: Vec::new() };
        if self.worker.is_full() {
            self.worker.renew();
        }
        if !self.worker.is_running() {
            self.start().map_err(CallError::Host)?;
        }
        let raw = self.worker.call(range.len(), |sandbox| sandbox.process(&batch, deadline));
        let raw = raw.map_err(CallError::Host)?.map_err(CallError::Fault)?;
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

    fn start(&mut self) -> Result<(), HostError> {
        let shared = Arc::clone(&self.shared);
        self.worker.start(|limits, canceller| {
            let mut sandbox = shared.maker.start(limits, canceller).map_err(|fault| fault.of(&shared.maker.name))?;
            let ports = opening::transform(&mut sandbox, &shared.config, &shared.plan, shared.encoding)
                .map_err(|error| error.of(&shared.maker.name))?;
            if ports != shared.ports {
                let fault = Fault::new(Phase::Open, FaultKind::Unstable, "it changed its mind: a second instance opens other ports");
                return Err(fault.of(&shared.maker.name));
            }
            Ok(sandbox)
        })
    }
}

/// A batch that is processed part by part.
struct ProcessedParts<'a> {
    instance: &'a mut Instance,
    columns: &'a [Option<ArrayRef>],
    merge: Merge,
    held_bytes: u64,
}

impl Parts for ProcessedParts<'_> {
    fn worker(&mut self) -> &mut Worker {
        &mut self.instance.worker
    }

    fn call(&mut self, range: &Range<usize>, deadline: Duration) -> Result<(), CallError> {
        let (processed, bytes) = self.instance.call(self.columns, range, deadline)?;
        self.merge.add(range, processed);
        self.held_bytes = self.held_bytes.saturating_add(bytes);
        self.check_held().map_err(CallError::Host)
    }

    fn reject(&mut self, row: usize, fault: Fault) -> Result<(), HostError> {
        let reject = RowReject { row: 0, code: FAULT_CODE.to_owned(), column: None, message: fault.message };
        self.merge.add(&(row..row + 1), Processed { outputs: Vec::new(), rejects: vec![reject] });
        Ok(())
    }
}

impl ProcessedParts<'_> {
    /// A plugin that fails on every batch and returns something for every row must not fill memory
    /// with answers.
    fn check_held(&self) -> Result<(), HostError> {
        let rules = self.instance.worker.rules();
        let most = rules.limits.output_bytes.saturating_mul(MAX_ANSWERS_PER_BATCH);
        if self.held_bytes <= most {
            return Ok(());
        }
        let message = format!("its answers to the parts of one batch take more than {most} bytes");
        Err(Fault::new(Phase::Process, FaultKind::Output, message).of(self.instance.worker.plugin()))
    }
}

fn bytes_of(outputs: &[contract::Output]) -> u64 {
    let bytes = |output: &contract::Output| {
        output.table.as_ref().map_or(0, crossing::bytes_of) + output.origins.as_ref().map_or(0, |origins| size_of_val(origins.as_slice()))
    };
    outputs.iter().map(|output| bytes(output) as u64).sum()
}
