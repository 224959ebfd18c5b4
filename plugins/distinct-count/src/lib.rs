//! How many distinct values a column has.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod config;
mod estimated;
mod exact;
mod hashed;

use std::sync::Arc;

use typed_column::{Numbers, reject_nan};
use wasmill_plugin::prelude::*;

pub use config::Config;
use estimated::Estimated;
use exact::Exact;

/// Columns of the state, of which a configuration has one.
const VALUE: &str = "value";
const SKETCH: &str = "sketch";

/// The number of distinct values of each group.
pub struct DistinctCount {
    value: String,
    counts: Counts,
}

enum Counts {
    Exact(Exact),
    Estimated(Estimated),
}

impl Aggregate for DistinctCount {
    type Config = Config;

    fn plan(config: Config, plan: &mut AggregatePlan) -> Result<Self, Refusal> {
        let data_type = config.value.data_type(DataType::Utf8);
        let counts = match config.estimated()? {
            None => {
                plan.state(VALUE, data_type.clone());
                Counts::Exact(Exact::new(data_type.clone())?)
            }
            Some(precision) => {
                plan.state(SKETCH, DataType::Binary);
                Counts::Estimated(Estimated::new(precision))
            }
        };
        plan.read(config.value.name(), data_type).output(config.r#as, DataType::Int64);
        Ok(Self { value: config.value.name().to_owned(), counts })
    }

    fn update(&mut self, rows: &Batch, groups: &Groups<'_>, rejects: &mut Rejects) -> Result<(), Refusal> {
        let values = Numbers::of(rows.column(&self.value)?);
        reject_nan(&values, &self.value, rejects);
        self.grow(groups.count());
        match &mut self.counts {
            Counts::Exact(exact) => exact.add(&values, groups),
            Counts::Estimated(estimated) => estimated.add(&values, groups),
        }
    }

    fn merge(&mut self, states: &Batch, groups: &Groups<'_>) -> Result<(), Refusal> {
        self.grow(groups.count());
        match &mut self.counts {
            Counts::Exact(exact) => exact.add(&Numbers::of(states.column(VALUE)?), groups),
            Counts::Estimated(estimated) => {
                let sketches = states.binary(SKETCH)?;
                groups.of_rows().enumerate().try_for_each(|(row, group)| estimated.merge(group, sketches.value(row)))
            }
        }
    }

    fn take_state(&mut self, count: usize) -> Result<GroupedRows, Refusal> {
        self.grow(count);
        match &mut self.counts {
            Counts::Exact(exact) => exact.take_state(),
            Counts::Estimated(estimated) => Ok(estimated.take_state()),
        }
    }

    fn finish(&mut self, count: usize) -> Result<GroupedRows, Refusal> {
        self.grow(count);
        let counts = match &mut self.counts {
            Counts::Exact(exact) => exact.counts(),
            Counts::Estimated(estimated) => estimated.counts(),
        };
        Ok(GroupedRows::one_each(vec![Arc::new(counts)]))
    }
}

impl DistinctCount {
    fn grow(&mut self, count: usize) {
        match &mut self.counts {
            Counts::Exact(exact) => exact.grow(count),
            Counts::Estimated(estimated) => estimated.grow(count),
        }
    }
}

wasmill_plugin::aggregate!(DistinctCount, documentation = include_str!("../README.md"));
