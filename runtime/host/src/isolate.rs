//! Finds the rows of a batch that a plugin fails on, in as few calls as possible.

use std::ops::Range;
use std::time::Duration;

use crate::assemble::CallError;
use crate::error::{Fault, FaultKind, HostError};
use crate::worker::Worker;

/// The reject code of a record that the plugin fails on.
pub(crate) const FAULT_CODE: &str = "plugin-fault";

/// The work on one batch, which can be done in parts.
pub(crate) trait Parts {
    fn worker(&mut self) -> &mut Worker;

    /// Does the work on some rows in one call, and keeps its result. Parts come in the order of their rows.
    fn call(&mut self, rows: &Range<usize>, deadline: Duration) -> Result<(), CallError>;

    /// Takes a row that the plugin fails on by itself.
    fn reject(&mut self, row: usize, fault: Fault) -> Result<(), HostError>;
}

/// Works on a batch: whole, and after a fault in halves, until the guilty records are alone.
pub(crate) fn isolate(parts: &mut impl Parts, rows: usize) -> Result<(), HostError> {
    parts.worker().add_rows(rows);
    let mut todo: Vec<Range<usize>> = std::iter::once(0..rows).collect();
    let (mut failed, mut guilty) = (None, 0_u32);
    while let Some(range) = todo.pop() {
        let Some(Failed { fault, hurried }) = attempt(parts, &range, rows)? else { continue };
        // Rows that take longer than usual on a busy machine are not a fault.
        if !hurried {
            failed = Some(fault.clone());
        }
        if range.len() > 1 {
            let middle = range.start + range.len() / 2;
            todo.push(middle..range.end);
            todo.push(range.start..middle);
        } else {
            guilty += 1;
            parts.worker().count_fault(&fault)?;
            parts.reject(range.start, fault)?;
        }
    }
    if let (Some(fault), 0) = (failed, guilty) {
        let worker = parts.worker();
        tracing::warn!(target: "wasmill::host", plugin = worker.plugin(), fault = fault.message, "a batch failed, but none of its records alone");
        worker.count_fault(&fault)?;
    }
    Ok(())
}

/// A call that failed. `hurried`: only a deadline was missed that is shorter than the limit.
struct Failed {
    fault: Fault,
    hurried: bool,
}

/// Works on some rows in one call. A single row that misses a deadline shorter than the limit is retried once with the whole time of a call.
/// Otherwise it would be blamed for a busy machine.
fn attempt(parts: &mut impl Parts, range: &Range<usize>, batch_rows: usize) -> Result<Option<Failed>, HostError> {
    let whole = parts.worker().rules().limits.call;
    let mut deadline = parts.worker().deadline(range.len(), batch_rows);
    loop {
        let fault = match parts.call(range, deadline) {
            Ok(()) => return Ok(None),
            Err(CallError::Host(error)) => return Err(error),
            Err(CallError::Fault(fault)) => fault,
        };
        parts.worker().fail(&fault)?;
        let hurried = fault.kind == FaultKind::Deadline && deadline < whole;
        if !hurried || range.len() > 1 {
            return Ok(Some(Failed { fault, hurried }));
        }
        deadline = whole;
    }
}
