//! Counts of rows, a node, so that no row can vanish unseen.

use std::ops::AddAssign;
use std::time::Duration;

use serde::Serialize;

/// What one source, stage or sink did with rows.
///
/// For every node: `rows_in + rows_added == rows_out + rows_rejected + rows_filtered`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows that came in. For a source: records read, good and bad.
    pub rows_in: u64,
    /// Rows that the node made beyond one a row.
    pub rows_added: u64,
    /// Rows that went on, over all ports. For a sink: rows written.
    pub rows_out: u64,
    /// Rows set aside.
    pub rows_rejected: u64,
    /// Rows that a stage left out.
    pub rows_filtered: u64,
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
    /// Whether every row is accounted for.
    pub fn balance(&self) -> bool {
        self.rows_in + self.rows_added == self.rows_out + self.rows_rejected + self.rows_filtered
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.rows_in += other.rows_in;
        self.rows_added += other.rows_added;
        self.rows_out += other.rows_out;
        self.rows_rejected += other.rows_rejected;
        self.rows_filtered += other.rows_filtered;
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
    seen: u64,
    rejected: u64,
}

/// Fewer rows than this are not judged: two bad rows of three say nothing.
pub(crate) const BREAKER_MIN_ROWS: u64 = 100;

impl Breaker {
    pub fn new(max_share: f64) -> Self {
        Self { max_share, seen: 0, rejected: 0 }
    }

    /// Adds an epoch; answers the share of rejects if it is too large.
    pub fn judge(&mut self, counts: &Counts) -> Option<f64> {
        self.seen += counts.rows_in;
        self.rejected += counts.rows_rejected;
        if self.seen < BREAKER_MIN_ROWS {
            return None;
        }
        let share = self.rejected as f64 / self.seen as f64;
        (self.seen, self.rejected) = (0, 0);
        (share > self.max_share).then_some(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breaker_waits_for_enough_rows_and_judges_each_stretch_anew() {
        let rows = |rows_in, rows_rejected| Counts { rows_in, rows_rejected, ..Counts::default() };
        let mut breaker = Breaker::new(0.5);
        assert_eq!(breaker.judge(&rows(60, 60)), None);
        assert_eq!(breaker.judge(&rows(60, 0)), None, "half of 120 is not too many");
        assert_eq!(breaker.judge(&rows(100, 51)), Some(0.51));
    }
}
