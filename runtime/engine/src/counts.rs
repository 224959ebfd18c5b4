//! Counts of rows, a node, so that no row can vanish unseen.

use std::ops::AddAssign;
use std::time::Duration;

use serde::Serialize;

/// What one source, stage or sink did with rows.
///
/// For every node: `rows_in + rows_added == rows_out + rows_rejected + rows_filtered + rows_aggregated`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows that came in. For a source: records read, good and bad.
    pub rows_in: u64,
    /// Rows that the node produced beyond one per row.
    pub rows_added: u64,
    /// Rows that continued, over all ports. For a sink: rows written.
    pub rows_out: u64,
    /// Rejected rows.
    pub rows_rejected: u64,
    /// Rows that a stage left out.
    pub rows_filtered: u64,
    /// Rows that a keyed stage took into its keys. What it emits for them counts as added.
    pub rows_aggregated: u64,
    /// Bytes read; sources only.
    pub bytes: u64,
    /// Time spent, over all lanes.
    #[serde(serialize_with = "as_seconds")]
    pub time: Duration,
}

fn as_seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

impl Counts {
    /// Of the rows that were taken into keys, so many turned out to go on as they are, and so many to be left out.
    pub(crate) fn release(&mut self, passed: u64, filtered: u64) {
        self.rows_added = self.rows_added.saturating_sub(passed);
        self.rows_aggregated = self.rows_aggregated.saturating_sub(passed + filtered);
        self.rows_filtered += filtered;
    }

    /// Whether every row is accounted for.
    pub fn balance(&self) -> bool {
        self.rows_in + self.rows_added == self.rows_out + self.rows_rejected + self.rows_filtered + self.rows_aggregated
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.rows_in += other.rows_in;
        self.rows_added += other.rows_added;
        self.rows_out += other.rows_out;
        self.rows_rejected += other.rows_rejected;
        self.rows_filtered += other.rows_filtered;
        self.rows_aggregated += other.rows_aggregated;
        self.bytes += other.bytes;
        self.time += other.time;
    }
}

/// The counts of all nodes of a plan, by their index in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeCounts {
    pub sources: Vec<Counts>,
    pub stages: Vec<Counts>,
    pub sinks: Vec<Counts>,
    pub dead_letters: Counts,
}

impl NodeCounts {
    pub fn new(sources: usize, stages: usize, sinks: usize) -> Self {
        let zero = Counts::default();
        Self { sources: vec![zero; sources], stages: vec![zero; stages], sinks: vec![zero; sinks], dead_letters: zero }
    }
}

impl AddAssign<&NodeCounts> for NodeCounts {
    fn add_assign(&mut self, other: &NodeCounts) {
        let pairs = [(&mut self.sources, &other.sources), (&mut self.stages, &other.stages), (&mut self.sinks, &other.sinks)];
        for (mine, theirs) in pairs {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += *theirs);
        }
        self.dead_letters += other.dead_letters;
    }
}

/// Stops a pipeline whose node rejects too large a share of its rows, instead of emptying the source into the dead letters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Breaker {
    max_share: f64,
    /// Rows that were not judged yet.
    unjudged: Stretch,
    /// Rows that were judged last.
    judged: Stretch,
}

/// Rows one after the other.
#[derive(Debug, Clone, Copy, Default)]
struct Stretch {
    rows: u64,
    rejected: u64,
}

/// Fewer rows than this are judged only at the end of a batch: in a stream, two bad rows of three
/// are no evidence.
pub(crate) const BREAKER_MIN_ROWS: u64 = 100;

impl Breaker {
    pub fn new(max_share: f64) -> Self {
        Self { max_share, unjudged: Stretch::default(), judged: Stretch::default() }
    }

    /// Whether no row waits for being judged.
    pub fn has_judged_all(&self) -> bool {
        self.unjudged.rows == 0
    }

    /// Adds an epoch. Returns the share of rejects if it is too large. At the end of a batch every row is judged: a few that are left
    /// together with those before them.
    pub fn judge(&mut self, counts: &Counts, at_end: bool) -> Option<f64> {
        self.unjudged.rows += counts.rows_in;
        self.unjudged.rejected += counts.rows_rejected;
        let few = self.unjudged.rows < BREAKER_MIN_ROWS;
        if self.unjudged.rows == 0 || (few && !at_end) {
            return None;
        }
        let mut stretch = std::mem::take(&mut self.unjudged);
        if few {
            stretch.rows += self.judged.rows;
            stretch.rejected += self.judged.rejected;
        }
        self.judged = stretch;
        let share = stretch.rejected as f64 / stretch.rows as f64;
        (share > self.max_share).then_some(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows_in: u64, rows_rejected: u64) -> Counts {
        Counts { rows_in, rows_rejected, ..Counts::default() }
    }

    #[test]
    fn a_breaker_waits_for_enough_rows_and_judges_each_stretch_by_itself() {
        let mut breaker = Breaker::new(0.5);
        assert_eq!(breaker.judge(&rows(60, 60), false), None);
        assert_eq!(breaker.judge(&rows(60, 0), false), None, "half of 120 is not too many");
        assert_eq!(breaker.judge(&rows(100, 51), false), Some(0.51));
    }

    #[test]
    fn the_end_of_a_batch_is_judged_whatever_its_size() {
        assert_eq!(Breaker::new(0.1).judge(&rows(72, 72), true), Some(1.0));
        let mut breaker = Breaker::new(0.1);
        assert_eq!(breaker.judge(&rows(1000, 50), false), None);
        assert_eq!(breaker.judge(&rows(5, 2), true), None, "two of the last five, but few of all");
        let mut breaker = Breaker::new(0.1);
        assert_eq!(breaker.judge(&rows(72, 72), false), None);
        assert_eq!(breaker.judge(&rows(0, 0), true), Some(1.0), "an empty end judges what came before");
        assert_eq!(Breaker::new(0.0).judge(&rows(0, 0), true), None);
    }
}
