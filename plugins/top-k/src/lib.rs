//! The rows with the greatest or least values of a column.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod config;
mod winners;

use std::sync::Arc;

use typed_column::{Numbers, Order, Ordered, reject_nan};
use wasmill_plugin::arrow::array::UInt64Array;
use wasmill_plugin::arrow::array::types::UInt64Type;
use wasmill_plugin::prelude::*;

pub use config::{Config, Direction, Ties};
use winners::{Limit, Winners};

/// Columns of the state; those that come along are numbered.
const VALUE: &str = "value";
const ROWS: &str = "rows";

/// The first rows of each group, in the order of a column.
pub struct TopK {
    value: String,
    /// The columns that come along.
    along: Vec<String>,
    values: Ordered,
    /// `None`: nothing comes along.
    alongs: Option<Ordered>,
    limit: Limit,
    groups: Vec<Winners>,
}

fn along_state(number: usize) -> String {
    format!("along_{number}")
}

impl Aggregate for TopK {
    type Config = Config;

    fn plan(config: Config, plan: &mut AggregatePlan) -> Result<Self, Refusal> {
        if config.k == 0 {
            return Err(Refusal::new("k is 0, and no row would leave; it is 1 or more").at_config("/k"));
        }
        let value = config.value.name().to_owned();
        let data_type = config.value.data_type(DataType::Float64);
        let order = if config.order == Direction::Asc { Order::Ascending } else { Order::Descending };
        plan.read(&value, data_type.clone())
            .state(VALUE, data_type.clone())
            .state(ROWS, DataType::UInt64)
            .output(&value, data_type.clone());
        let mut along_types = Vec::new();
        for (number, column) in config.columns.iter().enumerate() {
            let data_type = column.data_type(DataType::Utf8);
            plan.read(column.name(), data_type.clone());
            plan.state(along_state(number), data_type.clone()).output(column.name(), data_type.clone());
            along_types.push((data_type, Order::Ascending));
        }
        Ok(Self {
            value,
            along: config.columns.iter().map(|column| column.name().to_owned()).collect(),
            values: Ordered::new([(data_type, order)])?,
            alongs: if along_types.is_empty() { None } else { Some(Ordered::new(along_types)?) },
            limit: Limit { rows: u64::from(config.k), ties: config.ties == Ties::Keep },
            groups: Vec::new(),
        })
    }

    fn update(&mut self, rows: &Batch, groups: &Groups<'_>, rejects: &mut Rejects) -> Result<(), Refusal> {
        let values = Numbers::of(rows.column(&self.value)?);
        reject_nan(&values, &self.value, rejects);
        let along = self.along.iter().map(|name| rows.column(name).map(Arc::clone)).collect::<Result<Vec<_>, _>>()?;
        self.add(&values, &along, groups, |_| 1)
    }

    fn merge(&mut self, states: &Batch, groups: &Groups<'_>) -> Result<(), Refusal> {
        let values = Numbers::of(states.column(VALUE)?);
        let counts = states.primitive::<UInt64Type>(ROWS)?;
        let along = (0..self.along.len()).map(|number| states.column(&along_state(number)).map(Arc::clone));
        let along = along.collect::<Result<Vec<_>, _>>()?;
        self.add(&values, &along, groups, |row| counts.value(row))
    }

    fn take_state(&mut self, count: usize) -> Result<GroupedRows, Refusal> {
        let groups = self.taken(count);
        let winners = || groups.iter().enumerate().flat_map(|(group, winners)| winners.iter().map(move |winner| (group, winner)));
        let mut columns = vec![self.values.column(winners().map(|(_, winner)| winner.value))?];
        columns.push(Arc::new(winners().map(|(_, winner)| winner.rows).collect::<UInt64Array>()));
        if let Some(alongs) = &self.alongs {
            columns.extend(alongs.columns(winners().map(|(_, winner)| winner.along))?);
        }
        Ok(GroupedRows::of(winners().map(|(group, _)| group as u32).collect(), columns))
    }

    fn finish(&mut self, count: usize) -> Result<GroupedRows, Refusal> {
        let groups = self.taken(count);
        // Equal rows are rows of their own.
        let rows = || {
            let winners = groups.iter().enumerate().flat_map(|(group, winners)| winners.iter().map(move |winner| (group, winner)));
            winners.flat_map(|(group, winner)| (0..winner.rows).map(move |_| (group, winner.value, winner.along)))
        };
        let mut columns = vec![self.values.column(rows().map(|(_, value, _)| value))?];
        if let Some(alongs) = &self.alongs {
            columns.extend(alongs.columns(rows().map(|(_, _, along)| along))?);
        }
        Ok(GroupedRows::of(rows().map(|(group, ..)| group as u32).collect(), columns))
    }
}

impl TopK {
    /// Adds rows, each as often as `times` says.
    fn add(&mut self, values: &Numbers, along: &[ArrayRef], groups: &Groups<'_>, times: impl Fn(usize) -> u64) -> Result<(), Refusal> {
        self.grow(groups.count());
        let ordered = self.values.rows(&[Arc::clone(values.values())])?;
        let alongs = self.alongs.as_ref().map(|alongs| alongs.rows(along)).transpose()?;
        for (row, group) in groups.of_rows().enumerate().filter(|(row, _)| values.counts(*row)) {
            let along = alongs.as_ref().map_or(&[][..], |alongs| alongs.row(row).data());
            self.groups[group].add(ordered.row(row).data(), along, times(row), self.limit)?;
        }
        Ok(())
    }

    fn grow(&mut self, count: usize) {
        self.groups.resize_with(self.groups.len().max(count), Winners::default);
    }

    fn taken(&mut self, count: usize) -> Vec<Winners> {
        self.grow(count);
        std::mem::take(&mut self.groups)
    }
}

wasmill_plugin::aggregate!(TopK, documentation = include_str!("../README.md"));
