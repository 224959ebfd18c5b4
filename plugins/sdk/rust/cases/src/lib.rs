//! The cases kept beside a plugin: their format, and what differs between a case and an answer.
//!
//! * [`read_cases`] reads the cases of a folder; the plugin guide documents their format.
//! * [`run_case`] has somebody answer one with 1, 7 and 1,000 rows a call and says what differs: a [`CaseReport`].
//! * [`verdict`] says in one text what is wrong with all of them.
//!
//! Who answers is left open: a plugin that runs natively (`wasmill_plugin::testing::cases`), or its component in the host (`wasmill-plugin-test`).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
mod case;
mod compare;
mod conform;
mod difference;
mod files;
mod node;
mod report;
mod rows;
mod yaml;

pub use answer::{Answer, FAULT_CODE, PortRows, ROWS_PER_CALL, Reject, Rows};
pub use case::Case;
pub use difference::{Difference, Line};
pub use files::{CasesError, read_cases};
pub use report::{CaseReport, Failure, run_case, verdict};
pub use rows::{Row, TextRow, nullable, to_batch, to_text};
