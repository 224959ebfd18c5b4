//! The configuration of a console sink.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use crate::codes::ROWS;

/// The most rows that a console displays: it is for inspection, and its rows are held in memory.
const MAX_ROWS: u64 = 10_000;

/// Displays rows as a table when their epoch commits. A console keeps no token: rows of an epoch
/// whose commit was interrupted by a crash may be displayed again by the next run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsoleConfig {
    /// `rows: 20`
    ///
    /// How many rows are shown in a run; the rest are counted. At most 10,000.
    #[serde(default = "default_rows")]
    pub rows: u64,
}

fn default_rows() -> u64 {
    20
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self { rows: default_rows() }
    }
}

impl ConsoleConfig {
    /// What is wrong with the values.
    pub(crate) fn check(&self) -> Result<()> {
        if self.rows > MAX_ROWS {
            return Err(Error::configuration(format!("`rows: {}` is more than a console displays", self.rows))
                .code(ROWS)
                .key(["rows"])
                .hint(format!("use at most {MAX_ROWS}, or the sink `files` for all rows")));
        }
        Ok(())
    }
}
