//! SQL expressions as stages: columns computed from columns, and rows kept or left out, without a plugin.
//!
//! * [`Parsed`]: the text of one expression, and the columns that it names. Needs no columns.
//! * [`Expression`]: a parsed expression on given columns. Everything that can be wrong with it is found here, as [`SqlProblem`]s with the
//!   characters that are to blame.
//! * [`Select`] and [`Filter`]: the stages. A row for which an expression has no value is rejected; all others pass.
//! * [`ParsedAggregate`] and [`Aggregates`]: named values of groups, for a keyed stage.
//! * [`FUNCTIONS`] and [`AGGREGATES`]: the functions that are offered.
//!
//! DataFusion evaluates, and only this crate names it. Of its SQL only single expressions are offered, whose types are settled here.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod aggregate;
pub mod codes;
mod columns;
mod divide;
mod expression;
mod failure;
mod filter;
mod functions;
mod lower;
mod nearest;
mod nesting;
mod problem;
mod refused;
mod select;
mod syntax;
#[cfg(test)]
mod tests;
mod types;

pub use aggregate::{AGGREGATE_STATE_VERSION, AGGREGATES, AggregateDoc, Aggregates, ParsedAggregate};
pub use expression::Expression;
pub use failure::{CAST, DIVISION_BY_ZERO, OUT_OF_RANGE, VALUE};
pub use filter::Filter;
pub use functions::{FUNCTIONS, FunctionDoc, Group};
pub use problem::{ProblemKind, SqlProblem};
pub use select::Select;
pub use syntax::{ColumnUse, MAX_BYTES, MAX_NESTING, Parsed};
pub use wasmill_keyed::{Accumulator, Aggregate};
