//! Runs the cases next to a plugin on its component, in the host that pipelines use and under its
//! default limits.
//!
//! * [`read_cases`] reads the cases of a folder; the plugin guide documents their format.
//! * [`run_case`] runs one with 1, 7 and 1,000 rows per call and returns the differences: a
//!   [`CaseReport`].
//! * [`cases!`] does all of it in a plugin's `cargo test`; `wasmill plugin test` does it for shipped plugins.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cargo_test;
mod component;
mod run;
mod run_aggregate;

pub use cargo_test::run_cases_of_crate;
pub use component::{BuildError, build_component};
pub use run::run_case;
pub use wasmill_plugin_cases::{Case, CaseReport, CasesError, Difference, Failure, Line, ROWS_PER_CALL, read_cases};
