//! Checks what `process` returned: every index in range, every row accounted for once, every table
//! of its port's schema.

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, RecordBatch};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use wasmill_boundary::Encoding;
use wasmill_boundary::budget::Budget;
use wasmill_boundary::text::{MAX_LINE_BYTES, printable, shown};

use crate::crossing::About;
use crate::description::is_kebab;
use crate::error::{Fault, FaultKind, Phase};
use crate::limits::Limits;
use crate::ports::{ColumnSource, Port};
use crate::{contract, crossing, extra};

/// What one call sends out by one port, checked.
pub(crate) struct PortAnswer {
    pub port: usize,
    pub rows: Rows,
    /// How many leave.
    pub count: usize,
    /// Computed columns and masks.
    pub crossed: Option<RecordBatch>,
}

/// The input rows that a port sends out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// All that are not rejected, in order.
    Kept,
    /// Some of them, each once, in order.
    Some(Vec<u32>),
    /// For each row that leaves, the one that it comes from; never decreasing.
    Repeated(Vec<u32>),
}

/// An input row that the plugin rejects.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowReject {
    /// Its index in the input batch.
    pub row: u32,
    /// The reason for programs, in kebab case.
    pub code: String,
    /// The column to blame.
    pub column: Option<String>,
    /// The reason, for readers.
    pub message: String,
}

/// What an answer is held against.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub ports: &'a [Port],
    /// How many rows the batch has.
    pub rows: usize,
    pub encoding: Encoding,
    pub limits: &'a Limits,
}

/// A checked answer. The rejects are in increasing order of row.
pub(crate) struct Answer {
    pub outputs: Vec<PortAnswer>,
    pub rejects: Vec<RowReject>,
    /// A bit per input row that is not rejected; `None` where none is.
    pub kept: Option<BooleanBuffer>,
}

fn bad(message: String) -> Fault {
    Fault::answer(Phase::Process, message)
}

pub(crate) fn check(answer: contract::Answer, sent: &contract::Table, asked: &Asked<'_>, budget: &Budget) -> Result<Answer, Fault> {
    let Asked { ports, rows, encoding, limits } = *asked;
    let contract::Answer { outputs, rejects, extra } = answer;
    extra::check(Phase::Process, &extra)?;
    let rejects = check_rejects(Phase::Process, rejects, rows)?;
    let kept = kept_rows(&rejects, rows);
    let mut seen = vec![false; ports.len()];
    let mut answers = Vec::with_capacity(outputs.len().min(ports.len()));
    for output in outputs {
        extra::check(Phase::Process, &output.extra)?;
        let index = output.port as usize;
        let (Some(port), Some(seen)) = (ports.get(index), seen.get_mut(index)) else {
            return Err(bad(format!("it sent rows out by port {index}, and it opened {}", ports.len())));
        };
        if std::mem::replace(seen, true) {
            return Err(bad(format!("it sent rows out by port `{}` twice in one call", port.name)));
        }
        let in_port = |message: String| {
            let kind = if budget.is_spent() { FaultKind::Output } else { FaultKind::Answer };
            Fault::new(Phase::Process, kind, format!("port `{}`: {message}", port.name))
        };
        let due = rows - rejects.len();
        let count = output.origins.as_ref().map_or(due, Vec::len);
        let sent_rows = match output.origins {
            None => Rows::Kept,
            Some(origins) => check_origins(origins, rows, due, kept.as_ref(), limits).map_err(in_port)?,
        };
        let origins_of = || origins_of(&sent_rows, rows, kept.as_ref());
        let about = About { sent, rows: &origins_of };
        let crossed = crossed(output.table, port, count, encoding, &about, budget).map_err(in_port)?;
        answers.push(PortAnswer { port: index, rows: sent_rows, count, crossed });
    }
    Ok(Answer { outputs: answers, rejects, kept })
}

/// The row that each row that leaves comes from.
fn origins_of(sent: &Rows, rows: usize, kept: Option<&BooleanBuffer>) -> Vec<u32> {
    match (sent, kept) {
        (Rows::Some(origins) | Rows::Repeated(origins), _) => origins.clone(),
        (Rows::Kept, None) => (0..rows as u32).collect(),
        (Rows::Kept, Some(kept)) => kept.set_indices_u32().collect(),
    }
}

/// The rejects of one call, in increasing order of row.
pub(crate) fn check_rejects(phase: Phase, rejects: Vec<contract::Reject>, rows: usize) -> Result<Vec<RowReject>, Fault> {
    let bad = |message: String| Fault::answer(phase, message);
    if rejects.len() > rows {
        return Err(bad(format!("it rejected {} rows of {rows}", rejects.len())));
    }
    let mut checked = Vec::with_capacity(rejects.len());
    for reject in rejects {
        extra::check(phase, &reject.extra)?;
        if reject.row as usize >= rows {
            return Err(bad(format!("it rejected row {}, and there are {rows}", reject.row)));
        }
        if !is_kebab(&reject.code) {
            return Err(bad(format!("the code `{}` of a reject is not in kebab case, such as `bad-number`", shown(&reject.code))));
        }
        checked.push(RowReject {
            row: reject.row,
            code: reject.code,
            column: reject.column.map(|column| shown(&column)),
            message: printable(&reject.message, MAX_LINE_BYTES),
        });
    }
    checked.sort_by_key(|reject| reject.row);
    match checked.array_windows().find(|[one, next]| one.row == next.row) {
        Some([reject, _]) => Err(bad(format!("it rejected row {} twice", reject.row))),
        None => Ok(checked),
    }
}

/// The rows that are not rejected; `None` if no row is rejected.
fn kept_rows(rejects: &[RowReject], rows: usize) -> Option<BooleanBuffer> {
    if rejects.is_empty() {
        return None;
    }
    let mut kept = BooleanBufferBuilder::new(rows);
    kept.append_n(rows, true);
    rejects.iter().for_each(|reject| kept.set_bit(reject.row as usize, false));
    Some(kept.finish())
}

/// `due` rows of the input are not rejected.
fn check_origins(origins: Vec<u32>, rows: usize, due: usize, kept: Option<&BooleanBuffer>, limits: &Limits) -> Result<Rows, String> {
    if origins.len() > limits.output_rows as usize {
        return Err(format!("it sent out {} rows in one call; {} are allowed", origins.len(), limits.output_rows));
    }
    let (mut before, mut repeats) = (0, false);
    for (place, &origin) in origins.iter().enumerate() {
        if origin as usize >= rows {
            return Err(format!("a row comes from input row {origin}, and there are {rows}"));
        }
        if origin < before {
            return Err(format!("a row from input row {origin} comes after one from input row {before}: origins must not decrease"));
        }
        if kept.is_some_and(|kept| !kept.value(origin as usize)) {
            return Err(format!("it both sent out and rejected row {origin}"));
        }
        repeats |= place > 0 && origin == before;
        before = origin;
    }
    Ok(match repeats {
        true => Rows::Repeated(origins),
        // All are rejected and none occurs twice, so this many can only be all.
        false if origins.len() == due => Rows::Kept,
        false => Rows::Some(origins),
    })
}

fn crossed(
    table: Option<contract::MadeTable>,
    port: &Port,
    rows: usize,
    encoding: Encoding,
    about: &About<'_>,
    budget: &Budget,
) -> Result<Option<RecordBatch>, String> {
    if port.crossing.fields().is_empty() {
        return if table.is_none() { Ok(None) } else { Err("it sent a table, and it computes no column".to_owned()) };
    }
    let table = table.ok_or("it sent no table, and it computes columns")?;
    let table = crossing::read_table(encoding, table, &port.crossing, rows, Some(about), budget).map_err(|error| error.to_string())?;
    let sources = port.columns.iter().zip(port.schema.fields()).filter(|(source, _)| source.crosses());
    for ((source, field), column) in sources.zip(table.columns()) {
        let unmasked = matches!(source, ColumnSource::Nulled(_)) && (column.null_count() > 0 || column.as_boolean_opt().is_none());
        if unmasked {
            return Err(format!("the mask of column `{}` has nulls", shown(field.name())));
        }
    }
    Ok(Some(table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    const ROWS: usize = 6;

    /// A port that computes nothing, so that an answer is rows and indices only.
    fn port(name: &str) -> Port {
        let empty = Arc::new(arrow_schema::Schema::empty());
        Port { name: name.to_owned(), schema: Arc::clone(&empty), columns: Vec::new(), crossing: empty, excepts: Vec::new() }
    }

    fn output() -> impl Strategy<Value = contract::Output> {
        let origins = prop::option::of(prop::collection::vec(0_u32..8, 0..5));
        (0_u32..4, origins).prop_map(|(port, origins)| contract::Output { port, table: None, origins, extra: Vec::new() })
    }

    fn reject() -> impl Strategy<Value = contract::Reject> {
        let code = prop_oneof![3 => Just("bad-number".to_owned()), 1 => "[a-zA-Z -]{0,4}"];
        (0_u32..8, code).prop_map(|(row, code)| contract::Reject { row, code, column: None, message: String::new(), extra: Vec::new() })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        /// An accepted answer accounts for every row at most once, whatever the plugin returned.
        #[test]
        fn an_accepted_answer_keeps_the_contract(
            outputs in prop::collection::vec(output(), 0..3),
            rejects in prop::collection::vec(reject(), 0..4),
        ) {
            let ports = [port("a"), port("b")];
            let given = (outputs.len(), rejects.len());
            let answer = contract::Answer { outputs, rejects, extra: Vec::new() };
            let asked = Asked { ports: &ports, rows: ROWS, encoding: Encoding::ArrowIpc, limits: &Limits::default() };
            let sent = contract::Table::ArrowIpc(Vec::new());
            let Ok(answer) = check(answer, &sent, &asked, &Budget::new(1 << 20)) else { return Ok(()) };
            prop_assert_eq!((answer.outputs.len(), answer.rejects.len()), given);
            prop_assert!(answer.rejects.windows(2).all(|pair| pair[0].row < pair[1].row));
            prop_assert!(answer.rejects.iter().all(|reject| (reject.row as usize) < ROWS && is_kebab(&reject.code)));
            let mut seen = std::collections::HashSet::new();
            for output in &answer.outputs {
                prop_assert!(output.port < ports.len() && seen.insert(output.port));
                let kept: Vec<u32> = (0..ROWS as u32).filter(|&row| answer.rejects.iter().all(|reject| reject.row != row)).collect();
                let origins = match &output.rows {
                    Rows::Kept => &kept,
                    Rows::Some(origins) | Rows::Repeated(origins) => origins,
                };
                prop_assert_eq!(origins.len(), output.count);
                prop_assert!(origins.windows(2).all(|pair| pair[0] <= pair[1]));
                prop_assert_eq!(matches!(output.rows, Rows::Repeated(_)), origins.windows(2).any(|pair| pair[0] == pair[1]));
                prop_assert_eq!(matches!(output.rows, Rows::Kept), *origins == kept);
                prop_assert!(origins.iter().all(|&row| (row as usize) < ROWS && answer.rejects.iter().all(|reject| reject.row != row)));
            }
        }
    }
}
