//! Aggregates as the state of one group: a struct that rows update and that other states of the group merge into.

mod per_group;
mod state;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::record::{Answer, InputRecord};
use crate::{Refusal, Reject};

pub use per_group::PerGroup;
pub use state::{Bytes, GroupState, StateCell, StateField};

/// The state of one group of an aggregate. `Default` is the empty group.
///
/// The host takes states out, stores them, and merges them with others of the same group. So one rule holds: to merge the states of the parts
/// equals to update with the whole, in any order and any cut (floats up to rounding). An empty group is merged too: it must change nothing.
///
/// Be explicit about what numbers can do. Integers that overflow panic in plugins that are built with the profile of the plugin guide, which
/// rejects the row in `update` and stops the run elsewhere: use `checked_add` and its like. A NaN stays in a sum for ever: reject it in `update`.
///
/// ```
/// use wasmill_plugin::prelude::*;
/// use wasmill_plugin::record::NoConfig;
///
/// #[derive(Default, GroupState, OutputRecord)]
/// struct Total {
///     amount: i64,
/// }
///
/// #[derive(InputRecord)]
/// struct Sale {
///     amount: i64,
/// }
///
/// impl Group for Total {
///     type Config = NoConfig;
///     type Row<'a> = Sale;
///     type Result = Result<Total, Reject>;
///
///     fn update(&mut self, sale: Sale, _: &NoConfig) -> Result<(), Reject> {
///         self.amount = self.amount.checked_add(sale.amount).ok_or_else(|| Reject::new("overflow", "the total is too large"))?;
///         Ok(())
///     }
///
///     fn merge(&mut self, other: Total, _: &NoConfig) -> Result<(), Refusal> {
///         self.amount = self.amount.checked_add(other.amount).ok_or_else(|| Refusal::new("the total is too large"))?;
///         Ok(())
///     }
///
///     fn finish(self, _: &NoConfig) -> Self::Result {
///         Ok(self)
///     }
/// }
///
/// wasmill_plugin::group!(Total);
/// # fn main() {}
/// ```
pub trait Group: GroupState + Default + 'static {
    /// The configuration from the pipeline's YAML; see [`config`](macro@crate::config). Without one:
    /// [`NoConfig`](crate::record::NoConfig).
    type Config: DeserializeOwned + JsonSchema + 'static;

    /// A row: a struct that derives `InputRecord`. A row with a null where the struct has no `Option` is rejected.
    type Row<'a>: InputRecord<'a>;

    /// What a group results in: a struct that derives `OutputRecord`, an `Option` or `Vec` of it, or a `Result` of one of these with
    /// [`Reject`], which stops the run.
    type Result: Answer;

    /// The version of what the state means. Raise it whenever a field of the state, or its meaning, changes.
    const STATE_VERSION: u32 = 0;

    /// Refuses a configuration that can't work.
    ///
    /// # Errors
    /// What is wrong with it and what to do.
    fn check(config: &Self::Config) -> Result<(), Refusal> {
        let _ = config;
        Ok(())
    }

    /// The name of the column for a field of the row or of the result; by default the field's own.
    fn column<'c>(config: &'c Self::Config, field: &'c str) -> &'c str {
        let _ = config;
        field
    }

    /// Adds a row.
    ///
    /// # Errors
    /// The row is rejected, and must have changed nothing.
    fn update(&mut self, row: Self::Row<'_>, config: &Self::Config) -> Result<(), Reject>;

    /// Adds another state of the same group.
    ///
    /// # Errors
    /// The states can't be merged, such as for an overflow. The run stops.
    fn merge(&mut self, other: Self, config: &Self::Config) -> Result<(), Refusal>;

    /// What the group results in.
    fn finish(self, config: &Self::Config) -> Self::Result;
}

/// The description of a plugin of one group's state. [`group!`](crate::group!) implements it.
#[doc(hidden)]
pub trait Described: Group {
    const NAME: &'static str;
    const VERSION: &'static str;
    const DOCUMENTATION: &'static str;
}
