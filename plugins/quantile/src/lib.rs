//! Quantiles of a column.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod config;
mod values;

use std::sync::Arc;

use wasmill_plugin::prelude::*;

use config::Wanted;
pub use config::{Config, Fractions, Names};
use values::{Ranked, Values, rounded};

/// Columns of the state.
const VALUE: &str = "value";
const COUNT: &str = "count";

/// Quantiles of each group.
pub struct Quantile {
    value: String,
    wanted: Vec<Wanted>,
    /// To how many bits values are rounded.
    precision: Option<u32>,
    groups: Vec<Values>,
}

impl Aggregate for Quantile {
    type Config = Config;

    fn plan(config: Config, plan: &mut AggregatePlan) -> Result<Self, Refusal> {
        let (wanted, precision) = (config.wanted()?, config.rounded()?);
        plan.read(&config.value, DataType::Float64);
        plan.state(VALUE, DataType::Float64).state(COUNT, DataType::Int64);
        for Wanted { column, .. } in &wanted {
            plan.output(column, DataType::Float64);
        }
        Ok(Self { value: config.value, wanted, precision, groups: Vec::new() })
    }

    fn update(&mut self, rows: &Batch, groups: &Groups<'_>, rejects: &mut Rejects) -> Result<(), Refusal> {
        self.grow(groups.count());
        let values = rows.float64(&self.value)?;
        for (row, group) in groups.of_rows().enumerate().filter(|(row, _)| values.is_valid(*row)) {
            let value = values.value(row);
            if value.is_finite() {
                self.groups[group].add(self.precision.map_or(value, |precision| rounded(value, precision)), 1)?;
            } else {
                let message = format!("{} is {value}, between which and other values there is nothing", self.value);
                rejects.reject(row, Reject::new("not-finite", message).at_column(&self.value));
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &Batch, groups: &Groups<'_>) -> Result<(), Refusal> {
        self.grow(groups.count());
        let (values, counts) = (states.float64(VALUE)?, states.int64(COUNT)?);
        groups.of_rows().enumerate().try_for_each(|(row, group)| self.groups[group].add(values.value(row), counts.value(row)))
    }

    fn take_state(&mut self, count: usize) -> Result<GroupedRows, Refusal> {
        let (mut groups, mut values, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for (group, of_group) in self.taken(count).into_iter().enumerate() {
            for (value, times) in of_group.into_sorted() {
                groups.push(group as u32);
                values.push(value);
                counts.push(times);
            }
        }
        Ok(GroupedRows::of(groups, vec![Arc::new(Float64Array::from(values)), Arc::new(Int64Array::from(counts))]))
    }

    fn finish(&mut self, count: usize) -> Result<GroupedRows, Refusal> {
        let groups: Vec<Ranked> = self.taken(count).into_iter().map(Ranked::new).collect();
        let column =
            |wanted: &Wanted| -> ArrayRef { Arc::new(groups.iter().map(|ranked| ranked.quantile(wanted.q)).collect::<Float64Array>()) };
        Ok(GroupedRows::one_each(self.wanted.iter().map(column).collect()))
    }
}

impl Quantile {
    fn grow(&mut self, count: usize) {
        self.groups.resize_with(self.groups.len().max(count), Values::default);
    }

    fn taken(&mut self, count: usize) -> Vec<Values> {
        self.grow(count);
        std::mem::take(&mut self.groups)
    }
}

wasmill_plugin::aggregate!(Quantile, documentation = include_str!("../README.md"));
