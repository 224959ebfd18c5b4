//! Merges the answers for the parts of a batch, in the order of its rows.

use std::ops::Range;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;

use crate::answer::RowReject;
use crate::error::HostError;
use crate::ports::Port;

/// Rows that leave by one port.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PortOutput {
    /// An index into [`Transform::ports`](crate::Transform::ports).
    pub port: usize,
    /// The rows.
    pub records: RecordBatch,
    /// For each row, the input row that it comes from, never decreasing. `None` means every row
    /// that is not rejected, in order.
    pub origins: Option<Vec<u32>>,
}

/// The result of a plugin for one batch.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Processed {
    /// Rows that continue; each port at most once, in increasing order.
    pub outputs: Vec<PortOutput>,
    /// Rejected rows, in increasing order of row, each once.
    pub rejects: Vec<RowReject>,
}

/// Collects parts, which have to come in the order of their rows.
#[derive(Default)]
pub(crate) struct Merge {
    rows: usize,
    parts: Vec<(Range<usize>, PortOutput)>,
    pub rejects: Vec<RowReject>,
}

impl Merge {
    pub fn new(rows: usize) -> Self {
        Self { rows, ..Self::default() }
    }

    /// Adds the result for the rows in `range`; indices in it are relative to its start.
    pub fn add(&mut self, range: &Range<usize>, processed: Processed) {
        let start = range.start as u32;
        self.parts.extend(processed.outputs.into_iter().map(|output| (range.clone(), output)));
        self.rejects.extend(processed.rejects.into_iter().map(|reject| RowReject { row: reject.row + start, ..reject }));
    }

    pub fn finish(self, ports: &[Port]) -> Result<Processed, HostError> {
        let mut outputs = Vec::new();
        for (index, port) in ports.iter().enumerate() {
            let parts: Vec<_> = self.parts.iter().filter(|(_, output)| output.port == index).collect();
            match parts.as_slice() {
                [] => {}
                [(range, output)] if range.len() == self.rows => outputs.push(output.clone()),
                parts => {
                    let records = concat_batches(&port.schema, parts.iter().map(|(_, output)| &output.records))
                        .map_err(|error| HostError::bug(format!("the parts of a batch don't fit together: {error}")))?;
                    let origins = self.origins(parts, records.num_rows());
                    outputs.push(PortOutput { port: index, records, origins });
                }
            }
        }
        Ok(Processed { outputs, rejects: self.rejects })
    }

    /// The origins of the `count` rows that some parts send by one port.
    fn origins(&self, parts: &[&(Range<usize>, PortOutput)], count: usize) -> Option<Vec<u32>> {
        let every_kept_row = count == self.rows - self.rejects.len() && parts.iter().all(|(_, output)| output.origins.is_none());
        if every_kept_row {
            return None;
        }
        let mut origins = Vec::with_capacity(count);
        for (range, output) in parts {
            let (start, end) = (range.start as u32, range.end as u32);
            match &output.origins {
                Some(part) => origins.extend(part.iter().map(|origin| origin + start)),
                None => {
                    // The rejects are in the order of their rows, as the parts are.
                    let first = self.rejects.partition_point(|reject| reject.row < start);
                    let mut rejected = self.rejects[first..].iter().map(|reject| reject.row).peekable();
                    origins.extend((start..end).filter(|&row| rejected.next_if_eq(&row).is_none()));
                }
            }
        }
        Some(origins)
    }
}

impl Processed {
    /// Names rows by their place in a larger batch: row `i` is row `kept[i]` there, and `more` rejects join those of the plugin.
    pub(crate) fn within(mut self, kept: &[u32], more: Vec<RowReject>) -> Self {
        let place = |row: u32| kept.get(row as usize).copied().unwrap_or(row);
        for output in &mut self.outputs {
            // Rows rejected here are rejects too, so every row that is not rejected stays the same.
            output.origins = output.origins.take().map(|origins| origins.into_iter().map(place).collect());
        }
        self.rejects = self.rejects.into_iter().map(|reject| RowReject { row: place(reject.row), ..reject }).chain(more).collect();
        self.rejects.sort_by_key(|reject| reject.row);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array};
    use arrow_schema::Schema;

    use super::*;

    /// A part of a batch: its rows, what it sends and what it rejects, by rows of the part.
    type Part<'a> = (Range<usize>, Option<Vec<u32>>, &'a [u32]);

    /// Merges parts of a batch of eight rows.
    fn merged(parts: &[Part<'_>]) -> Option<(Vec<i64>, Option<Vec<u32>>)> {
        let column = |rows: &[u32]| Arc::new(Int64Array::from_iter_values(rows.iter().map(|&row| i64::from(row)))) as ArrayRef;
        let table = |rows: &[u32]| RecordBatch::try_from_iter([("row", column(rows))]).unwrap();
        let reject = |&row: &u32| RowReject { row, code: "bad".to_owned(), column: None, message: String::new() };
        let mut merge = Merge::new(8);
        for (range, origins, rejects) in parts {
            let kept: Vec<u32> = (0..range.len() as u32).filter(|row| !rejects.contains(row)).collect();
            let rows: Vec<u32> = origins.as_ref().unwrap_or(&kept).iter().map(|row| row + range.start as u32).collect();
            let output = PortOutput { port: 0, records: table(&rows), origins: origins.clone() };
            merge.add(range, Processed { outputs: vec![output], rejects: rejects.iter().map(reject).collect() });
        }
        let schema = table(&[]).schema();
        let port = Port { name: "out".to_owned(), schema, columns: Vec::new(), crossing: Arc::new(Schema::empty()), excepts: Vec::new() };
        let output = merge.finish(&[port]).unwrap().outputs.pop()?;
        let rows = output.records.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec();
        Some((rows, output.origins))
    }

    #[test]
    fn parts_that_send_every_row_they_do_not_reject_are_a_whole_that_does() {
        let parts = [(0..3, None, &[1][..]), (3..4, None, &[]), (4..8, None, &[0, 3])];
        assert_eq!(merged(&parts), Some((vec![0, 2, 3, 5, 6], None)));
    }

    /// The rows, where the origins name all of them.
    fn named(parts: &[Part<'_>]) -> Option<Vec<i64>> {
        let (rows, origins) = merged(parts)?;
        (rows == origins?.into_iter().map(i64::from).collect::<Vec<_>>()).then_some(rows)
    }

    #[test]
    fn parts_that_send_some_rows_name_them_all() {
        assert_eq!(named(&[(0..3, Some(vec![0, 0]), &[1][..]), (3..8, None, &[2])]), Some(vec![0, 0, 3, 4, 6, 7]));
        // A part that sent nothing by this port.
        assert_eq!(named(&[(0..3, None, &[1][..])]), Some(vec![0, 2]));
    }
}
