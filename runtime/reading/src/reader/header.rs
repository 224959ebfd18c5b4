//! The header of a CSV file.

use std::path::Path;

use wasmill_engine::{Error, Result};

use crate::codes::UNREADABLE;
use crate::content::Content;
use crate::damage::damaged;
use crate::frame::{Frame, LineEnds, line_ends};
use crate::input::Input;
use crate::options::ReadOptions;
use wasmill_formats::csv::fields;

/// The names of a file's fields.
pub struct Header {
    /// In order. A file without any record has none.
    pub names: Vec<String>,
    /// Where the first record begins.
    pub length: u64,
    /// What ends its lines.
    pub ends: LineEnds,
}

/// Reads the header. A file without one, by configuration, has the names `column_1`, `column_2` …
///
/// # Errors
/// Environment: it is not UTF-8, or not CSV.
pub fn read(options: &ReadOptions, path: &Path, content: &Content) -> Result<Header> {
    let copy = content.try_clone().map_err(|error| Error::io(format_args!("read {}", path.display()), error).or_code(UNREADABLE))?;
    let mut input = Input::open(copy, path, options.compression_of(path), 0)?;
    let mut ends = None;
    let mut framer = options.csv_framer(LineEnds::LineFeed, 0);
    let (mut bytes, mut start, mut wanted) = (Vec::new(), 0, 64 << 10);
    loop {
        let missing = wanted - bytes.len();
        let at_end = input.append(&mut bytes, missing)?;
        if start == 0 && bytes.starts_with(b"\xef\xbb\xbf") {
            start = 3;
        }
        let ends = match ends {
            Some(ends) => ends,
            None => {
                let detected = detect_ends(options, path, &bytes[start..])?;
                framer = options.csv_framer(detected, 0);
                *ends.insert(detected)
            }
        };
        match framer.frame(&bytes[start..], at_end) {
            Frame::Record { length, next } => {
                return parse(options, path, &bytes[start..start + length], (start, start + next), ends);
            }
            Frame::Nothing { next } => start += next,
            Frame::More if wanted <= options.max_record_bytes() => wanted *= 2,
            Frame::End => return Ok(Header { names: Vec::new(), length: start as u64, ends }),
            Frame::More | Frame::Malformed { .. } | Frame::Broken { .. } => {
                return Err(damaged(format!("the header of {} does not end", path.display()), "is it CSV?"));
            }
        }
    }
}

/// The line ends of a file that begins with these bytes.
fn detect_ends(options: &ReadOptions, path: &Path, bytes: &[u8]) -> Result<LineEnds> {
    match line_ends(bytes, options.csv.delimiter as u8, options.csv.quote as u8) {
        Some(LineEnds::CarriageReturn) if options.csv.splittable => {
            let message = format!("the lines of {} end with carriage returns", path.display());
            Err(damaged(
                message,
                "`csv: { splittable: true }` needs line feeds: leave it out, or convert the file, as with `tr '\\r' '\\n'`",
            ))
        }
        Some(ends) => Ok(ends),
        None => {
            let message = format!("some lines of {} end with carriage returns, others with line feeds", path.display());
            Err(damaged(message, "convert it to line feeds"))
        }
    }
}

fn parse(options: &ReadOptions, path: &Path, record: &[u8], (start, next): (usize, usize), ends: LineEnds) -> Result<Header> {
    let bad = |why: &str| damaged(format!("the header of {} can't be read: {why}", path.display()), "is it CSV in UTF-8?");
    let record = std::str::from_utf8(record).map_err(|_| bad("it is not UTF-8"))?;
    let csv = options.csv.options();
    let fields = fields(record, csv.delimiter, csv.quote);
    if options.csv.header {
        let names = fields.map(|field| field.map(|(name, _)| name.into_owned())).collect::<std::result::Result<_, _>>();
        return Ok(Header { names: names.map_err(|error| bad(&error.message))?, length: next as u64, ends });
    }
    Ok(Header { names: (1..=fields.count()).map(|number| format!("column_{number}")).collect(), length: start as u64, ends })
}
