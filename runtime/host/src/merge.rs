//! Puts the answers for the parts of a batch back together, in the order of its rows.

use std::ops::Range;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;

use crate::answer::RowReject;
use crate::error::HostError;
use crate::ports::Port;

/// Rows that leave by one port.
#[derive(Debug, Clone)]
pub struct PortOutput {
    /// An index into [`Transform::ports`](crate::Transform::ports).
    pub port: usize,
    /// The rows.
    pub records: RecordBatch,
    /// For each row, the input row that it comes from, never decreasing; `None`: all of them, in order.
    pub origins: Option<Vec<u32>>,
}

/// What a plugin made of one batch.
#[derive(Debug, Clone, Default)]
pub struct Processed {
    /// Rows that go on; each port at most once, in increasing order.
    pub outputs: Vec<PortOutput>,
    /// Rows that are set aside, in increasing order of row, each once.
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

    /// Adds what was made of the rows in `range`; indices in it are relative to its start.
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
                    let mut origins = Vec::with_capacity(records.num_rows());
                    for (range, output) in parts {
                        let start = range.start as u32;
                        match &output.origins {
                            Some(part) => origins.extend(part.iter().map(|origin| origin + start)),
                            None => origins.extend(start..range.end as u32),
                        }
                    }
                    outputs.push(PortOutput { port: index, records, origins: Some(origins) });
                }
            }
        }
        Ok(Processed { outputs, rejects: self.rejects })
    }
}

impl Processed {
    /// Names rows by their place in a larger batch: row `i` is row `kept[i]` there, and `more` rejects join those of the plugin.
    pub(crate) fn within(mut self, kept: &[u32], more: Vec<RowReject>) -> Self {
        let place = |row: u32| kept.get(row as usize).copied().unwrap_or(row);
        for output in &mut self.outputs {
            output.origins = Some(match output.origins.take() {
                Some(origins) => origins.into_iter().map(place).collect(),
                None => kept.to_vec(),
            });
        }
        self.rejects = self.rejects.into_iter().map(|reject| RowReject { row: place(reject.row), ..reject }).chain(more).collect();
        self.rejects.sort_by_key(|reject| reject.row);
        self
    }
}
