//! The configuration.

use typed_column::Column;
use wasmill_plugin::prelude::*;

/// Registers of an estimate without a `precision`, as a power of 2.
const DEFAULT_PRECISION: u8 = 12;
const MIN_PRECISION: u8 = 4;
const MAX_PRECISION: u8 = 21;

/// What is counted, and how.
#[wasmill_plugin::config]
#[serde(default)]
pub struct Config {
    /// `value: poster_name`: the column of values, texts unless it has a type: `{ name: age, type: int64 }`.
    pub value: Column,
    /// `approximate: true`: an estimate, from a state of bounded size. Otherwise the count is exact, and the state holds all distinct values.
    pub approximate: bool,
    /// `precision: 14`: an estimate has 2^precision registers, 12 unless it is given. The standard error is 1.04 / sqrt(2^precision).
    #[schemars(range(min = 4, max = 21))]
    pub precision: Option<u8>,
    /// `as: posters`: the column of the results.
    pub r#as: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { value: "value".into(), approximate: false, precision: None, r#as: "distinct_count".to_owned() }
    }
}

impl Config {
    /// The precision of an estimate; `None`: the count is exact.
    pub(crate) fn estimated(&self) -> Result<Option<u8>, Refusal> {
        match (self.approximate, self.precision) {
            (false, None) => Ok(None),
            (false, Some(_)) => Err(Refusal::new("an exact count has no precision; add approximate: true").at_config("/precision")),
            (true, None) => Ok(Some(DEFAULT_PRECISION)),
            (true, Some(precision)) if (MIN_PRECISION..=MAX_PRECISION).contains(&precision) => Ok(Some(precision)),
            (true, Some(precision)) => {
                let message = format!("the precision is {precision}; it is {MIN_PRECISION} to {MAX_PRECISION}");
                Err(Refusal::new(message).at_config("/precision"))
            }
        }
    }
}
