//! Row `n` of a table as JSON: a pure function of seed, dirt, table and `n`.

use super::config::{Dirt, Shares, Table};
use super::random::{Random, Stream};
use super::{people, pin, text::decimal};

/// Generates rows. Cheap to clone, never changes: two generators of the same seed and dirt generate
/// the same rows.
#[derive(Debug, Clone)]
pub struct Generator {
    seed: u64,
    shares: Shares,
}

/// How far back a repeated row lies at most.
const REPEAT_DISTANCE: usize = 5_000;

/// What happened to a row on the wire, the same for the row's three tables.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Transport {
    pub numbers_as_strings: bool,
    pub wrapped: bool,
    pub none_text: bool,
    pub t_timestamp: bool,
    merged: bool,
    malformed: bool,
    swapped: Option<(Table, Table)>,
}

impl Transport {
    fn draw(random: &mut Random, shares: &Shares) -> Self {
        let mut chance = |share| random.chance(share);
        let (malformed, merged, swapped) = (chance(shares.malformed), chance(shares.merged), chance(shares.wrong_table));
        let (numbers_as_strings, none_text) = (chance(shares.numbers_as_strings), chance(shares.none_text));
        let (wrapped, t_timestamp) = (chance(shares.wrapped), chance(shares.t_timestamps));
        const PAIRS: [(Table, Table); 3] = [(Table::Pin, Table::User), (Table::Pin, Table::Geo), (Table::Geo, Table::User)];
        let swapped = swapped.then(|| PAIRS[random.below(PAIRS.len())]);
        Self { numbers_as_strings, wrapped, none_text, t_timestamp, merged, malformed, swapped }
    }

    /// The table whose row arrives in `table`.
    fn arriving(&self, table: Table) -> Table {
        match self.swapped {
            Some((one, other)) if one == table => other,
            Some((one, other)) if other == table => one,
            _ => table,
        }
    }

    /// Writes what `write` writes, in quotes where numbers arrive as strings.
    pub(super) fn quoted(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        if self.numbers_as_strings {
            out.push(b'"');
        }
        write(out);
        if self.numbers_as_strings {
            out.push(b'"');
        }
    }

    pub(super) fn digits(&self, out: &mut Vec<u8>, number: u64) {
        self.quoted(out, |out| decimal(out, number));
    }
}

impl Generator {
    /// A generator for the rows of one seed and one mixture of dirt.
    pub fn new(seed: u64, dirt: &Dirt) -> Self {
        Self { seed, shares: dirt.shares() }
    }

    /// Appends row `row` of `table` as a JSON object, without a line feed. With malformed lines
    /// configured, it may not be JSON at all, but it never holds a line feed and is never empty.
    pub fn write(&self, table: Table, row: u64, out: &mut Vec<u8>) {
        let row = self.repeated(row);
        let mut random = Random::new(self.seed, Stream::Transport, row);
        let transport = Transport::draw(&mut random, &self.shares);
        let start = out.len();
        self.object(out, transport.arriving(table), row, &transport);
        if transport.malformed {
            spoil(out, start, &mut random);
        }
    }

    /// The row at this row number: an earlier one, if this is a repeat.
    fn repeated(&self, mut row: u64) -> u64 {
        while row > 0 {
            let mut random = Random::new(self.seed, Stream::Repeats, row);
            if !random.chance(self.shares.duplicates) {
                break;
            }
            let furthest = REPEAT_DISTANCE.min(row as usize);
            row -= 1 + random.skewed(furthest) as u64;
        }
        row
    }

    fn object(&self, out: &mut Vec<u8>, table: Table, row: u64, transport: &Transport) {
        out.push(b'{');
        self.columns(out, table, row, transport);
        if transport.merged {
            let other = if table == Table::Pin { Table::Geo } else { Table::Pin };
            self.columns(out, other, row, transport);
        }
        // Every column ends in a comma and a space.
        out.truncate(out.len() - 2);
        out.push(b'}');
    }

    fn columns(&self, out: &mut Vec<u8>, table: Table, row: u64, transport: &Transport) {
        let random = |stream| Random::new(self.seed, stream, row);
        match table {
            Table::Pin => pin::write(out, row, random(Stream::Pin), &self.shares, transport),
            Table::Geo => people::write_geo(out, row, random(Stream::Geo), transport),
            Table::User => people::write_user(out, row, random(Stream::User), transport),
        }
        out.extend_from_slice(b", ");
    }
}

/// Writes a column's name and what precedes its value. All columns but the first of a row come
/// after a comma.
pub(super) fn field(out: &mut Vec<u8>, name: &str) {
    if !matches!(out.last(), Some(b'{' | b' ')) {
        out.extend_from_slice(b", ");
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\": ");
}

/// Writes a column that holds a whole number.
pub(super) fn number(out: &mut Vec<u8>, name: &str, value: u64, transport: &Transport) {
    field(out, name);
    transport.digits(out, value);
}

/// Writes a column that holds text: `write` writes it escaped.
pub(super) fn text(out: &mut Vec<u8>, name: &str, wrapped: bool, write: impl FnOnce(&mut Vec<u8>)) {
    field(out, name);
    out.extend_from_slice(if wrapped { b"[\"" } else { b"\"" });
    write(out);
    out.extend_from_slice(if wrapped { b"\"]" } else { b"\"" });
}

/// Turns the line that begins at `start` into something that no JSON parser accepts.
fn spoil(out: &mut Vec<u8>, start: usize, random: &mut Random) {
    let length = out.len() - start;
    match random.below(4) {
        // Truncated, as by a full disk. An object without its last brace is malformed wherever it
        // ends.
        0 => {
            out.truncate(start + 1 + random.below(length - 1));
            while std::str::from_utf8(&out[start..]).is_err() {
                out.pop();
            }
        }
        // Two records in one line.
        1 => out.extend_from_within(start..),
        // Python's None instead of an object.
        2 => {
            out.truncate(start);
            out.extend_from_slice(b"None");
        }
        // A byte that is not UTF-8, inside the last text.
        _ => out.insert(start + length - 3, 0xC3),
    }
}
