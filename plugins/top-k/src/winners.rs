//! The first rows of one group.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use wasmill_plugin::prelude::*;

/// How many rows win, and what happens to rows that tie with the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// How many rows win; at least 1.
    pub rows: u64,
    /// Whether all rows that tie with the last one win too.
    pub ties: bool,
}

/// The first rows of one group: by value, then by what comes along.
#[derive(Debug, Default)]
pub(crate) struct Winners {
    /// How often each row is there. One map for all: each map of a group takes the memory of its first node.
    counts: BTreeMap<Row, u64>,
    /// How many rows there are.
    rows: u64,
    /// How many of them have the last value.
    last: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    value: Box<[u8]>,
    along: Box<[u8]>,
}

/// A row that won, and how many equal ones did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Winner<'w> {
    pub value: &'w [u8],
    pub along: &'w [u8],
    pub rows: u64,
}

impl Winners {
    /// Adds equal rows, and drops what can't win any more.
    ///
    /// # Errors
    /// There are more rows than can be counted.
    pub fn add(&mut self, value: &[u8], along: &[u8], rows: u64, limit: Limit) -> Result<(), Refusal> {
        if self.is_beaten(value, along, limit) {
            return Ok(());
        }
        let total = self.rows.checked_add(rows).ok_or_else(|| Refusal::new("a key has more than 2^64 rows that tie"))?;
        match self.counts.last_key_value().map(|(last, _)| value.cmp(&last.value)) {
            Some(Ordering::Less) => {}
            Some(Ordering::Equal) => self.last += rows,
            Some(Ordering::Greater) | None => self.last = rows,
        }
        // The total is at least as large as its parts.
        *self.counts.entry(Row { value: value.into(), along: along.into() }).or_default() += rows;
        self.rows = total;
        self.drop_losers(limit);
        Ok(())
    }

    /// The rows in their order.
    pub fn iter(&self) -> impl Iterator<Item = Winner<'_>> {
        self.counts.iter().map(|(row, rows)| Winner { value: &row.value, along: &row.along, rows: *rows })
    }

    /// Whether enough rows are there, all of them before this one.
    fn is_beaten(&self, value: &[u8], along: &[u8], limit: Limit) -> bool {
        let Some((last, _)) = self.counts.last_key_value() else { return false };
        self.rows >= limit.rows
            && match value.cmp(&last.value) {
                Ordering::Less => false,
                Ordering::Greater => true,
                Ordering::Equal => !limit.ties && along >= last.along.as_ref(),
            }
    }

    fn drop_losers(&mut self, limit: Limit) {
        while self.rows - self.last >= limit.rows {
            self.drop_last(self.last);
            let mut ties = self.counts.iter().rev();
            let Some((last, rows)) = ties.next() else { return };
            self.last = rows + ties.take_while(|(row, _)| row.value == last.value).map(|(_, rows)| rows).sum::<u64>();
        }
        if !limit.ties && self.rows > limit.rows {
            // Fewer than the limit are before the last value: only rows of it are dropped.
            self.drop_last(self.rows - limit.rows);
        }
    }

    /// Drops so many rows of the last value.
    fn drop_last(&mut self, mut rows: u64) {
        while let Some(mut last) = self.counts.last_entry().filter(|_| rows > 0) {
            let dropped = rows.min(*last.get());
            *last.get_mut() -= dropped;
            if *last.get() == 0 {
                last.remove();
            }
            rows -= dropped;
            self.rows -= dropped;
            self.last -= dropped;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(rows: &[(u8, u8, u64)], limit: Limit) -> Vec<(u8, u8, u64)> {
        let mut winners = Winners::default();
        for (value, along, rows) in rows {
            winners.add(&[*value], &[*along], *rows, limit).unwrap();
        }
        let kept: u64 = winners.iter().map(|winner| winner.rows).sum();
        assert_eq!(kept, winners.rows);
        let last = winners.iter().last().map(|last| last.value.to_vec()).unwrap();
        assert_eq!(winners.last, winners.iter().filter(|winner| winner.value == last).map(|winner| winner.rows).sum::<u64>());
        winners.iter().map(|winner| (winner.value[0], winner.along[0], winner.rows)).collect()
    }

    #[test]
    fn no_more_rows_are_kept_than_win() {
        let rows = [(5, 0, 1), (4, 1, 1), (4, 0, 1), (3, 0, 1), (4, 2, 1), (3, 1, 2)];
        assert_eq!(added(&rows, Limit { rows: 2, ties: false }), [(3, 0, 1), (3, 1, 1)]);
        assert_eq!(added(&rows, Limit { rows: 2, ties: true }), [(3, 0, 1), (3, 1, 2)]);
        assert_eq!(added(&rows, Limit { rows: 4, ties: false }), [(3, 0, 1), (3, 1, 2), (4, 0, 1)]);
        assert_eq!(added(&rows, Limit { rows: 4, ties: true }), [(3, 0, 1), (3, 1, 2), (4, 0, 1), (4, 1, 1), (4, 2, 1)]);
    }

    #[test]
    fn equal_rows_count_each() {
        let limit = Limit { rows: 3, ties: false };
        assert_eq!(added(&[(1, 1, 2), (1, 1, 2)], limit), [(1, 1, 3)]);
        assert_eq!(added(&[(2, 1, 9), (1, 1, 1)], limit), [(1, 1, 1), (2, 1, 2)]);
        assert_eq!(added(&[(2, 1, 9), (1, 1, 1)], Limit { rows: 3, ties: true }), [(1, 1, 1), (2, 1, 9)]);
    }

    #[test]
    fn too_many_rows_to_count_are_refused() {
        let limit = Limit { rows: 1, ties: true };
        let mut winners = Winners::default();
        winners.add(&[1], &[1], u64::MAX, limit).unwrap();
        assert!(winners.add(&[1], &[2], 1, limit).is_err());
        assert_eq!(winners.iter().count(), 1);
    }
}
