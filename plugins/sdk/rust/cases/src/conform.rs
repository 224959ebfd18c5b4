//! Converts hand-written values into the one form that the contract gives a type: `"12"` for a
//! number, any spelling of a time, a number for a text. It reports values that would lose
//! something.

use arrow_array::timezone::Tz;
use arrow_cast::parse::string_to_datetime;
use arrow_schema::{DataType, Fields};
use serde_json::{Map, Number, Value};

/// The greatest whole number up to which a double holds all of them.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// The value in the contract's form. Other values are left to the decoder, which rejects them.
pub(crate) fn conform(value: &Value, data_type: &DataType) -> Result<Value, String> {
    match (data_type, value) {
        (_, Value::Null) => Ok(Value::Null),
        (DataType::Utf8, Value::Number(_) | Value::Bool(_)) => Ok(Value::String(value.to_string())),
        (DataType::Boolean, Value::String(text)) => match text.as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Ok(value.clone()),
        },
        (DataType::Float32 | DataType::Float64, Value::String(text)) => Ok(float(text).unwrap_or_else(|| value.clone())),
        (DataType::Decimal128(..), Value::Number(number)) => Ok(Value::String(decimal(number))),
        (DataType::Timestamp(_, zone), Value::String(text)) => timestamp(text, zone.is_some()).map(Value::String),
        (data_type, Value::String(text)) if data_type.is_integer() => Ok(integer(text).unwrap_or_else(|| value.clone())),
        (data_type, Value::Number(number)) if data_type.is_integer() => Ok(Value::Number(whole(number))),
        (DataType::List(item), Value::Array(items)) => {
            let items = items.iter().map(|value| conform(value, item.data_type()));
            Ok(Value::Array(items.collect::<Result<_, _>>()?))
        }
        (DataType::Struct(fields), Value::Object(members)) => object(members, fields).map(Value::Object),
        (DataType::Map(entries, _), Value::Object(members)) => {
            let DataType::Struct(fields) = entries.data_type() else { return Ok(value.clone()) };
            let Some(value_field) = fields.get(1) else { return Ok(value.clone()) };
            let members = members.iter().map(|(key, value)| Ok((key.clone(), conform(value, value_field.data_type())?)));
            Ok(Value::Object(members.collect::<Result<_, String>>()?))
        }
        _ => Ok(value.clone()),
    }
}

/// All fields in their order; what is absent is null, what no field has is an error.
pub(crate) fn object(members: &Map<String, Value>, fields: &Fields) -> Result<Map<String, Value>, String> {
    if let Some(unknown) = members.keys().find(|key| fields.find(key).is_none()) {
        let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
        return Err(format!("there is no column `{unknown}`; there are {}", names.join(", ")));
    }
    let field = |field: &arrow_schema::FieldRef| {
        let value = members.get(field.name()).unwrap_or(&Value::Null);
        let value = conform(value, field.data_type()).map_err(|error| format!("column `{}`: {error}", field.name()))?;
        Ok((field.name().clone(), value))
    };
    fields.iter().map(field).collect()
}

fn integer(text: &str) -> Option<Value> {
    text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from)).ok()
}

/// `5.0` is 5.
fn whole(number: &Number) -> Number {
    let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() <= MAX_EXACT);
    float.map_or_else(|| number.clone(), |float| Number::from(float as i64))
}

fn float(text: &str) -> Option<Value> {
    let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    if !plain { None } else { text.parse().ok().and_then(Number::from_f64).map(Value::Number) }
}

/// A double's shortest text has no more digits than were written; `12.0` fits a decimal without a
/// fraction.
fn decimal(number: &Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn timestamp(text: &str, zoned: bool) -> Result<String, String> {
    let unfit = || format!("{text:?} is no time such as \"2022-07-07T00:18:41\"");
    let utc: Tz = "+00:00".parse().map_err(|_| unfit())?;
    let time = string_to_datetime(&utc, text).map_err(|_| unfit())?.naive_utc();
    let format = if zoned { "%Y-%m-%dT%H:%M:%S%.fZ" } else { "%Y-%m-%dT%H:%M:%S%.f" };
    Ok(time.format(format).to_string())
}
