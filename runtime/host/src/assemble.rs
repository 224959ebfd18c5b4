//! Assembles a port's rows from what the plugin computed and what the host passes on, selected and
//! masked.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_select::nullif::nullif;
use arrow_select::take::take;
use wasmill_boundary::budget::{Budget, OverBudget};
use wasmill_boundary::sizes::gathered_bytes;

use crate::answer::{PortAnswer, Rows};
use crate::error::{Fault, FaultKind, HostError, Phase};
use crate::needs::cast_exactly;
use crate::ports::{ColumnSource, Port};
use crate::select::{NotSelected, Selected};

/// What can go wrong here: the plugin's fault, or ours.
pub(crate) enum CallError {
    Fault(Fault),
    Host(HostError),
}

/// The rows of the host's that one call was about.
pub(crate) struct Called<'a> {
    /// The used columns of the whole batch.
    pub columns: &'a [Option<ArrayRef>],
    /// The first row that crossed.
    pub offset: usize,
    /// How many crossed.
    pub rows: usize,
    /// The rows that the plugin did not reject; `None` means all.
    pub kept: Option<Selected>,
}

/// How the host's columns become a port's.
enum Gather<'a> {
    /// They are shared.
    All,
    Filter(&'a Selected),
    Take(UInt32Array),
}

impl Gather<'_> {
    fn apply(&self, array: ArrayRef, budget: &Budget) -> Result<ArrayRef, CallError> {
        match self {
            Self::All => Ok(array),
            Self::Filter(selected) => selected.filter(&array, budget).map_err(|error| match error {
                NotSelected::OverBudget(error) => CallError::Fault(Fault::new(Phase::Process, FaultKind::Output, error.to_string())),
                NotSelected::Arrow(error) => ours(format!("cannot filter a column: {error}")),
            }),
            Self::Take(indices) => {
                let bytes = gathered_bytes(array.as_ref(), indices.values());
                budget.charge(bytes).map_err(|OverBudget { limit }| {
                    let message = format!("the rows that it repeats would take more than {limit} bytes");
                    CallError::Fault(Fault::new(Phase::Process, FaultKind::Output, message))
                })?;
                take(array.as_ref(), indices, None).map_err(|error| ours(format!("cannot gather a column: {error}")))
            }
        }
    }
}

/// Assembles the rows of one port, and returns where they come from: `None` means every row that is
/// not rejected.
pub(crate) fn assemble(
    answer: PortAnswer,
    port: &Port,
    called: &Called<'_>,
    budget: &Budget,
) -> Result<(RecordBatch, Option<Vec<u32>>), CallError> {
    let some;
    let (gather, origins) = match answer.rows {
        Rows::Kept => (called.kept.as_ref().map_or(Gather::All, Gather::Filter), None),
        Rows::Some(origins) => {
            some = Selected::of(&origins, called.rows);
            (Gather::Filter(&some), Some(origins))
        }
        Rows::Repeated(origins) => (Gather::Take(UInt32Array::from(origins.clone())), Some(origins)),
    };
    let in_port = |error: CallError| match error {
        CallError::Fault(fault) => CallError::Fault(Fault { message: format!("port `{}`: {}", port.name, fault.message), ..fault }),
        host => host,
    };
    let mut crossed = answer.crossed.iter().flat_map(|table| table.columns().iter());
    let mut arrays = Vec::with_capacity(port.columns.len());
    for ((source, except), field) in port.columns.iter().zip(&port.excepts).zip(port.schema.fields()) {
        let (index, mask) = match source {
            ColumnSource::Computed => {
                arrays.push(Arc::clone(crossed.next().ok_or_else(|| missing(field.name()))?));
                continue;
            }
            ColumnSource::Input(index) | ColumnSource::InputExcept(index, _) => (*index, None),
            ColumnSource::Nulled(index) => (*index, Some(crossed.next().ok_or_else(|| missing(field.name()))?)),
        };
        let column = called.columns.get(index).and_then(Option::as_ref).ok_or_else(|| missing(field.name()))?;
        let mut array = gather.apply(column.slice(called.offset, called.rows), budget).map_err(in_port)?;
        if let Some(mask) = mask {
            array = masked(&array, mask).map_err(|error| ours(format!("cannot mask `{}`: {error}", field.name())))?;
        }
        if let Some(except) = except {
            array = except.null(&array).map_err(|error| ours(format!("cannot null `{}`: {error}", field.name())))?;
        }
        arrays.push(cast_exactly(&array, field.data_type()).map_err(|error| ours(format!("cannot pass on `{}`: {error}", field.name())))?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(answer.count));
    let records = RecordBatch::try_new_with_options(Arc::clone(&port.schema), arrays, &options)
        .map_err(|error| CallError::Fault(Fault::answer(Phase::Process, format!("port `{}`: {error}", port.name))))?;
    Ok((records, origins))
}

fn missing(column: &str) -> CallError {
    ours(format!("nothing was kept for the output column `{column}`"))
}

fn ours(message: String) -> CallError {
    CallError::Host(HostError::bug(message))
}

/// Null where the mask is false. The values are shared, not copied.
fn masked(array: &ArrayRef, mask: &ArrayRef) -> Result<ArrayRef, arrow_schema::ArrowError> {
    let mask = mask.as_boolean();
    if mask.true_count() == mask.len() {
        return Ok(Arc::clone(array));
    }
    nullif(array.as_ref(), &BooleanArray::new(!mask.values(), None))
}
