//! A plugin's result for a batch: computed columns and masks by port, and rejects; and how they
//! become the contract's answer.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_schema::Schema;

use crate::bindings::wasmill::plugin::types;
use crate::plan::{Layout, PortLayout};
use crate::{Refusal, Reject, contract};

/// The answer to a batch, as `process` builds it.
///
/// In the simple case, give every column the length of the batch, [reject](Output::reject) and
/// [filter](Output::only) as needed. The SDK drops those rows from all columns and passes the host
/// the origins of the others. The methods without a port apply to the plugin's first one, usually
/// its only one; [`port`](Output::port) returns the others.
#[derive(Debug)]
pub struct Output<'a> {
    layout: &'a Layout,
    rows: usize,
    ports: Vec<PortOutput<'a>>,
    rejects: Vec<(u32, Reject)>,
    /// A bit a row; empty until the first reject.
    rejected: Vec<bool>,
    /// A row that was rejected and that the batch does not have.
    beyond: Option<usize>,
}

/// Which rows leave by a port.
#[derive(Debug)]
enum Rows {
    /// Nothing was set.
    Unsaid,
    /// Every row that is not rejected.
    All,
    /// Those of the batch that the mask holds, and that are not rejected.
    Only(BooleanBuffer),
    /// For each output row, the row of the batch that it comes from.
    Origins(Vec<u32>),
}

/// What leaves by one port.
#[derive(Debug)]
pub struct PortOutput<'a> {
    layout: &'a PortLayout,
    /// One for each computed column and mask of the layout, in its order.
    columns: Vec<Option<ArrayRef>>,
    rows: Rows,
}

impl<'a> Output<'a> {
    pub(crate) fn new(layout: &'a Layout, rows: usize) -> Self {
        let ports = layout
            .ports
            .iter()
            .map(|layout| PortOutput { layout, columns: vec![None; layout.columns.len()], rows: Rows::Unsaid })
            .collect();
        Self { layout, rows, ports, rejects: Vec::new(), rejected: Vec::new(), beyond: None }
    }

    /// Sets a computed column of the first port. See [`PortOutput::set`].
    pub fn set(&mut self, column: &str, values: impl Array + 'static) -> Result<(), Refusal> {
        self.first()?.set(column, values)
    }

    /// Sets where a column of the first port keeps its values. See [`PortOutput::keep`].
    pub fn keep(&mut self, column: &str, mask: BooleanBuffer) -> Result<(), Refusal> {
        self.first()?.keep(column, mask)
    }

    /// Sends only the rows of the batch that the mask holds by the first port. See [`PortOutput::only`].
    pub fn only(&mut self, mask: BooleanBuffer) -> Result<(), Refusal> {
        self.first()?.only(mask);
        Ok(())
    }

    /// Sends rows by the first port that come from these rows of the batch. See [`PortOutput::rows_from`].
    pub fn rows_from(&mut self, origins: Vec<u32>) -> Result<(), Refusal> {
        self.first()?.rows_from(origins);
        Ok(())
    }

    /// A port of the plan by name.
    pub fn port(&mut self, name: &str) -> Result<&mut PortOutput<'a>, Refusal> {
        let names = || self.layout.ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ");
        match self.layout.ports.iter().position(|port| port.name == name) {
            Some(index) => Ok(&mut self.ports[index]),
            None => Err(Refusal::new(format!("process sends to port {name}, which the plan does not have; it has {}", names()))),
        }
    }

    /// Rejects a row. The first reason given for a row counts.
    pub fn reject(&mut self, row: usize, reject: Reject) {
        if row >= self.rows {
            self.beyond.get_or_insert(row);
            return;
        }
        if self.is_rejected(row) {
            return;
        }
        self.rejected.resize(self.rows, false);
        self.rejected[row] = true;
        self.rejects.push((row as u32, reject));
    }

    /// Whether a row has been rejected.
    pub fn is_rejected(&self, row: usize) -> bool {
        self.rejected.get(row).copied().unwrap_or(false)
    }

    pub(crate) fn first(&mut self) -> Result<&mut PortOutput<'a>, Refusal> {
        self.ports.first_mut().ok_or_else(|| Refusal::new("the plan has no port"))
    }

    /// The contract's answer.
    pub(crate) fn finish(mut self) -> Result<types::Answer, Refusal> {
        if let Some(row) = self.beyond {
            return Err(Refusal::new(format!("process rejects row {row} of a batch of {}", self.rows)));
        }
        let single = self.ports.len() == 1;
        let mut outputs = Vec::with_capacity(self.ports.len());
        for (index, port) in self.ports.into_iter().enumerate() {
            outputs.extend(port.finish(index, self.rows, &self.rejected, single)?);
        }
        self.rejects.sort_by_key(|(row, _)| *row);
        let rejects = self.rejects.into_iter().map(|(row, reject)| contract::reject(row, reject));
        Ok(types::Answer { outputs, rejects: rejects.collect(), extra: Vec::new() })
    }
}

impl PortOutput<'_> {
    /// Sets a computed column: one value for each row of the batch, or for each of the
    /// [origins](PortOutput::rows_from).
    pub fn set(&mut self, column: &str, values: impl Array + 'static) -> Result<(), Refusal> {
        let index = self.index(column, |source| matches!(source, types::ColumnSource::Computed), "computed")?;
        let field = &self.layout.columns[index].field;
        let values: ArrayRef = arrow_array::make_array(values.to_data());
        if values.data_type() != field.data_type() {
            let message = format!("column {column} was planned as {} and is given as {}", field.data_type(), values.data_type());
            return Err(Refusal::new(message).at_column(column));
        }
        if !field.is_nullable() && values.null_count() > 0 {
            return Err(Refusal::new(format!("column {column} was planned without nulls and is given with some")).at_column(column));
        }
        self.columns[index] = Some(values);
        Ok(())
    }

    /// Sets where a column that is [nulled](crate::Port::null_some) keeps its values: true keeps,
    /// false makes null.
    pub fn keep(&mut self, column: &str, mask: BooleanBuffer) -> Result<(), Refusal> {
        let index = self.index(column, |source| matches!(source, types::ColumnSource::Nulled(_)), "nulled")?;
        self.columns[index] = Some(Arc::new(BooleanArray::new(mask, None)));
        Ok(())
    }

    /// Sends every row that is not rejected: the default of a plugin with one port, and of a port that was given columns.
    pub fn all(&mut self) {
        self.rows = Rows::All;
    }

    /// Sends only the rows of the batch that the mask holds, less the rejected ones. Columns keep the length of the batch.
    pub fn only(&mut self, mask: BooleanBuffer) {
        self.rows = Rows::Only(mask);
    }

    /// Sends one row for each origin: the row of the batch that it comes from. They must never decrease; a row may come several
    /// times. Columns then have the length of `origins`.
    pub fn rows_from(&mut self, origins: Vec<u32>) {
        self.rows = Rows::Origins(origins);
    }

    fn index(&self, column: &str, fits: fn(&types::ColumnSource) -> bool, kind: &str) -> Result<usize, Refusal> {
        let columns = &self.layout.columns;
        if let Some(index) = columns.iter().position(|candidate| candidate.field.name() == column && fits(&candidate.source)) {
            return Ok(index);
        }
        let names: Vec<_> = columns.iter().filter(|column| fits(&column.source)).map(|column| column.field.name().as_str()).collect();
        let port = &self.layout.name;
        Err(Refusal::new(format!("port {port} has no {kind} column {column}; its {kind} columns are: {}", names.join(", ")))
            .at_column(column))
    }

    /// The contract's answer for this port, where it has rows.
    fn finish(self, index: usize, rows: usize, rejected: &[bool], single: bool) -> Result<Option<types::Output>, Refusal> {
        let given = self.columns.iter().any(Option::is_some);
        let name = &self.layout.name;
        let kept = if rejected.is_empty() { rows } else { rejected.iter().filter(|rejected| !**rejected).count() };
        let (origins, selection) = match self.rows {
            Rows::Unsaid if !single && !given => return Ok(None),
            Rows::Unsaid | Rows::All if rejected.is_empty() => (None, None),
            Rows::Unsaid | Rows::All => (None, Some(BooleanBuffer::collect_bool(rows, |row| !rejected[row]))),
            Rows::Only(mask) => {
                check_length("the mask of rows", mask.len(), rows, name)?;
                let mask =
                    if rejected.is_empty() { mask } else { BooleanBuffer::collect_bool(rows, |row| mask.value(row) && !rejected[row]) };
                let origins = (mask.count_set_bits() < kept).then(|| mask.set_indices_u32().collect());
                (origins, Some(mask))
            }
            Rows::Origins(origins) => {
                let repeats = check_origins(&origins, rows, rejected, name)?;
                // Each occurs once and none is rejected: this many can only be all, and the host
                // does not need the list.
                let some = repeats || origins.len() < kept;
                (some.then_some(origins), None)
            }
        };
        let sent = origins.as_ref().map_or(kept, Vec::len);
        if sent == 0 {
            return Ok(None);
        }
        // Columns have the batch's length unless the rows were given by origins.
        let length = if selection.is_some() { rows } else { sent };
        let mut columns = Vec::with_capacity(self.columns.len());
        for (column, values) in self.layout.columns.iter().zip(self.columns) {
            if !column.is_answered() {
                continue;
            }
            let field = column.field.name();
            let values = values
                .ok_or_else(|| Refusal::new(format!("process sends rows by port {name} without its column {field}")).at_column(field))?;
            check_length(&format!("column {field}"), values.len(), length, name)?;
            columns.push(match &selection {
                Some(mask) => filter(&values, mask)?,
                None => values,
            });
        }
        let table = match columns.as_slice() {
            [] => None,
            columns => Some(types::MadeTable::ArrowIpc(crate::ipc::encode_table(columns, sent)?)),
        };
        Ok(Some(types::Output { port: index as u32, table, origins, extra: Vec::new() }))
    }
}

fn check_length(what: &str, length: usize, wanted: usize, port: &str) -> Result<(), Refusal> {
    if length == wanted {
        return Ok(());
    }
    Err(Refusal::new(format!("{what} of port {port} has {length} values where there are {wanted} rows")))
}

/// Returns whether a row occurs more than once.
fn check_origins(origins: &[u32], rows: usize, rejected: &[bool], port: &str) -> Result<bool, Refusal> {
    if let Some(pair) = origins.windows(2).find(|pair| pair[0] > pair[1]) {
        return Err(Refusal::new(format!("the origins of port {port} decrease from {} to {}", pair[0], pair[1])));
    }
    if let Some(last) = origins.last().filter(|last| **last as usize >= rows) {
        return Err(Refusal::new(format!("port {port} sends a row that comes from row {last} of a batch of {rows}")));
    }
    match origins.iter().find(|row| rejected.get(**row as usize).copied().unwrap_or(false)) {
        Some(row) => Err(Refusal::new(format!("port {port} sends a row that comes from row {row}, which is rejected"))),
        None => Ok(origins.windows(2).any(|pair| pair[0] == pair[1])),
    }
}

fn filter(values: &ArrayRef, mask: &BooleanBuffer) -> Result<ArrayRef, Refusal> {
    let mask = BooleanArray::new(mask.clone(), None);
    arrow_select::filter::filter(values, &mask).map_err(|error| Refusal::new(format!("cannot drop rejected rows from a column: {error}")))
}

impl PortLayout {
    /// The contract's form of this port.
    pub(crate) fn to_contract(&self) -> types::Port {
        let schema: Schema = self.schema();
        types::Port {
            name: self.name.clone(),
            schema: types::Schema::ArrowIpc(crate::ipc::encode_schema(&schema)),
            columns: self.columns.iter().map(|column| column.source.clone()).collect(),
            extra: Vec::new(),
        }
    }
}

/// A mask of `rows` bits, from a function of the row. Faster than pushing bit by bit: 64 rows fill
/// a word.
pub fn mask(rows: usize, holds: impl FnMut(usize) -> bool) -> BooleanBuffer {
    BooleanBuffer::collect_bool(rows, holds)
}

/// A builder of masks, for loops that do several things at once.
pub type MaskBuilder = BooleanBufferBuilder;

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;
    use arrow_schema::{DataType, Field};

    use super::*;
    use crate::Plan;

    /// The rows as the host receives them: the origins, how many rows the columns have, and the
    /// rejects.
    fn reported(rows: usize, answer: impl Fn(&mut Output<'_>)) -> Option<(Option<Vec<u32>>, usize, usize)> {
        let input = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let mut plan = Plan::new(Some(Arc::clone(&input)));
        plan.read("a", DataType::Int64);
        plan.out().pass("a").compute("b", DataType::Int64);
        let layout = plan.resolve(&input).unwrap();
        let mut out = Output::new(&layout, rows);
        answer(&mut out);
        let types::Answer { outputs, rejects, .. } = out.finish().unwrap();
        let output = outputs.into_iter().next()?;
        let types::MadeTable::ArrowIpc(table) = output.table.unwrap() else { panic!("it is not Arrow") };
        let fields = arrow_schema::Fields::from(vec![Field::new("b", DataType::Int64, true)]);
        let (_, count) = crate::ipc::decode_table(table, &fields).unwrap();
        Some((output.origins, count, rejects.len()))
    }

    fn column(rows: usize) -> Int64Array {
        (0..rows as i64).collect()
    }

    #[test]
    fn the_host_gets_origins_only_where_it_can_not_know_them() {
        let set = |out: &mut Output<'_>, rows: usize| out.set("b", column(rows)).unwrap();
        let bad = |out: &mut Output<'_>| out.reject(1, Reject::new("bad", "bad"));
        let only = |least: usize| {
            move |out: &mut Output<'_>| {
                bad(out);
                set(out, 4);
                out.only(mask(4, |row| row >= least)).unwrap();
            }
        };
        let from = |origins: &'static [u32]| {
            move |out: &mut Output<'_>| {
                bad(out);
                set(out, origins.len());
                out.rows_from(origins.to_vec()).unwrap();
            }
        };
        assert_eq!(reported(4, |out| set(out, 4)), Some((None, 4, 0)));
        let rejects = |out: &mut Output<'_>| {
            bad(out);
            set(out, 4);
        };
        assert_eq!(reported(4, rejects), Some((None, 3, 1)));
        // A mask, or origins, that mean no more than every row that is not rejected.
        assert_eq!(reported(4, only(0)), Some((None, 3, 1)));
        assert_eq!(reported(4, from(&[0, 2, 3])), Some((None, 3, 1)));
        // Those that leave some out, or repeat some.
        assert_eq!(reported(4, only(1)), Some((Some(vec![2, 3]), 2, 1)));
        assert_eq!(reported(4, from(&[0, 0, 2])), Some((Some(vec![0, 0, 2]), 3, 1)));
        assert_eq!(reported(4, from(&[])), None);
    }
}
