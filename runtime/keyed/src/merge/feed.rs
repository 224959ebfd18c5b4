//! Gathers states and hands them to an accumulator, many rows a call.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;

use crate::run::Block;
use crate::{Error, Result};

/// What takes states: rows, their groups, and how many groups there are.
pub(crate) type Take<'a> = dyn FnMut(&RecordBatch, &[u32], u32) -> Result<()> + 'a;

/// Rows that are handed over without waiting for more of a batch.
const MOST_ROWS: usize = 32_768;

/// Pieces below this are joined: a call costs more than a copy.
const FEW_ROWS: usize = 1_024;

/// State rows that follow one another in a block, and their groups.
struct Piece {
    block: Arc<Block>,
    rows: Range<usize>,
    groups: Vec<u32>,
}

/// States on their way into an accumulator.
pub(super) struct Feed {
    schema: SchemaRef,
    /// By source, from the oldest; within a source in order.
    pieces: Vec<Vec<Piece>>,
    rows: usize,
    /// The groups that the accumulator knows of.
    known: u32,
}

impl Feed {
    pub fn new(schema: SchemaRef, sources: usize) -> Self {
        Self { schema, pieces: (0..sources).map(|_| Vec::new()).collect(), rows: 0, known: 0 }
    }

    /// Takes the rows of an entry.
    #[inline]
    pub fn take(&mut self, source: usize, block: &Arc<Block>, entry: usize, group: u32) {
        let rows = block.rows(entry);
        self.rows += rows.len();
        let pieces = &mut self.pieces[source];
        match pieces.last_mut() {
            Some(last) if last.rows.end == rows.start && Arc::ptr_eq(&last.block, block) => {
                last.groups.extend(std::iter::repeat_n(group, rows.len()));
                last.rows.end = rows.end;
            }
            _ if rows.is_empty() => {}
            _ => {
                let groups = vec![group; rows.len()];
                pieces.push(Piece { block: Arc::clone(block), rows, groups });
            }
        }
    }

    /// Whether so many rows wait that they should be handed over.
    pub fn is_full(&self) -> bool {
        self.rows >= MOST_ROWS
    }

    /// Hands over what waits: each key's states from the oldest to the newest. The accumulator learns of all `count` groups, those without rows too.
    pub fn flush(&mut self, take: &mut Take<'_>, count: u32) -> Result<()> {
        let mut pieces = self.pieces.iter_mut().flat_map(std::mem::take).peekable();
        while let Some(piece) = pieces.next() {
            let states = piece.block.states().slice(piece.rows.start, piece.rows.len());
            if states.num_rows() >= FEW_ROWS || pieces.peek().is_none() {
                take(&states, &piece.groups, count)?;
                continue;
            }
            let (mut states, mut groups) = (vec![states], piece.groups);
            while let Some(next) = pieces.next_if(|next| groups.len() + next.rows.len() <= 2 * FEW_ROWS) {
                states.push(next.block.states().slice(next.rows.start, next.rows.len()));
                groups.extend(next.groups);
            }
            let joined =
                concat_batches(&self.schema, &states).map_err(|error| Error::bug(format!("states of a run can't be joined: {error}")))?;
            take(&joined, &groups, count)?;
        }
        drop(pieces);
        if count > self.known && self.rows == 0 {
            take(&RecordBatch::new_empty(SchemaRef::clone(&self.schema)), &[], count)?;
        }
        (self.rows, self.known) = (0, count);
        Ok(())
    }

    /// Begins with a new, empty accumulator, or one that was emptied.
    pub fn restart(&mut self) {
        self.known = 0;
    }
}
