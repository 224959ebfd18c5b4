//! The mean of a column, weighted by another.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use wasmill_plugin::prelude::*;

/// Weighted values beyond this are rejected. Sums of any number of rows that a table can have then stay finite, in every order.
const MAX_WEIGHTED: f64 = 1e280;

/// The configuration.
#[wasmill_plugin::config]
#[serde(default)]
pub struct Config {
    /// The column of values.
    pub value: String,
    /// The column of weights.
    pub weight: String,
    /// The column of the results.
    pub r#as: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { value: "value".to_owned(), weight: "weight".to_owned(), r#as: "weighted_mean".to_owned() }
    }
}

/// What is kept of a group.
#[derive(Default, GroupState)]
pub struct WeightedMean {
    weighted: f64,
    weight: f64,
}

/// A row.
#[derive(InputRecord)]
pub struct Row {
    value: Option<f64>,
    weight: Option<f64>,
}

/// What a group results in.
#[derive(OutputRecord)]
pub struct Mean {
    weighted_mean: Option<f64>,
}

impl Group for WeightedMean {
    type Config = Config;
    type Row<'a> = Row;
    type Result = Mean;

    fn column<'c>(config: &'c Config, field: &'c str) -> &'c str {
        match field {
            "value" => &config.value,
            "weight" => &config.weight,
            _ => &config.r#as,
        }
    }

    fn update(&mut self, row: Row, config: &Config) -> Result<(), Reject> {
        let Some(value) = row.value else { return Ok(()) };
        let reject = |code: &str, column: &str, what: String| Reject::new(code, format!("{column} is {what}")).at_column(column);
        let weight = row.weight.ok_or_else(|| reject("missing-weight", &config.weight, "null beside a value".to_owned()))?;
        if weight < 0.0 {
            return Err(reject("negative-weight", &config.weight, format!("{weight}; weights are 0 or more")));
        }
        for (number, column) in [(value, &config.value), (weight, &config.weight)] {
            if !number.is_finite() {
                return Err(reject("not-finite", column, format!("{number}, which would spoil the mean")));
            }
        }
        let weighted = value * weight;
        if weighted.abs() > MAX_WEIGHTED || weight > MAX_WEIGHTED {
            return Err(reject(
                "too-large",
                &config.value,
                format!("{value} with the weight {weight}: more than {MAX_WEIGHTED:e} together"),
            ));
        }
        self.weighted += weighted;
        self.weight += weight;
        Ok(())
    }

    fn merge(&mut self, other: Self, _: &Config) -> Result<(), Refusal> {
        self.weighted += other.weighted;
        self.weight += other.weight;
        Ok(())
    }

    fn finish(self, _: &Config) -> Mean {
        Mean { weighted_mean: (self.weight > 0.0).then(|| self.weighted / self.weight) }
    }
}

wasmill_plugin::group!(WeightedMean, documentation = include_str!("../README.md"));
