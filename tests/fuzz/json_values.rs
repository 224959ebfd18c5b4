//! Files of JSON values, the elements of one array or objects one after the other, beside serde_json: what it finds undamaged is found, and damage costs
//! itself only.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::de::IgnoredAny;
use wasmill_formats::Format;

use crate::campaign::Target;
use crate::files::{Outcome, read, written};
use crate::json::{Json, reject_agrees, row_agrees, schema, some_rows};
use crate::mutate::mutated;
use crate::random::Random;

pub struct JsonValues;

impl Target for JsonValues {
    const NAME: &'static str = "json_values";
    const DICTIONARY: &'static [&'static str] = Json::DICTIONARY;

    fn check(input: &[u8]) -> Result<String, String> {
        checked(input).map(|outcome| outcome.summary())
    }

    /// A file of values, one of which is damaged inside: the others are read all the same.
    fn generate(random: &mut Random) -> Result<Vec<u8>, String> {
        let mut file = File::of(random)?;
        let whole = checked(&file.text)?;
        file.has_all_but(None, &whole)?;
        if file.values.is_empty() {
            return Ok(file.text);
        }
        let damaged = random.below(file.values.len() as u64) as usize;
        let adds_brackets = file.damage(random, damaged);
        let outcome = checked(&file.text)?;
        // A bracket may be taken for the end of the array, or for an array inside of it; and nothing follows the last value by which its end could be told.
        if outcome.error.is_some() && (adds_brackets || damaged + 1 == file.values.len()) {
            return Ok(file.text);
        }
        file.has_all_but(Some(damaged), &outcome)?;
        Ok(file.text)
    }

    fn memory(bytes: usize) -> usize {
        Json::memory(bytes)
    }
}

/// What comes out of any bytes, if it agrees with serde_json.
fn checked(input: &[u8]) -> Result<Outcome, String> {
    let outcome = read(Format::Json, &schema(), input);
    let mut end = 0;
    for (records, positions) in &outcome.batches {
        for (row, position) in positions.iter().enumerate() {
            let start = usize::try_from(*position).unwrap();
            let value = value_at(input, start).ok_or_else(|| format!("a row at {start}, where serde_json finds no value"))?;
            if start < end {
                return Err(format!("the row at {start} begins within the one before, which ends at {end}"));
            }
            end = value.end;
            let text = &input[value];
            row_agrees(records, row, text).map_err(|what| format!("{what}: {}", String::from_utf8_lossy(text)))?;
        }
    }
    for (position, code) in &outcome.rejects {
        let start = usize::try_from(*position).unwrap();
        // Of what is no object, only its decoder knows where it ends.
        if let Some(value) = value_at(input, start).filter(|value| input[value.start] == b'{') {
            let text = &input[value];
            reject_agrees(code, text).map_err(|what| format!("{what}: {}", String::from_utf8_lossy(text)))?;
        }
    }
    if let Some(values) = elements(input).or_else(|| objects(input)) {
        if let Some(error) = &outcome.error {
            return Err(format!("serde_json takes all of it, and the run ends: {error}"));
        }
        let rejects = outcome.rejects.iter().map(|(position, _)| *position);
        let found: BTreeSet<u64> = positions(&outcome).chain(rejects).collect();
        let expected: BTreeSet<u64> = values.iter().map(|value| value.start as u64).collect();
        if found != expected || found.len() != outcome.rows() + outcome.rejects.len() {
            return Err(format!("serde_json finds values at {expected:?}, and rows and rejects are at {found:?}"));
        }
    }
    Ok(outcome)
}

fn positions(outcome: &Outcome) -> impl Iterator<Item = u64> {
    outcome.batches.iter().flat_map(|(_, positions)| positions.iter().copied())
}

/// Where the value lies that begins here, if serde_json finds one.
fn value_at(input: &[u8], start: usize) -> Option<Range<usize>> {
    let mut values = serde_json::Deserializer::from_slice(input.get(start..)?).into_iter::<IgnoredAny>();
    let is_one = values.next()?.is_ok();
    is_one.then(|| start..start + values.byte_offset())
}

/// Where a text begins, behind a mark of the byte order.
fn begin(input: &[u8]) -> usize {
    if input.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 }
}

/// The place of the next byte that is no white space.
fn next(input: &[u8], from: usize) -> usize {
    from + input[from..].iter().take_while(|byte| b" \t\r\n".contains(byte)).count()
}

/// The elements, where all of the input is one array.
fn elements(input: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut at = next(input, begin(input));
    if input.get(at) != Some(&b'[') || serde_json::from_slice::<IgnoredAny>(&input[at..]).is_err() {
        return None;
    }
    let mut values = Vec::new();
    at = next(input, at + 1);
    while input[at] != b']' {
        let value = value_at(input, at)?;
        at = next(input, value.end);
        values.push(value);
        if input[at] == b',' {
            at = next(input, at + 1);
        }
    }
    Some(values)
}

/// The objects, where the input is nothing but objects with white space between them.
fn objects(input: &[u8]) -> Option<Vec<Range<usize>>> {
    let (mut values, mut at) = (Vec::new(), next(input, begin(input)));
    while at < input.len() {
        let value = value_at(input, at).filter(|_| input[at] == b'{')?;
        at = next(input, value.end);
        values.push(value);
    }
    Some(values)
}

/// A file that is laid out as people and programs do it: each value begins a line.
struct File {
    text: Vec<u8>,
    values: Vec<Range<usize>>,
}

impl File {
    fn of(random: &mut Random) -> Result<Self, String> {
        let lines = written(Format::Jsonl, &some_rows(random))?;
        let (is_array, is_pretty, indent) = (random.below(2) == 0, random.below(2) == 0, " ".repeat(random.below(4) as usize));
        let (mut text, mut values) = (Vec::new(), Vec::new());
        text.extend_from_slice(if is_array { b"[\n" } else { b"" });
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let value: serde_json::Value = serde_json::from_slice(line).unwrap();
            let value = if is_pretty { serde_json::to_string_pretty(&value).unwrap() } else { String::from_utf8(line.to_vec()).unwrap() };
            if !values.is_empty() {
                text.extend_from_slice(if is_array { b",\n" } else { b"\n" });
            }
            text.extend_from_slice(indent.as_bytes());
            let start = text.len();
            text.extend_from_slice(value.replace('\n', &format!("\n{indent}")).as_bytes());
            values.push(start..text.len());
        }
        text.extend_from_slice(if is_array { b"\n]\n" } else { b"\n" });
        Ok(Self { text, values })
    }

    /// Damages a value behind the brace that it begins with. Returns whether there are brackets in it then.
    fn damage(&mut self, random: &mut Random, index: usize) -> bool {
        let Range { start, end } = self.values[index].clone();
        let other = self.text.clone();
        let inside = match random.below(2) {
            0 => cut_short(random, &self.text[start + 1..end]),
            _ => mutated(random, &self.text[start + 1..end], &other, Json::DICTIONARY),
        };
        let has_brackets = inside.iter().any(|byte| b"[]".contains(byte));
        let (length, before) = (inside.len(), end - start - 1);
        self.text.splice(start + 1..end, inside);
        let moved = |place: usize| place + length - before;
        self.values[index].end = moved(end);
        self.values[index + 1..].iter_mut().for_each(|value| *value = moved(value.start)..moved(value.end));
        has_brackets
    }

    /// Every value but the damaged one is a row.
    fn has_all_but(&self, damaged: Option<usize>, outcome: &Outcome) -> Result<(), String> {
        let rows: BTreeSet<u64> = positions(outcome).collect();
        let is_missing = |index: &usize| Some(*index) != damaged && !rows.contains(&(self.values[*index].start as u64));
        let missing: Vec<usize> = (0..self.values.len()).filter(is_missing).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "with {damaged:?} damaged, the values {missing:?} are missing ({:?}, {:?}):\n{}",
                outcome.rejects,
                outcome.error,
                String::from_utf8_lossy(&self.text)
            )),
        }
    }
}

/// What is left of a value whose writer was interrupted: it ends anywhere, and often within a string or a bracket.
fn cut_short(random: &mut Random, inside: &[u8]) -> Vec<u8> {
    const ENDS: [&str; 8] = ["", "\\", "\"", "\"\\", "{", "[", "}", "]"];
    let left = &inside[..random.below(inside.len() as u64) as usize];
    [left, ENDS[random.below(ENDS.len() as u64) as usize].as_bytes()].concat()
}
