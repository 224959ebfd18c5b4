//! One live WebAssembly instance: every call has a deadline, a fresh log and, when it fails, a name
//! for the failure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmill_boundary::text::printable;
use wasmtime::component::InstancePre;
use wasmtime::{Store, Trap};

use crate::cancel::{Cancelled, Canceller};
use crate::contract::{
    Answer, Batch, Description, Grouped, Needs, OpenedAggregate, OpenedTransform, Opening, Refusal, Table, Updated, about, aggregate,
    transform,
};
use crate::error::{Fault, FaultKind, Phase};
use crate::limits::Limits;
use crate::linker::Forbidden;
use crate::log::{Log, LogSink, last_words};
use crate::store::{Breach, Limiter, Random, StoreData};
use crate::ticker::Ticker;

/// The longest message of a fault.
const MAX_MESSAGE_BYTES: usize = 1000;

/// Creates sandboxes of one plugin.
#[derive(Clone)]
pub(crate) struct SandboxMaker {
    pub name: Arc<str>,
    pub pre: InstancePre<StoreData>,
    pub about: about::GuestIndices,
    pub transform: Option<transform::GuestIndices>,
    pub aggregate: Option<aggregate::GuestIndices>,
    pub ticker: Arc<Ticker>,
    pub log: LogSink,
}

/// An instance that has not trapped yet. After a fault it must not be called again.
pub(crate) struct Sandbox {
    store: Store<StoreData>,
    about: about::Guest,
    transform: Option<transform::Guest>,
    aggregate: Option<aggregate::Guest>,
    ticker: Arc<Ticker>,
    deadline: Duration,
    pub stats: SandboxStats,
}

/// What a plugin is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Transform,
    Aggregate,
}

/// What calls have cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SandboxStats {
    pub calls: u64,
    pub time: Duration,
}

impl SandboxMaker {
    /// Instantiates the plugin: runs its start functions under the deadline of a call.
    pub fn start(&self, limits: &Limits, canceller: &Canceller) -> Result<Sandbox, Fault> {
        let data = StoreData {
            log: Log::new(Arc::clone(&self.name), Arc::clone(&self.log), limits.log_bytes),
            canceller: canceller.clone(),
            ticks: 0,
            limiter: Limiter::new(limits),
            random: Random::new(),
        };
        let mut store = Store::new(self.pre.engine(), data);
        store.limiter(|data| &mut data.limiter);
        store.epoch_deadline_callback(|mut store| store.data_mut().tick());
        store.set_hostcall_fuel(usize::try_from(limits.output_bytes).unwrap_or(usize::MAX));
        let mut stats = SandboxStats::default();
        let (about, transform, aggregate) = call(&mut store, &self.ticker, limits.call, Phase::Initialisation, &mut stats, |store| {
            let instance = self.pre.instantiate(&mut *store)?;
            let transform = self.transform.as_ref().map(|indices| indices.load(&mut *store, &instance)).transpose()?;
            let aggregate = self.aggregate.as_ref().map(|indices| indices.load(&mut *store, &instance)).transpose()?;
            Ok((self.about.load(&mut *store, &instance)?, transform, aggregate))
        })?;
        Ok(Sandbox { store, about, transform, aggregate, ticker: Arc::clone(&self.ticker), deadline: limits.call, stats })
    }
}

impl Sandbox {
    /// The linear memory that it holds.
    pub fn memory_bytes(&self) -> u64 {
        self.store.data().limiter.memory_bytes()
    }

    fn transform<R>(
        &mut self,
        phase: Phase,
        deadline: Duration,
        run: impl FnOnce(&transform::Guest, &mut Store<StoreData>) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        let Some(guest) = &self.transform else { return Err(not_exported(phase, "transform")) };
        call(&mut self.store, &self.ticker, deadline, phase, &mut self.stats, |store| run(guest, store))
    }

    fn aggregate<R>(
        &mut self,
        phase: Phase,
        deadline: Duration,
        run: impl FnOnce(&aggregate::Guest, &mut Store<StoreData>) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        let Some(guest) = &self.aggregate else { return Err(not_exported(phase, "aggregate")) };
        call(&mut self.store, &self.ticker, deadline, phase, &mut self.stats, |store| run(guest, store))
    }

    pub fn describe(&mut self) -> Result<Description, Fault> {
        call(&mut self.store, &self.ticker, self.deadline, Phase::Describe, &mut self.stats, |store| self.about.call_describe(store))
    }

    /// `prepare` of one of the interfaces.
    pub fn prepare(&mut self, work: Work, config: &str) -> Result<Result<Needs, Refusal>, Fault> {
        let extra = Vec::new();
        match work {
            Work::Transform => self.transform(Phase::Prepare, self.deadline, |guest, store| guest.call_prepare(store, config, &extra)),
            Work::Aggregate => self.aggregate(Phase::Prepare, self.deadline, |guest, store| guest.call_prepare(store, config, &extra)),
        }
    }

    pub fn open_transform(&mut self, opening: &Opening) -> Result<Result<OpenedTransform, Refusal>, Fault> {
        self.transform(Phase::Open, self.deadline, |guest, store| guest.call_open(store, opening))
    }

    pub fn process(&mut self, batch: &Batch, deadline: Duration) -> Result<Answer, Fault> {
        let answer = self.transform(Phase::Process, deadline, |guest, store| guest.call_process(store, batch))?;
        answer.map_err(|refusal| refused(Phase::Process, "the batch", &refusal))
    }

    pub fn open_aggregate(&mut self, opening: &Opening) -> Result<Result<OpenedAggregate, Refusal>, Fault> {
        self.aggregate(Phase::Open, self.deadline, |guest, store| guest.call_open(store, opening))
    }

    pub fn update(&mut self, batch: &Batch, groups: &[u32], count: u32, deadline: Duration) -> Result<Updated, Fault> {
        let updated = self.aggregate(Phase::Update, deadline, |guest, store| guest.call_update(store, batch, groups, count))?;
        updated.map_err(|refusal| refused(Phase::Update, "the batch", &refusal))
    }

    pub fn merge(&mut self, states: &Table, groups: &[u32], count: u32) -> Result<(), Fault> {
        let merged = self.aggregate(Phase::Merge, self.deadline, |guest, store| guest.call_merge(store, states, groups, count))?;
        merged.map_err(|refusal| refused(Phase::Merge, "the states", &refusal))
    }

    pub fn take_state(&mut self, count: u32) -> Result<Grouped, Fault> {
        let taken = self.aggregate(Phase::TakeState, self.deadline, |guest, store| guest.call_take_state(store, count))?;
        taken.map_err(|refusal| refused(Phase::TakeState, "to give its state", &refusal))
    }

    pub fn finish(&mut self, count: u32) -> Result<Grouped, Fault> {
        let finished = self.aggregate(Phase::Finish, self.deadline, |guest, store| guest.call_finish(store, count))?;
        finished.map_err(|refusal| refused(Phase::Finish, "to finish its groups", &refusal))
    }
}

/// A refusal after `open`: the plugin can't go on, so it is a fault.
fn refused(phase: Phase, what: &str, refusal: &Refusal) -> Fault {
    Fault::new(phase, FaultKind::Refused, format!("it refused {what}: {}", printable(&refusal.message, MAX_MESSAGE_BYTES)))
}

/// The host asks for an interface only where a plugin exports it.
fn not_exported(phase: Phase, interface: &str) -> Fault {
    Fault::answer(phase, format!("it does not export the interface `{interface}`"))
}

fn call<R>(
    store: &mut Store<StoreData>,
    ticker: &Ticker,
    deadline: Duration,
    phase: Phase,
    stats: &mut SandboxStats,
    run: impl FnOnce(&mut Store<StoreData>) -> wasmtime::Result<R>,
) -> Result<R, Fault> {
    let data = store.data_mut();
    if data.canceller.is_cancelled() {
        return Err(Fault { cancelled: true, ..Fault::new(phase, FaultKind::Deadline, Cancelled.to_string()) });
    }
    data.log.begin_call();
    data.random.begin_call();
    let running =
        ticker.run().map_err(|error| Fault::new(phase, FaultKind::Deadline, format!("there is no thread to time it: {error}")))?;
    store.data_mut().ticks = Ticker::ticks(deadline);
    store.set_epoch_deadline(1);
    let start = Instant::now();
    let result = run(store);
    stats.time += start.elapsed();
    stats.calls += 1;
    drop(running);
    let log = store.data_mut().log.end_call();
    result.map_err(|error| {
        if error.downcast_ref::<Cancelled>().is_some() {
            return Fault { cancelled: true, ..Fault::new(phase, FaultKind::Deadline, Cancelled.to_string()) };
        }
        let (kind, message) = explain(&error, phase, deadline, &log);
        Fault { log, ..Fault::new(phase, kind, message) }
    })
}

/// What an error of wasmtime means to the plugin's author.
fn explain(error: &wasmtime::Error, phase: Phase, deadline: Duration, log: &[String]) -> (FaultKind, String) {
    if let Some(breach) = error.downcast_ref::<Breach>() {
        let kind = match breach {
            Breach::Memory { .. } => FaultKind::Memory,
            Breach::Table { .. } => FaultKind::Table,
        };
        return (kind, breach.to_string());
    }
    if let Some(forbidden) = error.downcast_ref::<Forbidden>() {
        return (FaultKind::Forbidden, forbidden.to_string());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => (FaultKind::Deadline, format!("it took longer than {} ms", deadline.as_millis())),
        Some(Trap::StackOverflow) => (FaultKind::Stack, "its call stack is exhausted: it recurses too deeply".to_owned()),
        Some(trap) => {
            let trap = trap.to_string();
            let trap = trap.strip_prefix("wasm trap: ").unwrap_or(&trap);
            let message = match last_words(log) {
                Some(words) if words.starts_with("panicked at ") => words,
                Some(words) => format!("{trap}; its last output: {words}"),
                None => trap.to_owned(),
            };
            (FaultKind::Trap, printable(&message, MAX_MESSAGE_BYTES))
        }
        None => {
            let message = printable(&format!("{:#}", error.root_cause()), MAX_MESSAGE_BYTES);
            // wasmtime keeps the type of this error to itself; its text is pinned by a test.
            if message.contains("fuel allocated for hostcalls") {
                return (FaultKind::Output, "it returned more bytes than its output limit allows".to_owned());
            }
            (FaultKind::Answer, if phase == Phase::Initialisation { message } else { format!("its answer can't be read: {message}") })
        }
    }
}
