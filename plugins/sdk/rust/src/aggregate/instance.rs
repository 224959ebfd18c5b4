//! The life of an instance of an aggregate over the contract's calls.

use std::sync::Arc;

use arrow_schema::{Fields, Schema};

use super::plan::AggregateLayout;
use super::{AggregatePlan, AggregatePlugin, Groups, Rejects};
use crate::bindings::wasmill::plugin::types;
use crate::{Batch, Plan, Refusal, contract, ipc};

/// An instance of an aggregate behind the contract's calls: what the host talks to. The macros keep one in the component.
#[doc(hidden)]
pub struct AggregateInstance<T> {
    opened: Option<(T, AggregateLayout)>,
}

impl<T> Default for AggregateInstance<T> {
    fn default() -> Self {
        Self { opened: None }
    }
}

#[doc(hidden)]
impl<T: AggregatePlugin> AggregateInstance<T> {
    pub fn describe() -> types::Description {
        contract::describe::<T::Config>(T::NAME, T::VERSION, T::DOCUMENTATION)
    }

    pub fn prepare(config: &str, extra: &types::Extra) -> Result<types::Needs, types::Refusal> {
        contract::check_extra(extra)?;
        let mut plan = AggregatePlan::new(Plan::new(None));
        T::plan(contract::parse::<T::Config>(config)?, &mut plan)?;
        let (schema, crosses) = plan.needs()?;
        let columns = types::Schema::ArrowIpc(ipc::encode_schema(&schema));
        Ok(types::Needs { columns, crosses, texts: types::TextForm::Joined, extra: Vec::new() })
    }

    pub fn open(&mut self, opening: &types::Opening) -> Result<types::OpenedAggregate, types::Refusal> {
        contract::check_extra(&opening.extra)?;
        let input = Arc::new(contract::input(&opening.input)?);
        let mut plan = AggregatePlan::new(Plan::new(Some(Arc::clone(&input))));
        let plugin = T::plan(contract::parse::<T::Config>(&opening.config)?, &mut plan)?;
        let layout = plan.resolve(&input)?;
        let schema = |fields: &Fields| types::Schema::ArrowIpc(ipc::encode_schema(&Schema::new(fields.clone())));
        let (state, output, state_version) = (schema(&layout.state), schema(&layout.output), layout.state_version);
        self.opened = Some((plugin, layout));
        Ok(types::OpenedAggregate { state, state_version, output, extra: Vec::new() })
    }

    pub fn update(&mut self, batch: types::Batch, groups: &[u32], count: u32) -> Result<types::Updated, types::Refusal> {
        contract::check_extra(&batch.extra)?;
        let (plugin, layout) = self.opened("update")?;
        let rows = read(batch.table, &layout.crossing)?;
        let mut rejects = Rejects::new(rows.len());
        plugin.update(&rows, &Groups::new(groups, count, rows.len())?, &mut rejects)?;
        Ok(rejects.finish()?)
    }

    pub fn merge(&mut self, states: types::Table, groups: &[u32], count: u32) -> Result<(), types::Refusal> {
        let (plugin, layout) = self.opened("merge")?;
        let states = read(states, &layout.state)?;
        plugin.merge(&states, &Groups::new(groups, count, states.len())?)?;
        Ok(())
    }

    pub fn take_state(&mut self, count: u32) -> Result<types::Grouped, types::Refusal> {
        let (plugin, layout) = self.opened("take-state")?;
        Ok(plugin.take_state(count as usize)?.finish("take_state", &layout.state, count)?)
    }

    pub fn finish(&mut self, count: u32) -> Result<types::Grouped, types::Refusal> {
        let (plugin, layout) = self.opened("finish")?;
        Ok(plugin.finish(count as usize)?.finish("finish", &layout.output, count)?)
    }

    fn opened(&mut self, function: &str) -> Result<(&mut T, &AggregateLayout), Refusal> {
        let opened = self.opened.as_mut().ok_or_else(|| Refusal::new(format!("{function} was called before open")))?;
        Ok((&mut opened.0, &opened.1))
    }
}

fn read(table: types::Table, fields: &Fields) -> Result<Batch, Refusal> {
    let (columns, rows) = ipc::decode_table(contract::table(table)?, fields)?;
    Ok(Batch::new(fields.clone(), columns, rows))
}
