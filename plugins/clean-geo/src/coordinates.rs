//! Latitude and longitude as one column of lists.

use std::sync::Arc;

use wasmill_plugin::arrow::array::ListArray;
use wasmill_plugin::arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use wasmill_plugin::arrow::schema::{Field, FieldRef};
use wasmill_plugin::prelude::*;

/// Joins two columns; both null gives a null, and rows with half a place or one that is not on
/// Earth are rejected.
pub(crate) fn join(latitudes: &Float64Array, longitudes: &Float64Array, out: &mut Output<'_>) -> Result<ListArray, Refusal> {
    let rows = latitudes.len();
    let mut offsets = Vec::with_capacity(rows + 1);
    let mut values = Vec::with_capacity(rows * 2);
    offsets.push(0_i32);
    let valid = mask(rows, |row| {
        let place = (latitudes.is_valid(row).then(|| latitudes.value(row)), longitudes.is_valid(row).then(|| longitudes.value(row)));
        if let (Some(latitude), Some(longitude)) = place {
            values.extend([latitude, longitude]);
        }
        if let Some(reject) = check(place) {
            out.reject(row, reject);
        }
        offsets.push(values.len() as i32);
        matches!(place, (Some(_), Some(_)))
    });
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    ListArray::try_new(item(), offsets, Arc::new(Float64Array::from(values)), Some(NullBuffer::new(valid)))
        .map_err(|error| Refusal::new(format!("cannot build the column of coordinates: {error}")))
}

/// The type of the column.
pub(crate) fn data_type() -> DataType {
    DataType::List(item())
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Float64, true))
}

fn check(place: (Option<f64>, Option<f64>)) -> Option<Reject> {
    let (column, message) = match place {
        (None, None) => return None,
        (None, Some(_)) => ("latitude", "longitude stands without a latitude".to_owned()),
        (Some(_), None) => ("longitude", "latitude stands without a longitude".to_owned()),
        // Written so that NaN fails too.
        (Some(latitude), _) if !(-90.0..=90.0).contains(&latitude) => {
            ("latitude", format!("latitude {latitude} is not between -90 and 90"))
        }
        (_, Some(longitude)) if !(-180.0..=180.0).contains(&longitude) => {
            ("longitude", format!("longitude {longitude} is not between -180 and 180"))
        }
        _ => return None,
    };
    Some(Reject::new("bad-coordinate", message).at_column(column))
}
