//! Converts values by way of their text. The text is what the JSON and CSV encoders write, and is
//! read by the rules of their decoders.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::Field;
use wasmill_error::{Error, Result};

use super::Misfits;
use crate::codes::BATCH_TOO_LARGE;
use crate::columns::{Column, Step, misfit, quoted};
use crate::json::Cells;
use crate::number::{Exact, Misfit};
use crate::reading::Reading;

/// Converts texts.
pub(super) fn from_text(column: &ArrayRef, to: &Field, reading: Reading) -> Result<(ArrayRef, Misfits)> {
    let texts = column.as_string::<i32>();
    collect(column, to, reading, |wanted, place| wanted.append_text(texts.value(place)))
}

/// Converts numbers by their shortest text. `exact`: the text of what they become has to be the same number.
pub(super) fn from_numerals(column: &ArrayRef, to: &Field, reading: Reading, exact: bool) -> Result<(ArrayRef, Misfits)> {
    let cells = Cells::of(column.as_ref())?;
    let mut text = Vec::new();
    let (converted, mut misfits) = collect(column, to, reading, |wanted, place| {
        text.clear();
        cells.put_bare(place, &mut text);
        let text = std::str::from_utf8(&text).unwrap_or_default();
        // The floats that are not numbers: NaN and the infinities.
        match text {
            "NaN" | "Infinity" | "-Infinity" => Err(misfit(&quoted(text), Misfit::NotANumber, to.data_type())),
            // A float from a decimal: checked below, by the way back.
            _ if exact => wanted.append_text(&format!("{text}e0")),
            _ => wanted.append_number(text),
        }
    })?;
    if exact {
        let back = Cells::of(converted.as_ref())?;
        let mut reported = misfits.into_iter().peekable();
        misfits = Vec::new();
        for place in 0..column.len() {
            if let Some(known) = reported.next_if(|(other, _)| *other == place) {
                misfits.push(known);
            } else if column.is_valid(place) {
                let (mut there, mut again) = (Vec::new(), Vec::new());
                cells.put_bare(place, &mut there);
                back.put_bare(place, &mut again);
                let number = |text: &[u8]| std::str::from_utf8(text).ok().and_then(|text| Exact::parse(text).ok());
                if number(&there) != number(&again) {
                    misfits.push((place, misfit(&quoted(&String::from_utf8_lossy(&there)), Misfit::Digits, to.data_type())));
                }
            }
        }
    }
    Ok((converted, misfits))
}

/// Converts values into their text, or the text of JSON.
pub(super) fn to_text(column: &ArrayRef, json: bool) -> Result<(ArrayRef, Misfits)> {
    let cells = Cells::of(column.as_ref())?;
    let (mut texts, mut text) = (StringBuilder::with_capacity(column.len(), column.len() * 8), Vec::new());
    let mut bytes = 0;
    for place in 0..column.len() {
        if cells.is_null(place) {
            texts.append_null();
            continue;
        }
        text.clear();
        match json {
            true => cells.put(place, &mut text),
            false => cells.put_bare(place, &mut text),
        }
        bytes += text.len();
        if i32::try_from(bytes).is_err() {
            return Err(Error::environment("the texts of a batch come to more than 2 GiB")
                .code(BATCH_TOO_LARGE)
                .hint("reduce `batch_rows`"));
        }
        texts.append_value(String::from_utf8_lossy(&text));
    }
    Ok((Arc::new(texts.finish()), Vec::new()))
}

fn collect(
    column: &ArrayRef,
    to: &Field,
    reading: Reading,
    mut append: impl FnMut(&mut Column, usize) -> Step,
) -> Result<(ArrayRef, Misfits)> {
    // Whether nulls are allowed is checked later, for all types alike.
    let mut wanted = Column::new(Arc::new(reading.on(to.clone().with_nullable(true))))?;
    let mut misfits = Vec::new();
    for place in 0..column.len() {
        let step = match column.is_null(place) {
            true => wanted.append_null(),
            false => append(&mut wanted, place),
        };
        if let Err(bad) = step {
            wanted.truncate(place);
            wanted.append_blank();
            misfits.push((place, bad));
        }
    }
    Ok((wanted.finish()?, misfits))
}
