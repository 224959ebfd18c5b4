//! A naive model of every aggregate function: all rows of a group at once, in plain Rust.

use std::collections::{BTreeMap, BTreeSet};

/// A row of what is aggregated.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Integers whose sums fit.
    pub a: Option<i64>,
    /// Integers up to the ends.
    pub x: Option<i64>,
    pub s: Option<i16>,
    pub u: Option<u64>,
    /// Floats of one magnitude.
    pub f: Option<f64>,
    /// Floats up to the ends, infinite, NaN, both zeros.
    pub e: Option<f64>,
    /// `decimal(10, 2)`
    pub d: Option<i128>,
    /// `decimal(38, 3)` up to the ends.
    pub w: Option<i128>,
    pub t: Option<String>,
    pub b: Option<bool>,
    /// A timestamp in microseconds.
    pub at: Option<i64>,
}

/// A value of a result.
#[derive(Debug, Clone)]
pub enum Value {
    Null,
    /// An integer, a decimal without its point, a time, or a bool.
    Int(i128),
    /// A float to the last bit.
    Float(f64),
    /// A float up to rounding, where the sums behind it have this magnitude.
    Near(f64, f64),
    Text(String),
    List(Vec<Value>),
    /// An estimate of a count.
    About(i128),
}

impl Value {
    /// Whether a result is this value.
    pub fn takes(&self, found: &Self) -> bool {
        match (self, found) {
            (Self::Null, Self::Null) => true,
            (Self::Int(expected), Self::Int(found)) => expected == found,
            (Self::Float(expected), Self::Float(found)) => expected.to_bits() == found.to_bits() || expected.is_nan() && found.is_nan(),
            (Self::Near(expected, magnitude), Self::Float(found)) => {
                expected.is_nan() && found.is_nan() || expected == found || (expected - found).abs() <= 1e-9 * magnitude.max(expected.abs())
            }
            (Self::Text(expected), Self::Text(found)) => expected == found,
            (Self::List(expected), Self::List(found)) => {
                expected.len() == found.len() && expected.iter().zip(found).all(|(expected, found)| expected.takes(found))
            }
            (Self::About(expected), Self::Int(found)) => (expected - found).abs() * 50 <= *expected.max(&50),
            _ => false,
        }
    }
}

type Model = fn(&[Row]) -> Value;

fn given<T: Clone>(rows: &[Row], of: impl Fn(&Row) -> Option<T>) -> Vec<T> {
    rows.iter().filter_map(of).collect()
}

fn int<T: Into<i128>>(value: Option<T>) -> Value {
    value.map_or(Value::Null, |value| Value::Int(value.into()))
}

fn sum<T: Into<i128>>(values: Vec<T>) -> Value {
    if values.is_empty() { Value::Null } else { Value::Int(values.into_iter().map(Into::into).sum()) }
}

/// The mean of integers, by the float of the sum: exact for sums below 2^53.
fn mean<T: Into<i128>>(values: Vec<T>) -> Value {
    let count = values.len();
    let total: i128 = values.into_iter().map(Into::into).sum();
    if count == 0 { Value::Null } else { Value::Near(total as f64 / count as f64, total as f64 / count as f64) }
}

/// Rounded half away from zero, digit by digit.
fn rounded(total: i128, count: i128) -> i128 {
    let (quotient, rest) = (total.abs() / count, total.abs() % count);
    (quotient + i128::from(rest * 2 >= count)) * total.signum()
}

fn floats(rows: &[Row], of: impl Fn(&Row) -> Option<f64>) -> Vec<f64> {
    let mut values = given(rows, of);
    values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = f64::NAN);
    values.sort_by(f64::total_cmp);
    values
}

fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort();
    values
}

fn variance(values: &[f64], sample: bool) -> Option<(f64, f64)> {
    let of = values.len().checked_sub(usize::from(sample)).filter(|of| *of > 0)? as f64;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    Some((squares / of, values.iter().map(|value| value * value).sum::<f64>() / of))
}

fn near(value: Option<(f64, f64)>, root: bool) -> Value {
    match value {
        None => Value::Null,
        // A root of what is almost nothing has half of the digits.
        Some((value, magnitude)) if root => Value::Near(value.sqrt(), magnitude.sqrt() * 1e5),
        Some((value, magnitude)) => Value::Near(value, magnitude),
    }
}

fn pairs(rows: &[Row]) -> Vec<(f64, f64)> {
    given(rows, |row| Some((row.f?, row.a? as f64)))
}

fn covariance(rows: &[Row], sample: bool) -> Value {
    let pairs = pairs(rows);
    let Some(of) = pairs.len().checked_sub(usize::from(sample)).filter(|of| *of > 0) else { return Value::Null };
    let count = pairs.len() as f64;
    let means = (pairs.iter().map(|pair| pair.0).sum::<f64>() / count, pairs.iter().map(|pair| pair.1).sum::<f64>() / count);
    let products = pairs.iter().map(|pair| (pair.0 - means.0) * (pair.1 - means.1)).sum::<f64>();
    let magnitude = pairs.iter().map(|pair| (pair.0 * pair.1).abs()).sum::<f64>();
    Value::Near(products / of as f64, magnitude)
}

fn most_frequent<T: Ord + Clone>(values: Vec<T>) -> Option<T> {
    let mut counts = BTreeMap::new();
    values.into_iter().for_each(|value| *counts.entry(value).or_insert(0) += 1);
    let most = counts.values().max().copied()?;
    counts.into_iter().find(|(_, count)| *count == most).map(|(value, _)| value)
}

fn median(values: Vec<i128>) -> Option<(i128, i128)> {
    let values = sorted(values);
    Some((*values.get(values.len().checked_sub(1)? / 2)?, values[values.len() / 2]))
}

fn distinct<T: Ord>(values: Vec<T>) -> Vec<T> {
    values.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Every function, under each of its names, on the types that it treats differently.
pub const MODELS: &[(&str, Model)] = &[
    ("count(*)", |rows| Value::Int(rows.len() as i128)),
    ("count(t)", |rows| Value::Int(given(rows, |row| row.t.clone()).len() as i128)),
    ("count(*) FILTER (WHERE a > 0)", |rows| Value::Int(rows.iter().filter(|row| row.a.is_some_and(|a| a > 0)).count() as i128)),
    ("count_if(a > 0)", |rows| Value::Int(rows.iter().filter(|row| row.a.is_some_and(|a| a > 0)).count() as i128)),
    ("count(DISTINCT t)", |rows| Value::Int(distinct(given(rows, |row| row.t.clone())).len() as i128)),
    ("count(DISTINCT b)", |rows| Value::Int(distinct(given(rows, |row| row.b)).len() as i128)),
    ("count(DISTINCT x)", |rows| Value::Int(distinct(given(rows, |row| row.x)).len() as i128)),
    ("count(DISTINCT e)", |rows| {
        let key = |e: f64| {
            if e.is_nan() {
                f64::NAN.to_bits()
            } else if e == 0.0 {
                0
            } else {
                e.to_bits()
            }
        };
        Value::Int(distinct(given(rows, |row| row.e.map(key))).len() as i128)
    }),
    ("sum(a)", |rows| sum(given(rows, |row| row.a))),
    ("sum(s)", |rows| sum(given(rows, |row| row.s))),
    ("sum(u)", |rows| sum(given(rows, |row| row.u))),
    ("sum(d)", |rows| sum(given(rows, |row| row.d))),
    ("sum(CAST(x AS DECIMAL(38, 0)))", |rows| sum(given(rows, |row| row.x))),
    ("sum(a) FILTER (WHERE b)", |rows| sum(given(rows, |row| row.a.filter(|_| row.b == Some(true))))),
    ("sum(DISTINCT s)", |rows| sum(distinct(given(rows, |row| row.s)))),
    ("sum(a * s)", |rows| sum(given(rows, |row| Some(row.a? * i64::from(row.s?))))),
    ("sum(f)", |rows| match floats(rows, |row| row.f) {
        values if values.is_empty() => Value::Null,
        values => Value::Near(values.iter().sum(), values.iter().map(|value| value.abs()).sum()),
    }),
    ("avg(a)", |rows| mean(given(rows, |row| row.a))),
    ("mean(x)", |rows| mean(given(rows, |row| row.x))),
    ("avg(u)", |rows| mean(given(rows, |row| row.u))),
    ("avg(d)", |rows| match given(rows, |row| row.d) {
        values if values.is_empty() => Value::Null,
        values => Value::Int(rounded(values.iter().sum::<i128>() * 10_000, values.len() as i128)),
    }),
    ("avg(f)", |rows| match floats(rows, |row| row.f) {
        values if values.is_empty() => Value::Null,
        values => Value::Near(values.iter().sum::<f64>() / values.len() as f64, values.iter().map(|value| value.abs()).sum()),
    }),
    ("avg(DISTINCT a)", |rows| mean(distinct(given(rows, |row| row.a)))),
    ("min(x)", |rows| int(given(rows, |row| row.x).into_iter().min())),
    ("max(x)", |rows| int(given(rows, |row| row.x).into_iter().max())),
    ("min(s)", |rows| int(given(rows, |row| row.s).into_iter().min())),
    ("max(u)", |rows| int(given(rows, |row| row.u).into_iter().max())),
    ("min(e)", |rows| floats(rows, |row| row.e).first().map_or(Value::Null, |e| Value::Float(*e))),
    ("max(e)", |rows| floats(rows, |row| row.e).last().map_or(Value::Null, |e| Value::Float(*e))),
    ("min(w)", |rows| int(given(rows, |row| row.w).into_iter().min())),
    ("max(DISTINCT d)", |rows| int(given(rows, |row| row.d).into_iter().max())),
    ("min(t)", |rows| given(rows, |row| row.t.clone()).into_iter().min().map_or(Value::Null, Value::Text)),
    ("max(t)", |rows| given(rows, |row| row.t.clone()).into_iter().max().map_or(Value::Null, Value::Text)),
    ("min(b)", |rows| int(given(rows, |row| row.b).into_iter().min())),
    ("max(at)", |rows| int(given(rows, |row| row.at).into_iter().max())),
    ("min_by(t, x)", |rows| {
        given(rows, |row| Some((row.x?, row.t.clone()?))).into_iter().min().map_or(Value::Null, |(_, t)| Value::Text(t))
    }),
    ("arg_min(x, e)", |rows| {
        let least = |a: &(f64, i64), b: &(f64, i64)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        let canonical = |e: f64| if e.is_nan() { f64::NAN } else { e };
        int(given(rows, |row| Some((canonical(row.e?), row.x?))).into_iter().min_by(least).map(|(_, x)| x))
    }),
    ("max_by(x, at)", |rows| int(given(rows, |row| Some((row.at?, row.x?))).into_iter().max().map(|(_, x)| x))),
    ("arg_max(d, b)", |rows| int(given(rows, |row| Some((row.b?, row.d?))).into_iter().max().map(|(_, d)| d))),
    ("bool_and(b)", |rows| int(given(rows, |row| row.b).into_iter().min())),
    ("every(a > 0)", |rows| int(given(rows, |row| row.a.map(|a| a > 0)).into_iter().min())),
    ("bool_or(b)", |rows| int(given(rows, |row| row.b).into_iter().max())),
    ("bit_and(x)", |rows| int(given(rows, |row| row.x).into_iter().reduce(|a, b| a & b))),
    ("bit_or(u)", |rows| int(given(rows, |row| row.u).into_iter().reduce(|a, b| a | b))),
    ("bit_xor(s)", |rows| int(given(rows, |row| row.s).into_iter().reduce(|a, b| a ^ b))),
    ("bit_xor(DISTINCT s)", |rows| int(distinct(given(rows, |row| row.s)).into_iter().reduce(|a, b| a ^ b))),
    ("median(x)", |rows| match median(given(rows, |row| row.x.map(Into::into))) {
        None => Value::Null,
        Some((low, high)) => Value::Near((low + high) as f64 / 2.0, ((low + high) as f64 / 2.0).abs()),
    }),
    ("median(u)", |rows| match median(given(rows, |row| row.u.map(Into::into))) {
        None => Value::Null,
        Some((low, high)) => Value::Float((low + high) as f64 / 2.0),
    }),
    ("median(d)", |rows| int(median(given(rows, |row| row.d)).map(|(low, high)| (low + high) * 5))),
    ("median(e)", |rows| match floats(rows, |row| row.e) {
        values if values.is_empty() => Value::Null,
        values => Value::Float(values[(values.len() - 1) / 2].midpoint(values[values.len() / 2])),
    }),
    ("median(DISTINCT a)", |rows| match median(distinct(given(rows, |row| row.a.map(Into::into)))) {
        None => Value::Null,
        Some((low, high)) => Value::Float((low + high) as f64 / 2.0),
    }),
    ("percentile_cont(0.25) WITHIN GROUP (ORDER BY f)", |rows| match floats(rows, |row| row.f) {
        values if values.is_empty() => Value::Null,
        values => {
            let place = 0.25 * (values.len() - 1) as f64;
            let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
            Value::Near(low + (high - low) * place.fract(), low.abs().max(high.abs()))
        }
    }),
    ("percentile_disc(0.9) WITHIN GROUP (ORDER BY t)", |rows| {
        let values = sorted(given(rows, |row| row.t.clone()));
        let share = |index: &usize| (index + 1) as f64 >= 0.9 * values.len() as f64;
        (0..values.len()).find(share).map_or(Value::Null, |index| Value::Text(values[index].clone()))
    }),
    ("mode(t)", |rows| most_frequent(given(rows, |row| row.t.clone())).map_or(Value::Null, Value::Text)),
    ("mode(s)", |rows| int(most_frequent(given(rows, |row| row.s)))),
    ("array_agg(t)", |rows| match sorted(given(rows, |row| row.t.clone())) {
        values if values.is_empty() => Value::Null,
        values => Value::List(values.into_iter().map(Value::Text).collect()),
    }),
    ("array_agg(DISTINCT s)", |rows| match distinct(given(rows, |row| row.s)) {
        values if values.is_empty() => Value::Null,
        values => Value::List(values.into_iter().map(|s| Value::Int(s.into())).collect()),
    }),
    ("array_agg(e)", |rows| match floats(rows, |row| row.e) {
        values if values.is_empty() => Value::Null,
        values => Value::List(values.into_iter().map(Value::Float).collect()),
    }),
    ("approx_distinct(x)", |rows| Value::About(distinct(given(rows, |row| row.x)).len() as i128)),
    ("approx_distinct(t)", |rows| Value::About(distinct(given(rows, |row| row.t.clone())).len() as i128)),
    ("approx_distinct(at)", |rows| Value::About(distinct(given(rows, |row| row.at)).len() as i128)),
    ("var_samp(f)", |rows| near(variance(&floats(rows, |row| row.f), true), false)),
    ("variance(s)", |rows| near(variance(&given(rows, |row| row.s.map(f64::from)), true), false)),
    ("var(f)", |rows| near(variance(&floats(rows, |row| row.f), true), false)),
    ("var_pop(f)", |rows| near(variance(&floats(rows, |row| row.f), false), false)),
    ("var_pop(DISTINCT s)", |rows| {
        near(variance(&distinct(given(rows, |row| row.s)).into_iter().map(f64::from).collect::<Vec<_>>(), false), false)
    }),
    ("stddev(f)", |rows| near(variance(&floats(rows, |row| row.f), true), true)),
    ("stddev_samp(d)", |rows| near(variance(&given(rows, |row| row.d.map(|d| d as f64 / 100.0)), true), true)),
    ("stddev_pop(f)", |rows| near(variance(&floats(rows, |row| row.f), false), true)),
    ("covar_samp(f, a)", |rows| covariance(rows, true)),
    ("covar_pop(f, a)", |rows| covariance(rows, false)),
    ("corr(f, a)", |rows| {
        let pairs = pairs(rows);
        let values = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).collect::<Vec<_>>();
        let (first, second) = (variance(&values(|pair| pair.0), false), variance(&values(|pair| pair.1), false));
        match (covariance(rows, false), first, second) {
            (Value::Near(covariance, _), Some((first, _)), Some((second, _))) if first > 0.0 && second > 0.0 => {
                Value::Near(covariance / first.sqrt() / second.sqrt(), 1e4)
            }
            _ => Value::Null,
        }
    }),
    ("CASE WHEN count(a) > 1 THEN max(a) - min(a) END", |rows| match given(rows, |row| row.a) {
        values if values.len() < 2 => Value::Null,
        values => int(values.iter().max().zip(values.iter().min()).map(|(max, min)| max - min)),
    }),
];
