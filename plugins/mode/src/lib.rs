//! The most frequent values of a column.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::cmp::Reverse;
use std::sync::Arc;

use typed_column::{Column, Numbers, Order, Ordered, reject_nan};
use wasmill_plugin::prelude::*;

/// Columns of the state.
const VALUE: &str = "value";
const COUNT: &str = "count";

/// The configuration.
#[wasmill_plugin::config]
#[serde(default)]
pub struct Config {
    /// `value: category`: the column of values, texts unless it has a type: `{ name: age, type: int64 }`.
    pub value: Column,
    /// `k: 3`: how many values, from the most frequent on.
    #[schemars(range(min = 1))]
    pub k: u32,
    /// `ties: break`: what happens to values that are as frequent as the last one.
    pub ties: Ties,
    /// `count: posts`: the column of the counts.
    pub count: String,
}

/// Values that are as frequent as the last one.
#[wasmill_plugin::config]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// All of them leave, and there may be more than `k`.
    Keep,
    /// Exactly `k` leave: the least values first.
    Break,
}

impl Default for Config {
    fn default() -> Self {
        Self { value: "value".into(), k: 1, ties: Ties::Keep, count: "count".to_owned() }
    }
}

/// How often each value of a group is there.
type Counts = HashMap<Box<[u8]>, i64>;

/// The most frequent values of each group.
pub struct Mode {
    config: Config,
    ordered: Ordered,
    groups: Vec<Counts>,
}

impl Aggregate for Mode {
    type Config = Config;

    fn plan(config: Config, plan: &mut AggregatePlan) -> Result<Self, Refusal> {
        if config.k == 0 {
            return Err(Refusal::new("k is 0, and no value would leave; it is 1 or more").at_config("/k"));
        }
        let data_type = config.value.data_type(DataType::Utf8);
        let ordered = Ordered::new([(data_type.clone(), Order::Ascending)])?;
        plan.read(config.value.name(), data_type.clone());
        plan.state(VALUE, data_type.clone()).state(COUNT, DataType::Int64);
        plan.output(config.value.name(), data_type).output(&config.count, DataType::Int64);
        Ok(Self { config, ordered, groups: Vec::new() })
    }

    fn update(&mut self, rows: &Batch, groups: &Groups<'_>, rejects: &mut Rejects) -> Result<(), Refusal> {
        self.grow(groups.count());
        let name = self.config.value.name();
        let values = Numbers::of(rows.column(name)?);
        reject_nan(&values, name, rejects);
        let ordered = self.ordered.rows(&[Arc::clone(values.values())])?;
        for (row, group) in groups.of_rows().enumerate().filter(|(row, _)| values.counts(*row)) {
            add(&mut self.groups[group], ordered.row(row).data(), 1)?;
        }
        Ok(())
    }

    fn merge(&mut self, states: &Batch, groups: &Groups<'_>) -> Result<(), Refusal> {
        self.grow(groups.count());
        let counts = states.int64(COUNT)?;
        let ordered = self.ordered.rows(&[Arc::clone(states.column(VALUE)?)])?;
        for (row, group) in groups.of_rows().enumerate() {
            add(&mut self.groups[group], ordered.row(row).data(), counts.value(row))?;
        }
        Ok(())
    }

    fn take_state(&mut self, count: usize) -> Result<GroupedRows, Refusal> {
        self.take(count, |counts| {
            let mut all: Vec<(Box<[u8]>, i64)> = counts.into_iter().collect();
            all.sort_unstable();
            all
        })
    }

    fn finish(&mut self, count: usize) -> Result<GroupedRows, Refusal> {
        let (k, ties) = (self.config.k as usize, self.config.ties);
        self.take(count, |counts| most_frequent(counts, k, ties))
    }
}

impl Mode {
    fn grow(&mut self, count: usize) {
        self.groups.resize_with(self.groups.len().max(count), Counts::default);
    }

    /// Returns some values of each group with their counts, and forgets the groups.
    fn take(&mut self, count: usize, chosen: impl Fn(Counts) -> Vec<(Box<[u8]>, i64)>) -> Result<GroupedRows, Refusal> {
        self.grow(count);
        let (mut groups, mut values, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for (group, counted) in std::mem::take(&mut self.groups).into_iter().enumerate() {
            for (value, times) in chosen(counted) {
                groups.push(group as u32);
                values.push(value);
                counts.push(times);
            }
        }
        let values = self.ordered.column(values.iter().map(AsRef::as_ref))?;
        Ok(GroupedRows::of(groups, vec![values, Arc::new(Int64Array::from(counts))]))
    }
}

fn add(counts: &mut Counts, value: &[u8], times: i64) -> Result<(), Refusal> {
    match counts.get_mut(value) {
        Some(known) => {
            *known = known.checked_add(times).ok_or_else(|| Refusal::new("a value is there more than 2^63 times, which no count holds"))?;
        }
        None => {
            counts.insert(value.into(), times);
        }
    }
    Ok(())
}

/// The values with the greatest counts; those of one count by value.
fn most_frequent(counts: Counts, k: usize, ties: Ties) -> Vec<(Box<[u8]>, i64)> {
    let mut all: Vec<(Box<[u8]>, i64)> = counts.into_iter().collect();
    all.sort_unstable_by(|(value, count), (other, other_count)| (Reverse(count), value).cmp(&(Reverse(other_count), other)));
    let kept = match (ties, all.get(k - 1)) {
        (_, None) => all.len(),
        (Ties::Break, Some(_)) => k,
        (Ties::Keep, Some((_, last))) => all.partition_point(|(_, count)| count >= last),
    };
    all.truncate(kept);
    all
}

wasmill_plugin::aggregate!(Mode, documentation = include_str!("../README.md"));
