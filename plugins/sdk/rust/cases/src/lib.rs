//! The cases next to a plugin: their format, and how a case and an answer differ.
//!
//! * [`read_cases`] reads the cases of a folder; the plugin guide documents their format.
//! * [`run_case`] runs one with 1, 7 and 1,000 rows per call and returns the differences: a
//!   [`CaseReport`].
//! * [`run_aggregate_case`] does so for an aggregate, and in random cuts, orders and merges of its rows: [`Trial`]s.
//! * [`verdict`] lists in one text what is wrong with all of them.
//!
//! What runs the cases is left open: a plugin that runs natively
//! (`wasmill_plugin::testing::cases`), or its component in the host (`wasmill-plugin-test`).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
mod case;
mod compare;
mod conform;
mod difference;
mod files;
mod groups;
mod laws;
mod node;
mod report;
mod rows;
mod trial;
mod yaml;

pub use answer::{Answer, FAULT_CODE, PortRows, ROWS_PER_CALL, Reject, Rows};
pub use case::Case;
pub use difference::{Difference, Line};
pub use files::{CasesError, read_cases};
pub use groups::CaseGroups;
pub use report::{CaseReport, Failure, run_aggregate_case, run_case, verdict};
pub use rows::{Row, TextRow, nullable, to_batch, to_text};
pub use trial::Trial;
