//! Runs the cases kept beside a plugin on its component, in the host that pipelines use and under the limits that they have by default.
//!
//! * [`read_cases`] reads the cases of a folder; the plugin guide documents their format.
//! * [`run_case`] runs one with 1, 7 and 1,000 rows a call and says what differs: a [`CaseReport`].
//! * [`cases!`] does all of it in a plugin's `cargo test`; `wasmill plugin test` does it for shipped plugins.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
mod cargo_test;
mod case;
mod compare;
mod component;
mod conform;
mod difference;
mod files;
mod node;
mod report;
mod rows;
mod yaml;

pub use answer::ROWS_PER_CALL;
pub use cargo_test::run_cases_of_crate;
pub use case::Case;
pub use component::{BuildError, build_component};
pub use difference::{Difference, Line};
pub use files::{CasesError, read_cases};
pub use report::{CaseReport, Failure, run_case};
