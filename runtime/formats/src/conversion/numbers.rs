//! Numbers as other numbers.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use arrow_schema::DataType;
use wasmill_error::{Error, Result};

use super::{Misfits, cast};
use crate::TypeName;
use crate::columns::{misfit, quoted};
use crate::json::Cells;
use crate::number::Misfit;

/// Whether every number of one type is one of the other. Decimals come from whole numbers only here.
pub(super) fn always_fits(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    match (from, to) {
        (Int8, Int16 | Int32 | Int64 | Float32 | Float64)
        | (Int16, Int32 | Int64 | Float32 | Float64)
        | (Int32, Int64 | Float64)
        | (UInt8, Int16 | Int32 | Int64 | UInt16 | UInt32 | UInt64 | Float32 | Float64)
        | (UInt16, Int32 | Int64 | UInt32 | UInt64 | Float32 | Float64)
        | (UInt32, Int64 | UInt64 | Float64)
        | (Float32, Float64) => true,
        (from, Decimal128(precision, scale)) if from.is_integer() => {
            let digits = match from {
                Int8 | UInt8 => 3,
                Int16 | UInt16 => 5,
                Int32 | UInt32 => 10,
                Int64 => 19,
                _ => 20,
            };
            *scale >= 0 && i16::from(*precision) - i16::from(*scale) >= digits
        }
        (Decimal128(precision, scale), Decimal128(wanted_precision, wanted_scale)) => {
            let digits = |precision: &u8, scale: &i8| i16::from(*precision) - i16::from(*scale);
            wanted_scale >= scale && digits(wanted_precision, wanted_scale) >= digits(precision, scale)
        }
        _ => false,
    }
}

/// Converts each value by a function. The places that it rejects are reported with the reason.
pub(super) fn map_values<F: ArrowPrimitiveType, T: ArrowPrimitiveType>(
    column: &PrimitiveArray<F>,
    convert: impl Fn(F::Native) -> Result<T::Native, Misfit>,
) -> (PrimitiveArray<T>, Vec<(usize, Misfit)>) {
    let mut bad = Vec::new();
    let values = column.values().iter().enumerate().map(|(place, &value)| match convert(value) {
        Ok(value) => value,
        Err(why) => {
            if column.is_valid(place) {
                bad.push((place, why));
            }
            T::Native::default()
        }
    });
    let values: Vec<T::Native> = values.collect();
    (PrimitiveArray::new(values.into(), column.nulls().cloned()), bad)
}

/// Converts numbers of one type into another, of which some may not fit.
pub(super) fn convert(column: &ArrayRef, to: &DataType) -> Result<(ArrayRef, Misfits)> {
    let (converted, bad) = match column.data_type() {
        DataType::Float32 | DataType::Float64 => from_floats(&cast(column, &DataType::Float64)?, to)?,
        DataType::UInt64 => from_whole::<UInt64Type>(column.as_primitive(), to)?,
        DataType::Decimal128(_, scale) => from_decimals(column.as_primitive(), *scale, to)?,
        _ => from_whole::<Int64Type>(cast(column, &DataType::Int64)?.as_primitive(), to)?,
    };
    Ok((converted, shown(column, bad, to)?))
}

/// The misfits of a column, each with its value.
pub(super) fn shown(column: &ArrayRef, bad: Vec<(usize, Misfit)>, to: &DataType) -> Result<Misfits> {
    if bad.is_empty() {
        return Ok(Vec::new());
    }
    let cells = Cells::of(column.as_ref())?;
    let misfits = bad.into_iter().map(|(place, why)| {
        let mut text = Vec::new();
        cells.put_bare(place, &mut text);
        (place, misfit(&quoted(&String::from_utf8_lossy(&text)), why, to))
    });
    Ok(misfits.collect())
}

type Numbers = (ArrayRef, Vec<(usize, Misfit)>);

fn array<T: ArrowPrimitiveType>((values, bad): (PrimitiveArray<T>, Vec<(usize, Misfit)>)) -> Numbers {
    (Arc::new(values), bad)
}

fn decimals((values, bad): (PrimitiveArray<Decimal128Type>, Vec<(usize, Misfit)>), precision: u8, scale: i8) -> Result<Numbers> {
    let values = values.with_precision_and_scale(precision, scale);
    Ok((Arc::new(values.map_err(|error| Error::bug(format!("a decimal of {precision} digits: {error}")))?), bad))
}

/// All whole number types by one function that goes through `i128`.
macro_rules! to_whole {
    ($column:expr, $to:expr, $whole:expr, $other:expr) => {
        match $to {
            DataType::Int8 => array(map_values::<_, Int8Type>($column, |value| narrow($whole(value)?))),
            DataType::Int16 => array(map_values::<_, Int16Type>($column, |value| narrow($whole(value)?))),
            DataType::Int32 => array(map_values::<_, Int32Type>($column, |value| narrow($whole(value)?))),
            DataType::Int64 => array(map_values::<_, Int64Type>($column, |value| narrow($whole(value)?))),
            DataType::UInt8 => array(map_values::<_, UInt8Type>($column, |value| narrow($whole(value)?))),
            DataType::UInt16 => array(map_values::<_, UInt16Type>($column, |value| narrow($whole(value)?))),
            DataType::UInt32 => array(map_values::<_, UInt32Type>($column, |value| narrow($whole(value)?))),
            DataType::UInt64 => array(map_values::<_, UInt64Type>($column, |value| narrow($whole(value)?))),
            _ => $other,
        }
    };
}

#[inline]
fn narrow<T: TryFrom<i128>>(value: i128) -> Result<T, Misfit> {
    T::try_from(value).map_err(|_| Misfit::Range)
}

fn unplanned(to: &DataType) -> Error {
    Error::bug(format!("numbers were to become {}", TypeName(to)))
}

fn from_whole<F: ArrowPrimitiveType>(column: &PrimitiveArray<F>, to: &DataType) -> Result<Numbers>
where
    F::Native: Into<i128>,
{
    let whole = |value: F::Native| -> Result<i128, Misfit> { Ok(value.into()) };
    Ok(to_whole!(
        column,
        to,
        whole,
        match to {
            DataType::Float32 => array(map_values::<_, Float32Type>(column, |value| {
                let value: i128 = value.into();
                let float = value as f32;
                if float as i128 == value { Ok(float) } else { Err(Misfit::Digits) }
            })),
            DataType::Float64 => array(map_values::<_, Float64Type>(column, |value| {
                let value: i128 = value.into();
                // Nearly all of them, and much faster than by way of 128 bits.
                if value.unsigned_abs() <= 1 << 53 {
                    return Ok(value as i64 as f64);
                }
                let float = value as f64;
                if float as i128 == value { Ok(float) } else { Err(Misfit::Digits) }
            })),
            DataType::Decimal128(precision, scale) => {
                decimals(map_values(column, |value| rescale(value.into(), 0, (*precision, *scale))), *precision, *scale)?
            }
            _ => return Err(unplanned(to)),
        }
    ))
}

fn from_floats(column: &ArrayRef, to: &DataType) -> Result<Numbers> {
    let column = column.as_primitive::<Float64Type>();
    let whole = |value: f64| match value {
        _ if !value.is_finite() => Err(Misfit::NotANumber),
        _ if value.fract() != 0.0 => Err(Misfit::Fraction),
        // Beyond 128 bits it saturates, and is out of the range of every type.
        _ => Ok(value as i128),
    };
    Ok(to_whole!(
        column,
        to,
        whole,
        match to {
            DataType::Float32 => array(map_values::<_, Float32Type>(column, |value| {
                let float = value as f32;
                if f64::from(float) == value || value.is_nan() {
                    return Ok(float);
                }
                Err(if float.is_infinite() { Misfit::Range } else { Misfit::Digits })
            })),
            _ => return Err(unplanned(to)),
        }
    ))
}

fn from_decimals(column: &PrimitiveArray<Decimal128Type>, from_scale: i8, to: &DataType) -> Result<Numbers> {
    let whole = |value: i128| rescale(value, from_scale, (38, 0));
    Ok(to_whole!(
        column,
        to,
        whole,
        match to {
            DataType::Decimal128(precision, scale) => {
                decimals(map_values(column, |value| rescale(value, from_scale, (*precision, *scale))), *precision, *scale)?
            }
            _ => return Err(unplanned(to)),
        }
    ))
}

/// A decimal of another scale and precision.
fn rescale(value: i128, from_scale: i8, (precision, scale): (u8, i8)) -> Result<i128, Misfit> {
    let shift = i32::from(scale) - i32::from(from_scale);
    let power = 10_i128.checked_pow(shift.unsigned_abs());
    let value = match power {
        _ if value == 0 => 0,
        None => return Err(if shift > 0 { Misfit::Range } else { Misfit::Fraction }),
        Some(power) if shift >= 0 => value.checked_mul(power).ok_or(Misfit::Range)?,
        Some(power) if value % power != 0 => return Err(Misfit::Fraction),
        Some(power) => value / power,
    };
    match 10_u128.checked_pow(u32::from(precision)) {
        Some(limit) if value.unsigned_abs() >= limit => Err(Misfit::Range),
        _ => Ok(value),
    }
}
