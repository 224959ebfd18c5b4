//! Times and dates as other times and dates, and numbers as times.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_schema::{DataType, TimeUnit};
use wasmill_error::{Error, Result};

use super::numbers::{map_values, shown};
use super::{Misfits, cast};
use crate::TypeName;
use crate::number::Misfit;
use crate::time::units_per_second;

const SECONDS_OF_DAY: i64 = 86_400;

/// Converts times and dates. A time without a zone is one in UTC; a date is its midnight.
pub(super) fn convert(column: &ArrayRef, to: &DataType, cut: bool) -> Result<(ArrayRef, Misfits)> {
    let (counts, units_a_day) = counts(column)?;
    let (converted, bad) = match to {
        DataType::Date32 => {
            let day = |count: i64| match count % units_a_day {
                0 => i32::try_from(count / units_a_day).map_err(|_| Misfit::Range),
                _ => Err(Misfit::Fraction),
            };
            let (days, bad) = map_values::<_, Date32Type>(&counts, day);
            (Arc::new(days) as ArrayRef, bad)
        }
        _ => of_counts(&counts, units_a_day, to, cut)?,
    };
    Ok((converted, shown(column, bad, to)?))
}

/// Converts whole numbers of at most 64 bits with their sign that count units since 1970.
pub(super) fn from_numbers(column: &ArrayRef, to: &DataType, unit: TimeUnit, cut: bool) -> Result<(ArrayRef, Misfits)> {
    let counts = cast(column, &DataType::Int64)?;
    let (converted, bad) = of_counts(counts.as_primitive::<Int64Type>(), units_per_second(unit) * SECONDS_OF_DAY, to, cut)?;
    Ok((converted, shown(column, bad, to)?))
}

/// The bare numbers of a column of times or dates, and how many of their units a day has.
fn counts(column: &ArrayRef) -> Result<(PrimitiveArray<Int64Type>, i64)> {
    let (counts, units_a_day) = match column.data_type() {
        DataType::Date32 => (cast(&cast(column, &DataType::Int32)?, &DataType::Int64)?, 1),
        // Arrow reads a time without a zone as one, and so keeps the number.
        DataType::Timestamp(unit, _) => (cast(column, &DataType::Int64)?, units_per_second(*unit) * SECONDS_OF_DAY),
        other => return Err(Error::bug(format!("{} was taken for a time", TypeName(other)))),
    };
    Ok((counts.as_primitive::<Int64Type>().clone(), units_a_day))
}

fn of_counts(counts: &PrimitiveArray<Int64Type>, units_a_day: i64, to: &DataType, cut: bool) -> Result<(ArrayRef, Vec<(usize, Misfit)>)> {
    let DataType::Timestamp(unit, zone) = to else { return Err(Error::bug(format!("{} was taken for a time", TypeName(to)))) };
    let wanted = units_per_second(*unit) * SECONDS_OF_DAY;
    let (times, bad) = match wanted >= units_a_day {
        _ if wanted == units_a_day => (counts.clone(), Vec::new()),
        true => {
            let factor = wanted / units_a_day;
            map_values(counts, |count| count.checked_mul(factor).ok_or(Misfit::Range))
        }
        false => {
            let factor = units_a_day / wanted;
            map_values(counts, |count| match count.rem_euclid(factor) {
                0 => Ok(count / factor),
                _ if cut => Ok(count.div_euclid(factor)),
                _ => Err(Misfit::Fraction),
            })
        }
    };
    let zone = zone.clone();
    let times: ArrayRef = match unit {
        TimeUnit::Second => Arc::new(times.reinterpret_cast::<TimestampSecondType>().with_timezone_opt(zone)),
        TimeUnit::Millisecond => Arc::new(times.reinterpret_cast::<TimestampMillisecondType>().with_timezone_opt(zone)),
        TimeUnit::Microsecond => Arc::new(times.reinterpret_cast::<TimestampMicrosecondType>().with_timezone_opt(zone)),
        TimeUnit::Nanosecond => Arc::new(times.reinterpret_cast::<TimestampNanosecondType>().with_timezone_opt(zone)),
    };
    Ok((times, bad))
}
