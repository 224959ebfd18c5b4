//! The configuration.

use typed_column::Column;

/// Which rows leave, and with which columns.
#[wasmill_plugin::config]
#[serde(default)]
pub struct Config {
    /// `value: follower_count`: the column that decides, `float64` unless it has a type: `{ name: posted, type: date }`.
    pub value: Column,
    /// `columns: [title, { name: age, type: int64 }]`: the columns that come along; texts unless they have a type.
    pub columns: Vec<Column>,
    /// `k: 3`: how many rows.
    #[schemars(range(min = 1))]
    pub k: u32,
    /// `order: asc`: whether the greatest or the least values win.
    pub order: Direction,
    /// `ties: break`: what happens to rows that tie with the last one.
    pub ties: Ties,
}

/// Which values win.
#[wasmill_plugin::config]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The greatest.
    Desc,
    /// The least.
    Asc,
}

/// Rows that tie with the last one.
#[wasmill_plugin::config]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// All of them leave, and there may be more than `k`.
    Keep,
    /// Exactly `k` leave. The columns that come along decide, in their order: the least values first, nulls last.
    Break,
}

impl Default for Config {
    fn default() -> Self {
        Self { value: "value".into(), columns: Vec::new(), k: 1, order: Direction::Desc, ties: Ties::Keep }
    }
}
