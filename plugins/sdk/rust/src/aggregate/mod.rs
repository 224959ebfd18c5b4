//! Aggregates: plugins that bring rows into groups, over columns.
//!
//! Most are easier to write as a [`Group`](crate::Group), the state of one group.

mod grouped;
mod instance;
mod linked;
mod plan;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Batch, Refusal};

pub use grouped::{GroupedRows, Groups, Rejects};
pub use instance::AggregateInstance;
pub use linked::Linked;
pub use plan::AggregatePlan;

/// An aggregate over columns, for all groups at once.
///
/// The host numbers the groups `0..count` without gaps. What the plugin keeps for each is its state. The host takes it out, stores it, and
/// merges it into other instances. So one rule holds: to merge the states of the parts equals to update with the whole, in any order and any
/// cut (floats up to rounding). The same calls give the same bytes.
///
/// Export it with [`aggregate!`](crate::aggregate!).
pub trait Aggregate: Sized + 'static {
    /// The configuration from the pipeline's YAML; see [`config`](macro@crate::config).
    type Config: DeserializeOwned + JsonSchema;

    /// Checks the configuration, declares the columns of input, state and output, and creates the plugin, without groups.
    ///
    /// # Errors
    /// Refuse what can't work, with what to do about it.
    fn plan(config: Self::Config, plan: &mut AggregatePlan) -> Result<Self, Refusal>;

    /// Adds at least one row to groups. A row that is rejected must change nothing.
    ///
    /// # Errors
    /// Only for errors after which the plugin as a whole can't continue; it counts as a fault.
    fn update(&mut self, rows: &Batch, groups: &Groups<'_>, rejects: &mut Rejects) -> Result<(), Refusal>;

    /// Adds at least one row of state to groups. The rows of a group that one `take_state` returned come in their order, possibly in several
    /// calls and with rows of other groups between them.
    ///
    /// # Errors
    /// The states can't be merged, such as for an overflow. The run stops.
    fn merge(&mut self, states: &Batch, groups: &Groups<'_>) -> Result<(), Refusal>;

    /// Returns the state of `count` groups and forgets them. Groups that no call has named are empty, and belong to the answer too.
    ///
    /// # Errors
    /// The state can't be built. The run stops.
    fn take_state(&mut self, count: usize) -> Result<GroupedRows, Refusal>;

    /// Returns the results of `count` groups and forgets them.
    ///
    /// # Errors
    /// A result can't be built. The run stops.
    fn finish(&mut self, count: usize) -> Result<GroupedRows, Refusal>;
}

/// The description of an aggregate. [`aggregate!`](crate::aggregate!) and [`group!`](crate::group!) implement it.
pub trait AggregatePlugin: Aggregate {
    /// The name that pipelines use: the package's.
    const NAME: &'static str;
    /// The package's version.
    const VERSION: &'static str;
    /// What it does, in Markdown; the first line, or the first after a heading, is a summary.
    const DOCUMENTATION: &'static str;
}
