//! Lists, maps and structs: their items by the same rules, the fields of structs by their names.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray, new_null_array};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, FieldRef, Fields};
use wasmill_error::{Error, Result};

use super::{Conversion, Misfits, with_nulls};
use crate::json::Cells;

/// The fields of a map's entries.
pub(super) fn key_and_value(entries: &Field) -> Option<(&FieldRef, &FieldRef)> {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => Some((&fields[0], &fields[1])),
        _ => None,
    }
}

/// The position of the field from which a wanted one is built, if there is one, and how.
pub(super) type Match = (Option<usize>, Conversion);

/// For each wanted field the one of that name and its conversion; nothing where no field has a name in common.
pub(super) fn matched(fields: &Fields, wanted: &Fields) -> Result<Option<Vec<Match>>> {
    let matched = wanted.iter().map(|wanted| match fields.find(wanted.name()) {
        Some((index, field)) => Ok((Some(index), Conversion::new(field.data_type(), wanted)?)),
        None => Ok((None, Conversion::new(&DataType::Null, wanted)?)),
    });
    let matched = matched.collect::<Result<Vec<_>>>()?;
    let any = matched.iter().any(|(index, _)| index.is_some());
    Ok((any || wanted.is_empty() || fields.is_empty()).then_some(matched))
}

pub(super) fn structure(column: &ArrayRef, fields: &[Match], to: &Field) -> Result<(ArrayRef, Misfits)> {
    let found = column.as_struct();
    let DataType::Struct(wanted) = to.data_type() else { return Err(mismatch(to)) };
    let nulls = found.nulls();
    let mut all: Misfits = Vec::new();
    let mut columns = Vec::with_capacity(fields.len());
    for (index, conversion) in fields {
        let (converted, misfits) = match index {
            Some(index) => conversion.apply(found.column(*index), nulls)?,
            None => {
                let (blank, mut misfits) = conversion.apply(&new_null_array(&DataType::Null, found.len()), nulls)?;
                misfits.iter_mut().for_each(|(_, bad)| "it is missing, and may not be null".clone_into(&mut bad.message));
                (blank, misfits)
            }
        };
        columns.push(converted);
        all.extend(misfits.into_iter().map(|(place, bad)| (place, bad.within(conversion.to.name()))));
    }
    all.sort_by_key(|(place, _)| *place);
    all.dedup_by_key(|(place, _)| *place);
    let array = match wanted.is_empty() {
        true => StructArray::new_empty_fields(found.len(), nulls.cloned()),
        false => StructArray::try_new(wanted.clone(), columns, nulls.cloned()).map_err(unfit)?,
    };
    Ok((Arc::new(array), all))
}

pub(super) fn list(column: &ArrayRef, item: &Conversion, to: &Field) -> Result<(ArrayRef, Misfits)> {
    let found = column.as_list::<i32>();
    let DataType::List(wanted) = to.data_type() else { return Err(mismatch(to)) };
    let (offsets, first, length) = own_offsets(found.offsets());
    let (items, misfits) = item.apply(&found.values().slice(first, length), None)?;
    let misfits = of_parents(found, &offsets, misfits, |_| "[]".to_owned());
    let array = ListArray::try_new(Arc::clone(wanted), offsets, items, found.nulls().cloned()).map_err(unfit)?;
    Ok((Arc::new(array), misfits))
}

pub(super) fn map(column: &ArrayRef, key: &Conversion, value: &Conversion, to: &Field) -> Result<(ArrayRef, Misfits)> {
    let found = column.as_map();
    let DataType::Map(entries, sorted) = to.data_type() else { return Err(mismatch(to)) };
    let DataType::Struct(fields) = entries.data_type() else { return Err(mismatch(to)) };
    let (offsets, first, length) = own_offsets(found.offsets());
    let (found_keys, found_values) = (found.keys().slice(first, length), found.values().slice(first, length));
    let (keys, bad_keys) = key.apply(&found_keys, None)?;
    let (values, bad_values) = value.apply(&found_values, None)?;
    let mut misfits = of_parents(found, &offsets, bad_keys, |_| "[]".to_owned());
    let names = Cells::of(found_keys.as_ref()).ok();
    let name = |entry: usize| {
        let mut text = Vec::new();
        names.iter().for_each(|names| names.put(entry, &mut text));
        format!("[{}]", String::from_utf8_lossy(&text))
    };
    misfits.extend(of_parents(found, &offsets, bad_values, name));
    misfits.sort_by_key(|(place, _)| *place);
    misfits.dedup_by_key(|(place, _)| *place);
    let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None).map_err(unfit)?;
    let array = MapArray::try_new(Arc::clone(entries), offsets, pairs, found.nulls().cloned(), *sorted).map_err(unfit)?;
    Ok((Arc::new(array), misfits))
}

/// The offsets into the items of a column's own rows, and where those lie: a slice shares the items of the whole.
fn own_offsets(offsets: &OffsetBuffer<i32>) -> (OffsetBuffer<i32>, usize, usize) {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let own = match first {
        0 => offsets.clone(),
        _ => OffsetBuffer::new(offsets.iter().map(|offset| offset - first).collect::<ScalarBuffer<i32>>()),
    };
    (own, first as usize, (last - first) as usize)
}

/// The rows whose items do not convert, each with the first of them.
fn of_parents(rows: &dyn Array, offsets: &OffsetBuffer<i32>, items: Misfits, name: impl Fn(usize) -> String) -> Misfits {
    let mut misfits: Misfits = Vec::new();
    for (item, bad) in items {
        let row = offsets.partition_point(|&offset| offset as usize <= item).saturating_sub(1);
        if rows.is_valid(row) && misfits.last().is_none_or(|(last, _)| *last != row) {
            misfits.push((row, bad.within(&name(item))));
        }
    }
    misfits
}

/// The same values without nulls, including those of fields that may have none. Places of nulls
/// hold unspecified values.
pub(super) fn without_nulls(column: &ArrayRef) -> Result<ArrayRef> {
    let DataType::Struct(fields) = column.data_type() else { return with_nulls(column, None) };
    if fields.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(column.len(), None)));
    }
    let columns = column.as_struct().columns().iter().zip(fields).map(|(column, field)| match field.is_nullable() {
        true => Ok(Arc::clone(column)),
        false => without_nulls(column),
    });
    Ok(Arc::new(StructArray::try_new(fields.clone(), columns.collect::<Result<_>>()?, None).map_err(unfit)?))
}

fn unfit(error: arrow_schema::ArrowError) -> Error {
    Error::bug(format!("converted columns do not fit together: {error}")).caused_by(error)
}

fn mismatch(to: &Field) -> Error {
    Error::bug(format!("column {} is not of the type that its conversion was planned for", to.name()))
}
