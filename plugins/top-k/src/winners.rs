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
    /// Rows by value, which is in the order of the configuration.
    places: BTreeMap<Box<[u8]>, Place>,
    /// How many rows there are.
    rows: u64,
}

/// The rows of one value.
#[derive(Debug, Default)]
struct Place {
    rows: u64,
    /// How many rows there are with the same columns that come along.
    along: BTreeMap<Box<[u8]>, u64>,
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
        let sum = |one: u64| one.checked_add(rows).ok_or_else(|| Refusal::new("a key has more than 2^64 rows that tie"));
        let total = sum(self.rows)?;
        // The total is at least as large as the parts.
        let place = match self.places.get_mut(value) {
            Some(place) => place,
            None => self.places.entry(value.into()).or_default(),
        };
        place.rows += rows;
        match place.along.get_mut(along) {
            Some(known) => *known += rows,
            None => {
                place.along.insert(along.into(), rows);
            }
        }
        self.rows = total;
        self.drop_losers(limit);
        Ok(())
    }

    /// The rows in their order.
    pub fn iter(&self) -> impl Iterator<Item = Winner<'_>> {
        self.places.iter().flat_map(|(value, place)| place.along.iter().map(|(along, rows)| Winner { value, along, rows: *rows }))
    }

    /// Whether enough rows are there, all of them before this one.
    fn is_beaten(&self, value: &[u8], along: &[u8], limit: Limit) -> bool {
        if self.rows < limit.rows {
            return false;
        }
        let Some((last, place)) = self.places.last_key_value() else { return false };
        match value.cmp(last) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => !limit.ties && place.along.last_key_value().is_none_or(|(last, _)| along >= last.as_ref()),
        }
    }

    fn drop_losers(&mut self, limit: Limit) {
        while let Some(mut last) = self.places.last_entry() {
            let before = self.rows - last.get().rows;
            if before >= limit.rows {
                self.rows = before;
                last.remove();
                continue;
            }
            if !limit.ties {
                self.rows = before + last.get_mut().keep(limit.rows - before);
            }
            return;
        }
    }
}

impl Place {
    /// Keeps the first rows of this value; returns how many there are.
    fn keep(&mut self, rows: u64) -> u64 {
        while self.rows > rows {
            let Some(mut last) = self.along.last_entry() else { break };
            let dropped = (self.rows - rows).min(*last.get());
            self.rows -= dropped;
            *last.get_mut() -= dropped;
            if *last.get() == 0 {
                last.remove();
            }
        }
        self.rows
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
