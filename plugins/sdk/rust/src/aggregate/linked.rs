//! An aggregate in this process, called with arrays: what its own code does, without messages around it.

use arrow_array::ArrayRef;
use arrow_schema::Schema;

use super::plan::AggregateLayout;
use super::{Aggregate, AggregatePlan, GroupedRows, Groups, Rejects};
use crate::{Batch, Plan, Refusal};

/// An aggregate that is linked into this process. Its calls are those of the contract, over arrays: nothing is encoded, copied or decoded.
/// Benchmarks compare a component with it.
#[doc(hidden)]
pub struct Linked<T> {
    plugin: T,
    layout: AggregateLayout,
    count: u32,
}

#[doc(hidden)]
impl<T: Aggregate> Linked<T> {
    /// Opens the aggregate, without groups, for an input.
    ///
    /// # Errors
    /// The plugin's refusal.
    pub fn open(config: T::Config, input: &Schema) -> Result<Self, Refusal> {
        let mut plan = AggregatePlan::new(Plan::new(Some(input.clone().into())));
        let plugin = T::plan(config, &mut plan)?;
        Ok(Self { plugin, layout: plan.resolve(input)?, count: 0 })
    }

    /// The columns that a component would receive, in the order in which [`update`](Self::update) takes them.
    pub fn crossing(&self) -> impl Iterator<Item = &str> {
        self.layout.crossing.iter().map(|field| field.name().as_str())
    }

    /// Adds rows to the groups `0..count`; how many of them were rejected.
    ///
    /// # Errors
    /// The plugin's refusal.
    pub fn update(&mut self, columns: Vec<ArrayRef>, groups: &[u32], count: u32) -> Result<usize, Refusal> {
        let rows = Batch::new(self.layout.crossing.clone(), columns, groups.len());
        let mut rejects = Rejects::new(rows.len());
        self.plugin.update(&rows, &Groups::new(groups, count, rows.len())?, &mut rejects)?;
        self.count = count;
        Ok(rejects.finish()?.rejects.len())
    }

    /// Adds rows of states to the groups `0..count`.
    ///
    /// # Errors
    /// The plugin's refusal.
    pub fn merge(&mut self, states: Vec<ArrayRef>, groups: &[u32], count: u32) -> Result<(), Refusal> {
        let states = Batch::new(self.layout.state.clone(), states, groups.len());
        self.count = count;
        self.plugin.merge(&states, &Groups::new(groups, count, states.len())?)
    }

    /// The states of all groups, which are forgotten.
    ///
    /// # Errors
    /// The plugin's refusal.
    pub fn take_state(&mut self) -> Result<GroupedRows, Refusal> {
        let count = std::mem::take(&mut self.count);
        self.plugin.take_state(count as usize)
    }

    /// The results of all groups, which are forgotten.
    ///
    /// # Errors
    /// The plugin's refusal.
    pub fn finish(&mut self) -> Result<GroupedRows, Refusal> {
        let count = std::mem::take(&mut self.count);
        self.plugin.finish(count as usize)
    }
}
