//! When two results of an aggregate are the same: exactly, and floats up to rounding.

use serde_json::Value;

use crate::answer::{Answer, FAULT_CODE, PortRows};
use crate::rows::TextRow;

/// How far two floats may be from each other, as a part of the larger one.
const ROUNDING: f64 = 1e-9;

/// Whether two ways to aggregate the same rows have the same effect.
pub(crate) fn agree(one: &Answer, other: &Answer) -> bool {
    match (one, other) {
        (Answer::Rows(one), Answer::Rows(other)) => {
            let same_rejects = one.rejects.len() == other.rejects.len()
                && one.rejects.iter().zip(&other.rejects).all(|(one, other)| {
                    (one.row, &one.code) == (other.row, &other.code) && (one.message == other.message || one.code == FAULT_CODE)
                });
            same_rejects
                && one.ports.len() == other.ports.len()
                && one.ports.iter().zip(&other.ports).all(|(one, other)| same_rows(one, other))
        }
        (Answer::Refused { message: one, .. }, Answer::Refused { message: other, .. }) => one == other,
        // Both stop the run. Where they do may differ.
        (Answer::Failed { .. }, Answer::Failed { .. }) => true,
        (Answer::Mistaken(one), Answer::Mistaken(other)) => one == other,
        _ => false,
    }
}

fn same_rows(one: &PortRows, other: &PortRows) -> bool {
    let same =
        |(one, other): (&TextRow, &TextRow)| one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_text(one, other));
    one.rows.len() == other.rows.len() && one.rows.iter().zip(&other.rows).all(same)
}

fn same_text(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    parse(one).zip(parse(other)).is_some_and(|(one, other)| same_value(&one, &other))
}

fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one_number), Value::Number(other_number)) if one_number.is_f64() || other_number.is_f64() => {
            let (one, other) = (one_number.as_f64().unwrap_or(f64::NAN), other_number.as_f64().unwrap_or(f64::NAN));
            (one - other).abs() <= ROUNDING * one.abs().max(other.abs())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_value(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same_value(value, other)))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_agree_up_to_rounding_and_nothing_else_does() {
        for (one, other) in
            [("0.3", "0.30000000000000004"), ("[1.0,2]", "[1.0000000000001,2]"), ("1e300", "1.0000000000001e300"), ("7", "7")]
        {
            assert!(same_text(one, other), "{one} {other}");
        }
        for (one, other) in
            [("9007199254740992", "9007199254740993"), ("0.3", "0.31"), ("null", "0.0"), ("\"NaN\"", "1.0"), ("[1.0]", "[1.0,1.0]")]
        {
            assert!(!same_text(one, other), "{one} {other}");
        }
    }
}
