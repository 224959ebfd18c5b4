//! Finds the pairs that an epoch's rows make, and the rows that leave alone.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};

use super::{JoinStage, Side};
use crate::key::KeyGroups;
use crate::merge::{Merger, Span};
use crate::rows::{Gather, KeyedRows, Neighbours, RowRef};
use crate::run::{Block, Run};
use crate::windows::NEVER;
use crate::{Error, Result};

/// Rows of a batch of results.
const BATCH_ROWS: usize = 8_192;

/// The runs of a side.
#[derive(Clone, Copy)]
pub struct SideRuns<'a> {
    /// Its state, from the oldest run to the newest.
    pub state: &'a [Arc<Run>],
    /// The new runs of all lanes.
    pub new: &'a [Arc<Run>],
}

/// What an emitter gets at the end of an epoch.
#[derive(Clone, Copy)]
pub struct JoinInput<'a> {
    /// The left side.
    pub left: SideRuns<'a>,
    /// The right side.
    pub right: SideRuns<'a>,
    /// The watermark at the begin of the epoch, by which its rows were late.
    pub before: i64,
    /// The watermark now.
    pub now: i64,
}

/// What is state after an epoch; the same for every lane.
#[derive(Debug, Default)]
pub struct Joined {
    /// Runs of the left side.
    pub left: Vec<Arc<Run>>,
    /// Runs of the right side.
    pub right: Vec<Arc<Run>>,
    /// How many result rows were emitted by this lane.
    pub rows: u64,
}

/// Emits the pairs of one lane's key groups.
pub struct JoinEmitter {
    stage: Arc<JoinStage>,
    key_groups: KeyGroups,
}

impl JoinEmitter {
    /// An emitter of the key groups that a lane [owns](crate::key::owned).
    pub fn new(stage: Arc<JoinStage>, key_groups: KeyGroups) -> Self {
        Self { stage, key_groups }
    }

    /// Ends an epoch: hands results in the [output schema](JoinStage::output_schema) to `into`, some thousand rows at a time.
    ///
    /// # Errors
    /// A run can't be read or is damaged, or `into` fails.
    pub fn emit(&mut self, input: JoinInput<'_>, into: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<Joined> {
        let both = |side: SideRuns<'_>| -> Vec<Arc<Run>> { side.state.iter().chain(side.new).map(Arc::clone).collect() };
        let (left, right) = (both(input.left), both(input.right));
        let mut output = Output::new(&self.stage, into);
        // ΔL with all of R, then ΔR with what was there of L before.
        self.pairs(Side::Left, input.left.new, &right, &mut output)?;
        self.pairs(Side::Right, input.right.new, input.left.state, &mut output)?;
        for (side, own, others) in [(Side::Left, &left, &right), (Side::Right, &right, &left)] {
            if self.stage.side(side).keeps_unmatched {
                self.alone(side, own, others, (input.before, input.now), &mut output)?;
            }
        }
        output.flush()?;
        let rows = output.emitted;
        let windows = self.stage.windows;
        let unexpired = |runs: Vec<Arc<Run>>| -> Vec<Arc<Run>> {
            runs.into_iter().filter(|run| run.last_end().is_some_and(|end| !windows.has_expired(end, input.now))).collect()
        };
        Ok(Joined { left: unexpired(left), right: unexpired(right), rows })
    }

    /// The pairs of rows of `runs`, which are of `side`, and rows of `others`.
    fn pairs(&self, side: Side, runs: &[Arc<Run>], others: &[Arc<Run>], output: &mut Output<'_>) -> Result<()> {
        self.visit(side, runs, others, i64::MIN..=i64::MAX, &mut |rows, row, partners| {
            partners.iter().try_for_each(|(block, partner)| output.push(side, rows.batch(row), row.row, Some((block, *partner))))
        })
    }

    /// The rows of `own`, of `side`, whose time is over since the watermark moved, and that had no partner.
    fn alone(&self, side: Side, own: &[Arc<Run>], others: &[Arc<Run>], (before, now): (i64, i64), output: &mut Output<'_>) -> Result<()> {
        let is_over = |time: i64, watermark: i64| match self.stage.within {
            Some(within) => time.saturating_add(within) < watermark,
            None => watermark == NEVER,
        };
        // A row's window ends behind its time, and before its time is over.
        let ends = match self.stage.within {
            Some(within) => before.saturating_sub(within)..=now,
            None => i64::MIN..=i64::MAX,
        };
        if before == now {
            return Ok(());
        }
        self.visit(side, own, others, ends, &mut |rows, row, partners| {
            let time = time(rows.batch(row), row.row);
            match partners.is_empty() && is_over(time, now) && !is_over(time, before) {
                true => output.push(side, rows.batch(row), row.row, None),
                false => Ok(()),
            }
        })
    }

    /// Calls `found` for each row of some runs of a side, whose windows end within `ends`, with its partners among the runs of the other side.
    fn visit(&self, side: Side, runs: &[Arc<Run>], others: &[Arc<Run>], ends: RangeInclusive<i64>, found: &mut Found<'_>) -> Result<()> {
        let plan = self.stage.side(side);
        let distances = self.stage.within.map_or(vec![0], |within| vec![-within, 0, within]);
        let span = Span { ends, key_groups: self.key_groups.clone() };
        let mut merger = Merger::of_places(Arc::clone(&plan.row_schema), runs, &span)?;
        let mut neighbours = Neighbours::new(others, &self.key_groups, &distances)?;
        let mut candidates: Vec<(Arc<Block>, Range<usize>)> = Vec::new();
        let mut partners: Vec<Partner> = Vec::new();
        while let Some(rows) = KeyedRows::next(&mut merger)? {
            for (place, of_key) in rows.by_key() {
                candidates.clear();
                let first = of_key[0].1;
                let has_null = plan.spec.keys.iter().any(|&column| rows.batch(first).column(column).is_null(first.row as usize));
                if !has_null {
                    neighbours.find(place, |block, rows| candidates.push((Arc::clone(block), rows)))?;
                }
                for &(_, row) in of_key {
                    let time = time(rows.batch(row), row.row);
                    let is_near = |other: i64| self.stage.within.is_none_or(|within| time.abs_diff(other) <= within.unsigned_abs());
                    partners.clear();
                    for (block, of_block) in &candidates {
                        let times = &times(block.states())[of_block.clone()];
                        let near = of_block.clone().zip(times).filter(|(_, other)| is_near(**other));
                        partners.extend(near.map(|(partner, _)| (Arc::clone(block), partner as u32)));
                    }
                    found(&rows, row, &partners)?;
                }
            }
        }
        Ok(())
    }
}

/// A row of the other side.
type Partner = (Arc<Block>, u32);

/// Takes a row and its partners.
type Found<'a> = dyn FnMut(&KeyedRows, RowRef, &[Partner]) -> Result<()> + 'a;

fn times(rows: &RecordBatch) -> &[i64] {
    rows.column(rows.num_columns() - 1).as_primitive::<Int64Type>().values()
}

fn time(rows: &RecordBatch, row: u32) -> i64 {
    times(rows)[row as usize]
}

/// Results on their way out.
struct Output<'a> {
    stage: &'a JoinStage,
    left: Gather,
    right: Gather,
    into: &'a mut dyn FnMut(RecordBatch) -> Result<()>,
    emitted: u64,
}

impl<'a> Output<'a> {
    fn new(stage: &'a JoinStage, into: &'a mut dyn FnMut(RecordBatch) -> Result<()>) -> Self {
        let gather = |side| Gather::new(Arc::clone(&stage.side(side).output));
        Self { stage, left: gather(Side::Left), right: gather(Side::Right), into, emitted: 0 }
    }

    /// Adds a row of a side and its partner of the other side, or nulls.
    fn push(&mut self, side: Side, batch: &Arc<RecordBatch>, row: u32, partner: Option<(&Arc<Block>, u32)>) -> Result<()> {
        let (own, other) = match side {
            Side::Left => (&mut self.left, &mut self.right),
            Side::Right => (&mut self.right, &mut self.left),
        };
        let batch = own.batch_of(batch, batch);
        own.push(Some(RowRef { batch, row }));
        let partner = partner.map(|(block, row)| RowRef { batch: other.batch_of(block, block.states()), row });
        other.push(partner);
        if self.left.len() >= BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.left.len() == 0 {
            return Ok(());
        }
        let (left, right) = (self.left.take()?, self.right.take()?);
        let columns = left.columns().iter().chain(right.columns()).cloned().collect();
        let joined = RecordBatch::try_new(Arc::clone(&self.stage.output), columns);
        self.emitted += left.num_rows() as u64;
        (self.into)(joined.map_err(|error| Error::bug(format!("rows can't be joined: {error}")))?)
    }
}
