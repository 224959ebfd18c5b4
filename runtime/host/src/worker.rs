//! The sandbox that an instance works in: when it is replaced, how long its calls may take, and what it has cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::Canceller;
use crate::error::{Fault, FaultKind, HostError};
use crate::faults::Faults;
use crate::limits::{FaultBudget, Limits, OnFault};
use crate::sandbox::{Sandbox, SandboxStats};

/// How many times longer than usual a call may take after a breach, before fewer rows are tried.
const CAUTION_FACTOR: u32 = 50;

/// What an instance may use, and what its faults lead to.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub limits: Limits,
    pub on_fault: OnFault,
    pub faults: FaultBudget,
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

/// The sandbox of one instance, or the place for the next one.
pub(crate) struct Worker {
    plugin: Arc<str>,
    rules: Rules,
    sandbox: Option<Sandbox>,
    /// Guilty records, failures without one, and missed deadlines.
    faults: Faults,
    canceller: Canceller,
    /// The memory past which the sandbox is replaced.
    renew_bytes: u64,
    /// The most time that a row has taken, averaged over its call.
    slowest_row: Duration,
    stats: InstanceStats,
}

impl Worker {
    pub fn new(plugin: Arc<str>, rules: Rules) -> Self {
        Self {
            plugin,
            sandbox: None,
            faults: Faults::new(rules.faults),
            canceller: Canceller::default(),
            renew_bytes: u64::MAX,
            slowest_row: Duration::ZERO,
            stats: InstanceStats::default(),
            rules,
        }
    }

    pub fn stats(&self) -> InstanceStats {
        let live = self.sandbox.as_ref().map_or(SandboxStats::default(), |sandbox| sandbox.stats);
        InstanceStats { calls: self.stats.calls + live.calls, time: self.stats.time + live.time, ..self.stats }
    }

    pub fn canceller(&self) -> &Canceller {
        &self.canceller
    }

    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn is_running(&self) -> bool {
        self.sandbox.is_some()
    }

    /// The running sandbox.
    pub fn sandbox(&mut self) -> Result<&mut Sandbox, HostError> {
        self.sandbox.as_mut().ok_or_else(|| HostError::bug("an opened plugin vanished"))
    }

    /// Puts a fresh sandbox in place.
    pub fn start(&mut self, open: impl FnOnce(&Limits, &Canceller) -> Result<Sandbox, HostError>) -> Result<(), HostError> {
        let opened = open(&self.rules.limits, &self.canceller);
        self.sandbox = Some(opened.inspect_err(|error| {
            if matches!(error, HostError::Cancelled { .. }) {
                self.canceller.consume();
            }
        })?);
        self.settle();
        Ok(())
    }

    /// Takes what the sandbox holds for what it needs, from which its memory may grow.
    pub fn settle(&mut self) {
        let (fresh, limits) = (self.memory_bytes(), &self.rules.limits);
        // A plugin that begins with nearly as much would be replaced all the time.
        self.renew_bytes = match limits.renew_bytes() {
            renew if fresh <= renew / 2 => renew,
            _ => fresh.midpoint(limits.memory_bytes),
        };
    }

    /// The linear memory of the sandbox.
    pub fn memory_bytes(&self) -> u64 {
        self.sandbox.as_ref().map_or(0, Sandbox::memory_bytes)
    }

    /// Whether the memory has grown past its bound.
    pub fn is_full(&self) -> bool {
        self.memory_bytes() > self.renew_bytes
    }

    /// Drops a sandbox for its memory: the next one will be fresh.
    pub fn renew(&mut self) {
        self.drop_sandbox();
        self.stats.renewals += 1;
    }

    pub fn drop_sandbox(&mut self) {
        if let Some(sandbox) = self.sandbox.take() {
            self.stats.calls += sandbox.stats.calls;
            self.stats.time += sandbox.stats.time;
        }
    }

    /// Calls the running sandbox with some rows.
    pub fn call<R>(&mut self, rows: usize, run: impl FnOnce(&mut Sandbox) -> Result<R, Fault>) -> Result<Result<R, Fault>, HostError> {
        let sandbox = self.sandbox()?;
        let before = sandbox.stats.time;
        let result = run(sandbox);
        if result.is_ok() {
            let row_time = sandbox.stats.time.saturating_sub(before) / u32::try_from(rows).unwrap_or(u32::MAX).max(1);
            self.slowest_row = self.slowest_row.max(row_time);
        }
        Ok(result)
    }

    /// The whole deadline, until one was missed of late. Then a share of it by rows, and no more than many times what rows have
    /// taken so far.
    pub fn deadline(&self, rows: usize, batch_rows: usize) -> Duration {
        let limits = &self.rules.limits;
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

    /// Counts rows that are passed to the instance.
    pub fn add_rows(&mut self, rows: usize) {
        self.faults.add_rows(rows);
    }

    /// Takes a call that failed: the sandbox is gone. An error: nothing more is to be tried.
    pub fn fail(&mut self, fault: &Fault) -> Result<(), HostError> {
        self.drop_sandbox();
        if fault.cancelled {
            self.canceller.consume();
            return Err(fault.clone().of(&self.plugin));
        }
        self.stats.faults += 1;
        if self.rules.on_fault == OnFault::Stop {
            return Err(fault.clone().of(&self.plugin));
        }
        if fault.kind == FaultKind::Deadline {
            self.faults.miss_deadline(Instant::now());
        }
        Ok(())
    }

    /// Takes a call that failed and must not: the sandbox is gone, and the fault is an error.
    pub fn stop(&mut self, fault: Fault) -> HostError {
        self.drop_sandbox();
        if fault.cancelled {
            self.canceller.consume();
        } else {
            self.stats.faults += 1;
        }
        fault.of(&self.plugin)
    }

    /// Counts a guilty row, or a batch that failed without one. An error: there were too many.
    pub fn count_fault(&mut self, fault: &Fault) -> Result<(), HostError> {
        if !self.faults.add(Instant::now()) {
            return Ok(());
        }
        let FaultBudget { faults, rows, period } = self.rules.faults;
        let message =
            format!("more than {faults} faults within {rows} rows or {} s; the last one: {}", period.as_secs_f32(), fault.message);
        Err(Fault { message, ..fault.clone() }.of(&self.plugin))
    }
}
