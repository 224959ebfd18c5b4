//! A table of keys in memory, and what may happen to a table.

use proptest::prelude::*;

use super::table::Row;

/// The rows that a table should have.
pub struct Model {
    key_has_part: bool,
    rows: Vec<Row>,
}

impl Model {
    pub fn new(key: &[&str]) -> Self {
        Self { key_has_part: key.contains(&"part"), rows: Vec::new() }
    }

    pub fn append(&mut self, rows: &[Row]) {
        self.rows.extend_from_slice(rows);
    }

    /// Row by row: each removes those of its key.
    pub fn upsert(&mut self, lanes: &[Vec<Row>]) {
        for row in lanes.iter().flatten() {
            let is_same = |other: &Row| other.id == row.id && (!self.key_has_part || other.part == row.part);
            self.rows.retain(|other| !is_same(other));
            self.rows.push(row.clone());
        }
    }

    pub fn delete(&mut self, rows: &[Row]) {
        for row in rows {
            let at = self.rows.iter().position(|other| other == row).expect("a deleted row was in the table");
            self.rows.swap_remove(at);
        }
    }

    pub fn rows(&self) -> Vec<Row> {
        let mut rows = self.rows.clone();
        rows.sort();
        rows
    }
}

/// What happens to a table.
#[derive(Debug, Clone)]
pub enum Step {
    /// An epoch, lane by lane.
    Upsert(Vec<Vec<Row>>),
    /// An epoch that is committed by another process after somebody's append.
    UpsertAfter(Vec<Vec<Row>>, Vec<Row>),
    /// Rows of another writer, whose keys may be there several times.
    Append(Vec<Row>),
    /// Another writer removes the rows of one file.
    DeleteFile(usize),
    Optimize,
    Vacuum,
}

impl Step {
    pub fn any() -> impl Strategy<Value = Self> {
        let row = (0_i64..12, prop::sample::select(vec!["a", "b", "c d/e"]), 0_i64..1_000);
        let row = row.prop_map(|(id, part, value)| Row { id, part: part.to_owned(), value });
        let rows = prop::collection::vec(row, 0..10);
        let lanes = prop::collection::vec(rows.clone(), 1..3);
        prop_oneof![
            5 => lanes.clone().prop_map(Self::Upsert),
            2 => (lanes, rows.clone()).prop_map(|(lanes, rows)| Self::UpsertAfter(lanes, rows)),
            2 => rows.prop_map(Self::Append),
            1 => any::<usize>().prop_map(Self::DeleteFile),
            1 => Just(Self::Optimize),
            1 => Just(Self::Vacuum),
        ]
    }
}
