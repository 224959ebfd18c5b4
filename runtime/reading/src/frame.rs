//! Where records begin and end.

mod array;
mod csv;
mod lines;
mod nesting;
mod objects;

use wasmill_formats::BadRecord;

pub use array::Array;
pub use csv::Csv;
pub use csv::{CsvShape, LineEnds, line_ends};
pub use lines::Lines;
pub use objects::Objects;

/// The frame at the start of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A record begins right here.
    Record {
        /// How many bytes it has.
        length: usize,
        /// From the start of the window to the next frame.
        next: usize,
    },
    /// A malformed record. It begins right here, and the next one has been found after it.
    Malformed {
        /// How many bytes belong to it.
        length: usize,
        /// From the start of the window to the next frame.
        next: usize,
        /// What is wrong with it.
        bad: Box<BadRecord>,
    },
    /// Bytes that belong to no record: a blank line, a bracket.
    Nothing {
        /// How many.
        next: usize,
    },
    /// The record does not end in the bytes that are there.
    More,
    /// From here on records can't be separated.
    Broken {
        /// Why.
        message: String,
    },
    /// There are no more records.
    End,
}

/// Cuts bytes into records.
///
/// After [`Frame::More`] it may remember how much of a record it has scanned. The next call is for
/// the same record with more bytes after it, and possibly with fewer in front, which
/// [`forget`](Framer::forget) reports.
pub trait Framer: Send {
    /// The frame at the start of `bytes`. `at_end`: no bytes follow these.
    fn frame(&mut self, bytes: &[u8], at_end: bool) -> Frame;

    /// The first `count` bytes of an unfinished record have been dropped; they had been scanned.
    fn forget(&mut self, count: usize);

    /// How many bytes of an unfinished record have been scanned.
    fn scanned(&self) -> usize;

    /// The unfinished record that `bytes` begin with is longer than a record may be. Returns
    /// [`Frame::Malformed`] if it is broken and the next one can be found, [`Frame::Broken`] if it
    /// can't, [`Frame::More`] if the record may just be long.
    fn resume(&mut self, _bytes: &[u8]) -> Frame {
        Frame::More
    }

    /// How many bytes to step back from the end of the last frame, so that a framer that begins there finds the same records.
    fn step_back(&self) -> usize {
        0
    }
}

/// Every record of a text that arrives in pieces of `step` bytes, and why it broke.
#[cfg(test)]
fn records(mut framer: impl Framer, text: &str, step: usize) -> (Vec<String>, Option<String>) {
    let (mut found, mut start, mut end) = (Vec::new(), 0, 0);
    loop {
        match framer.frame(&text.as_bytes()[start..end], end == text.len()) {
            Frame::Record { length, next } => {
                found.push(text[start..start + length].to_owned());
                start += next;
            }
            Frame::Malformed { length, next, bad } => {
                found.push(format!("{}: {}", bad.message, &text[start..start + length]));
                start += next;
            }
            Frame::Nothing { next } => start += next,
            Frame::More => end = (end + step).min(text.len()),
            Frame::Broken { message } => return (found, Some(message)),
            Frame::End => return (found, None),
        }
    }
}
