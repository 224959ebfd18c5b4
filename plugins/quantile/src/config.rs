//! The configuration.

use wasmill_plugin::prelude::*;

/// Significant bits of rounded values without a `precision`.
const DEFAULT_PRECISION: u32 = 8;
const MIN_PRECISION: u32 = 2;
const MAX_PRECISION: u32 = 24;

/// Which quantiles of which column.
#[wasmill_plugin::config]
#[serde(default)]
pub struct Config {
    /// `value: age`: the column of values.
    pub value: String,
    /// `q: [0.5, 0.9]`: which quantiles; 0 is the minimum, 0.5 the median, 1 the maximum.
    pub q: Fractions,
    /// `as: median`, `as: [median, most]`: the columns of the results; `p50`, `p90`, `p99_9` … unless they are given.
    pub r#as: Option<Names>,
    /// `exact: false`: values are rounded, so that the state is bounded.
    pub exact: bool,
    /// `precision: 10`: to how many significant bits values are rounded, 8 unless it is given. They change by 2^-precision of their size at
    /// most.
    #[schemars(range(min = 2, max = 24))]
    pub precision: Option<u32>,
}

/// One quantile or several.
#[wasmill_plugin::config]
#[serde(untagged)]
pub enum Fractions {
    /// `0.5`.
    One(f64),
    /// `[0.5, 0.9]`.
    Several(Vec<f64>),
}

/// One column or several.
#[wasmill_plugin::config]
#[serde(untagged)]
pub enum Names {
    /// `median`.
    One(String),
    /// `[median, most]`.
    Several(Vec<String>),
}

impl Default for Config {
    fn default() -> Self {
        Self { value: "value".to_owned(), q: Fractions::One(0.5), r#as: None, exact: true, precision: None }
    }
}

/// A quantile and its column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub q: f64,
    pub column: String,
}

impl Config {
    /// The quantiles, with their columns.
    pub(crate) fn wanted(&self) -> Result<Vec<Wanted>, Refusal> {
        let fractions = match &self.q {
            Fractions::One(q) => std::slice::from_ref(q),
            Fractions::Several(all) => all,
        };
        if fractions.is_empty() {
            return Err(Refusal::new("q is empty; give at least one quantile, such as 0.5").at_config("/q"));
        }
        if let Some(q) = fractions.iter().find(|q| !(0.0..=1.0).contains(*q)) {
            return Err(Refusal::new(format!("q is {q}; quantiles are from 0 to 1, such as 0.99 for the 99th percentile")).at_config("/q"));
        }
        let names: Vec<String> = match &self.r#as {
            None => fractions.iter().map(|q| percentile_name(*q)).collect(),
            Some(Names::One(name)) => vec![name.clone()],
            Some(Names::Several(names)) => names.clone(),
        };
        if names.len() != fractions.len() {
            let message = format!("as has {} columns for {} quantiles; give one for each", names.len(), fractions.len());
            return Err(Refusal::new(message).at_config("/as"));
        }
        Ok(fractions.iter().zip(names).map(|(q, column)| Wanted { q: *q, column }).collect())
    }

    /// To how many significant bits values are rounded; `None`: they stay as they are.
    pub(crate) fn rounded(&self) -> Result<Option<u32>, Refusal> {
        match (self.exact, self.precision) {
            (true, None) => Ok(None),
            (true, Some(_)) => Err(Refusal::new("exact quantiles have no precision; add exact: false").at_config("/precision")),
            (false, None) => Ok(Some(DEFAULT_PRECISION)),
            (false, Some(precision)) if (MIN_PRECISION..=MAX_PRECISION).contains(&precision) => Ok(Some(precision)),
            (false, Some(precision)) => {
                let message = format!("the precision is {precision}; it is {MIN_PRECISION} to {MAX_PRECISION}");
                Err(Refusal::new(message).at_config("/precision"))
            }
        }
    }
}

/// `p50` of 0.5, `p99_9` of 0.999: the digits as they are written, since 100 times a double may have others.
fn percentile_name(q: f64) -> String {
    let text = (q + 0.0).to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let padded = format!("{fraction:0<2}");
    let (hundredths, rest) = padded.split_at(2);
    let percent = format!("{whole}{hundredths}");
    let percent = percent.trim_start_matches('0');
    let percent = if percent.is_empty() { "0" } else { percent };
    if rest.is_empty() { format!("p{percent}") } else { format!("p{percent}_{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_after_percentiles() {
        for (q, name) in
            [(0.0, "p0"), (-0.0, "p0"), (0.001, "p0_1"), (0.05, "p5"), (0.29, "p29"), (0.5, "p50"), (0.999, "p99_9"), (1.0, "p100")]
        {
            assert_eq!(percentile_name(q), name);
        }
    }

    #[test]
    fn nan_is_no_quantile() {
        let config = Config { q: Fractions::One(f64::NAN), ..Config::default() };
        assert_eq!(config.wanted().unwrap_err().config_path(), Some("/q"));
    }
}
