//! An aggregate made of the states of single groups.

use arrow_schema::Field;

use super::{Described, Group, StateField};
use crate::aggregate::{Aggregate, AggregatePlan, AggregatePlugin, GroupedRows, Groups, Rejects};
use crate::record::{Answer, Emit, InputRecord, OutputRecord};
use crate::{Batch, Refusal};

/// The aggregate whose groups have the states `S`. [`group!`](crate::group!) exports it.
pub struct PerGroup<S: Group> {
    config: S::Config,
    /// `None`: nothing has been added to it.
    states: Vec<Option<S>>,
}

type Record<S> = <<S as Group>::Result as Answer>::Record;

impl<S: Group> Aggregate for PerGroup<S> {
    type Config = S::Config;

    fn plan(config: S::Config, plan: &mut AggregatePlan) -> Result<Self, Refusal> {
        S::check(&config)?;
        for field in <S::Row<'static>>::fields() {
            plan.read(S::column(&config, field.name), field.data_type);
        }
        for StateField { name, data_type, nullable } in S::fields() {
            plan.state_field(Field::new(name, data_type, nullable));
        }
        for (name, data_type) in Record::<S>::fields() {
            plan.output(S::column(&config, name), data_type);
        }
        plan.state_version(S::STATE_VERSION);
        Ok(Self { config, states: Vec::new() })
    }

    fn update(&mut self, rows: &Batch, groups: &Groups<'_>, rejects: &mut Rejects) -> Result<(), Refusal> {
        self.grow(groups.count());
        let names = <S::Row<'static>>::fields().into_iter().map(|field| (S::column(&self.config, field.name), field.name));
        let rows = rows.renamed(names)?;
        let columns = <S::Row<'_>>::columns(&rows)?;
        for (row, group) in groups.of_rows().enumerate() {
            let state = self.states[group].get_or_insert_default();
            let added = <S::Row<'_>>::read(&columns, row).and_then(|record| state.update(record, &self.config));
            if let Err(reject) = added {
                rejects.reject(row, reject);
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &Batch, groups: &Groups<'_>) -> Result<(), Refusal> {
        self.grow(groups.count());
        let columns = S::columns(states)?;
        for (row, group) in groups.of_rows().enumerate() {
            let state = S::read(&columns, row)?;
            match &mut self.states[group] {
                Some(own) => own.merge(state, &self.config)?,
                empty => *empty = Some(state),
            }
        }
        Ok(())
    }

    fn take_state(&mut self, count: usize) -> Result<GroupedRows, Refusal> {
        self.grow(count);
        let mut builders = S::builders(count);
        for state in std::mem::take(&mut self.states) {
            state.unwrap_or_default().append(&mut builders);
        }
        Ok(GroupedRows::one_each(S::finish_columns(builders)))
    }

    fn finish(&mut self, count: usize) -> Result<GroupedRows, Refusal> {
        self.grow(count);
        let mut emit = Emit::<Record<S>>::new(count);
        for (group, state) in std::mem::take(&mut self.states).into_iter().enumerate() {
            emit.row = group as u32;
            let result = state.unwrap_or_default().finish(&self.config);
            result.send(&mut emit).map_err(|reject| Refusal::new(reject.message()))?;
        }
        Ok(GroupedRows::of(emit.origins, Record::<S>::arrays(emit.builders)))
    }
}

impl<S: Group> PerGroup<S> {
    fn grow(&mut self, count: usize) {
        self.states.resize_with(self.states.len().max(count), || None);
    }
}

impl<S: Described> AggregatePlugin for PerGroup<S> {
    const NAME: &'static str = S::NAME;
    const VERSION: &'static str = S::VERSION;
    const DOCUMENTATION: &'static str = S::DOCUMENTATION;
}
