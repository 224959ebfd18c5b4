//! Reads text formats: a window of bytes is cut into records, and those are decoded.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use memchr::memchr;
use serde_json::Value;
use wasmill_engine::{Error, Mode, OriginalRecord, Payload, Read, Reject, Result, SourceBatch, SplitReader};

use super::batch::Assembler;
use super::open_format;
use crate::ReadContext;
use crate::codes::UNREADABLE;
use crate::content::Content;
use crate::damage::damaged_from;
use crate::frame::{Frame, Framer};
use crate::identity::{Identity, Position, changed};
use crate::infer::field_of;
use crate::input::Input;
use crate::late::fail_with;
use crate::window::Window;
use wasmill_connect::{BATCH_BYTES, LateColumns};
use wasmill_formats::{BadRecord, Compression, RecordDecoder, Utf8Records};

/// A batch is closed once its columns hold this many values.
const BATCH_CELLS: usize = 4 << 20;
/// The first read of a split, when its records are unknown: small, so that the first rows come
/// soon.
const FIRST_BYTES: usize = 1 << 20;
/// So much of a record that is too long is kept for the dead letters.
const KEPT_BYTES: usize = 64 << 10;
/// A call of `read` that only skips bytes returns after this many.
const SKIPPED_BYTES: usize = 64 << 20;

/// Reads one split of a text file.
pub struct TextReader {
    context: Arc<ReadContext>,
    /// Columns of a header that were not requested.
    late: Vec<String>,
    path: PathBuf,
    identity: Identity,
    compression: Compression,
    /// Records that start here or later belong to the next split.
    end: Option<u64>,
    /// Whether more bytes may come at the end of the file.
    follows: bool,
    max_record: usize,
    input: Option<Input>,
    window: Window,
    framer: Box<dyn Framer>,
    decoder: Box<dyn RecordDecoder>,
    assembler: Assembler,
    /// Records that were cut out of the window; those from `next_cut` on have not been decoded.
    cuts: Vec<Range<usize>>,
    next_cut: usize,
    /// The first record's start must be found: the split begins here, somewhere in a line.
    unaligned: Option<u64>,
    /// A record that is too long, while its end is searched.
    long: Option<LongRecord>,
    /// Nothing comes after the cuts.
    last: bool,
    /// The last record of the file had no line feed, or the format has ended.
    ended: bool,
    mean_record: usize,
    reported: u64,
}

struct LongRecord {
    position: u64,
    start: Vec<u8>,
}

/// Why cutting stopped.
enum Stop {
    /// There are enough records.
    Full,
    /// The next record does not end in the window.
    More,
    /// No records follow.
    Last,
}

impl TextReader {
    /// Opens a split at its position: all of a file, or the records that start in `lines`.
    pub fn open(
        context: &Arc<ReadContext>,
        path: PathBuf,
        content: Content,
        position: Position,
        lines: Option<Range<u64>>,
    ) -> Result<Self> {
        let compression = context.options.compression_of(&path);
        let opened = open_format(context, &path, &content, position.offset)?;
        let unaligned = lines.as_ref().map(|lines| lines.start).filter(|start| *start > 0 && *start == position.offset);
        // The byte before the split decides whether a record starts right at its beginning.
        let offset = unaligned.map_or(position.offset.max(opened.first_record), |start| start - 1);
        let input = Input::open(content, &path, compression, offset)?;
        Ok(Self {
            context: Arc::clone(context),
            late: opened.late,
            identity: position.file,
            compression,
            follows: context.mode == Mode::Stream && lines.is_some(),
            end: lines.map(|lines| lines.end),
            max_record: context.options.max_record_bytes(),
            input: Some(input),
            window: Window::at(offset),
            framer: opened.framer,
            decoder: opened.decoder,
            assembler: opened.assembler,
            cuts: Vec::new(),
            next_cut: 0,
            unaligned,
            long: None,
            last: position.ended,
            ended: position.ended,
            mean_record: 0,
            reported: offset,
            path,
        })
    }

    fn offset(&self) -> u64 {
        match (&self.long, self.cuts.get(self.next_cut)) {
            (_, Some(cut)) => self.window.base + cut.start as u64,
            (Some(long), None) => long.position,
            (None, None) => self.window.offset(),
        }
    }

    /// How many bytes to have in the window for a batch.
    fn wanted(&self, max_rows: usize) -> usize {
        let estimate = match self.mean_record {
            0 => FIRST_BYTES,
            mean => (mean * max_rows).saturating_mul(17) / 16 + (4 << 10),
        };
        let wanted = estimate.clamp(64 << 10, BATCH_BYTES);
        // No need to read far into the next split.
        match self.end.map(|end| end.saturating_sub(self.window.offset())) {
            Some(left) => wanted.min(usize::try_from(left).unwrap_or(usize::MAX).saturating_add(self.mean_record + (4 << 10))),
            None => wanted,
        }
    }

    /// Reads more, if the file may have more. Returns whether there are new bytes.
    fn fill(&mut self, wanted: usize) -> Result<bool> {
        if self.window.at_end && !self.follows {
            return Ok(false);
        }
        if self.window.at_end && !self.has_grown()? {
            return Ok(false);
        }
        if self.input.is_none() {
            let (file, _) = Identity::open(&self.path)?;
            if !self.identity.is_start_of(&file, &self.path)? {
                return Err(changed(&self.path, "it is shorter, or its beginning differs"));
            }
            self.input =
                Some(Input::open(Content::File(file), &self.path, self.compression, self.window.base + self.window.data.len() as u64)?);
        }
        let Some(input) = &mut self.input else { return Ok(false) };
        let unread = self.window.unread();
        let first = self.window.offset() == 0 && unread == 0;
        self.window.fill(input, wanted)?;
        if first && self.window.data.starts_with(b"\xef\xbb\xbf") {
            self.window.start = 3;
        }
        Ok(self.window.unread() > unread)
    }

    fn has_grown(&self) -> Result<bool> {
        let size = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata.len(),
            // A file that was read to its end and then removed has no more data.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::io(format_args!("read {}", self.path.display()), error).or_code(UNREADABLE)),
        };
        let read = self.window.base + self.window.data.len() as u64;
        if size < read {
            return Err(changed(&self.path, &format!("{read} bytes of it were read and it has {size}")));
        }
        Ok(size > read)
    }

    /// Steps to the first line that starts in this split. Returns whether it was found.
    fn align(&mut self) -> Result<bool> {
        while self.unaligned.is_some() {
            if self.window.unread() == 0 && !self.fill(FIRST_BYTES)? {
                self.last |= !self.follows;
                return Ok(false);
            }
            match memchr(b'\n', &self.window.data[self.window.start..]) {
                Some(index) => {
                    self.window.start += index + 1;
                    self.unaligned = None;
                }
                None => self.window.start = self.window.data.len(),
            }
            self.reported = self.window.offset();
        }
        Ok(true)
    }

    /// Cuts records out of the window. A rejected one comes first, so that the position after it is
    /// never given up again.
    ///
    /// # Errors
    /// Environment: from some place on records can't be separated. The records before it are
    /// returned first.
    fn cut(&mut self, max_rows: usize, rejects: &mut Vec<Reject>) -> Result<Stop> {
        self.cuts.clear();
        self.next_cut = 0;
        let at_end = self.window.at_end && !self.follows;
        let first = self.window.start;
        while self.cuts.len() + rejects.len() < max_rows && self.window.start - first < BATCH_BYTES {
            let at = self.window.start;
            if self.long.is_none() && self.end.is_some_and(|end| self.window.offset() >= end) {
                return Ok(Stop::Last);
            }
            let frame = self.framer.frame(&self.window.data[at..], at_end);
            let is_rejected = match &frame {
                Frame::Record { length, .. } => *length > self.max_record,
                Frame::Malformed { .. } => true,
                _ => false,
            };
            // The framer finds it again.
            if is_rejected && !self.cuts.is_empty() {
                return Ok(Stop::Full);
            }
            match frame {
                Frame::Record { length, next } => {
                    self.window.start += next;
                    match self.long.take() {
                        Some(long) => rejects.push(self.reject_long(long)),
                        None if length > self.max_record => {
                            let start = self.window.data[at..at + KEPT_BYTES.min(length)].to_vec();
                            rejects.push(self.reject_long(LongRecord { position: self.window.base + at as u64, start }));
                        }
                        None => self.cuts.push(at..at + length),
                    }
                }
                Frame::Malformed { length, next, bad } => {
                    self.window.start += next;
                    rejects.push(self.assembler.reject_bytes(*bad, self.window.base, &self.window.data, at..at + length));
                }
                Frame::Nothing { next } => self.window.start += next,
                Frame::More => return Ok(Stop::More),
                Frame::Broken { .. } if !self.cuts.is_empty() || !rejects.is_empty() => return Ok(Stop::Full),
                Frame::Broken { message } => return Err(self.broken(&message)),
                Frame::End => {
                    self.ended = !self.follows && self.end.is_none();
                    return Ok(Stop::Last);
                }
            }
        }
        Ok(Stop::Full)
    }

    fn broken(&self, message: &str) -> Error {
        let unread = &self.window.data[self.window.start..];
        let kept = match &self.long {
            Some(long) => long.start.clone().into(),
            None => unread[..unread.len().min(KEPT_BYTES)].to_vec().into(),
        };
        let message = format!("{} is broken at byte {}: {message}", self.path.display(), self.offset());
        damaged_from(message, "repair the file there", kept)
    }

    fn reject_long(&self, long: LongRecord) -> Reject {
        let message =
            format!("the record is longer than {} bytes (`max_record`); its first {} bytes are kept", self.max_record, long.start.len());
        let bad = BadRecord { code: "too-long", column: None, message };
        self.assembler.reject(bad, long.position, OriginalRecord::Bytes(long.start.into()))
    }

    /// The next record is longer than the window: makes room for more, or gives it up once it is
    /// longer than a record may be.
    ///
    /// # Errors
    /// Environment: it is broken, and the next one can't be found.
    fn make_room(&mut self, rejects: &mut Vec<Reject>) -> Result<usize> {
        let unread = self.window.unread();
        if self.long.is_none() && unread > self.max_record {
            let at = self.window.start;
            match self.framer.resume(&self.window.data[at..]) {
                Frame::Malformed { length, next, bad } => {
                    self.window.start += next;
                    rejects.push(self.assembler.reject_bytes(*bad, self.window.base, &self.window.data, at..at + length));
                    return Ok(FIRST_BYTES);
                }
                Frame::Broken { message } => return Err(self.broken(&message)),
                _ => {}
            }
            let start = self.window.data[self.window.start..self.window.start + KEPT_BYTES.min(unread)].to_vec();
            self.long = Some(LongRecord { position: self.window.offset(), start });
        }
        if self.long.is_some() {
            let scanned = self.framer.scanned();
            self.framer.forget(scanned);
            self.window.start += scanned;
            return Ok(FIRST_BYTES);
        }
        Ok((unread * 2).clamp(FIRST_BYTES, self.max_record + FIRST_BYTES))
    }

    /// Decodes records that were cut.
    fn decode(&mut self, max_rows: usize, mut rejects: Vec<Reject>) -> Result<Read> {
        let budget = max_rows.saturating_sub(rejects.len());
        let cuts = &self.cuts[self.next_cut..self.cuts.len().min(self.next_cut + budget)];
        let span = cuts.first().map_or(0, |cut| cut.start)..cuts.last().map_or(0, |cut| cut.end);
        let (data, base) = (&self.window.data, self.window.base);
        let texts = Utf8Records::new(&data[span.clone()]);
        let mut ranges = Vec::with_capacity(cuts.len());
        let mut decoded = 0;
        for cut in cuts {
            match texts.record(cut.start - span.start..cut.end - span.start).and_then(|record| self.decoder.push(record)) {
                Ok(()) => ranges.push(cut.start as u32..cut.end as u32),
                Err(bad) => rejects.push(self.assembler.reject_bytes(self.context.late.explained(*bad), base, data, cut.clone())),
            }
            decoded += 1;
            if self.decoder.cells() >= BATCH_CELLS {
                break;
            }
        }
        if decoded > 0 {
            self.mean_record = span.len().div_ceil(cuts.len()) + 1;
        }
        self.next_cut += decoded;
        let records = ranges.len() as u64;
        let payload = Payload::Bytes { data: data.clone(), base, ranges };
        self.note_late(records)?;
        let batch = self.assembler.batch(&self.decoder.finish()?, payload, None)?;
        Ok(Read::Batch(SourceBatch { batch, rejects, bytes: self.newly_read() }))
    }

    /// Notes columns that were not requested, of this many decoded records.
    ///
    /// # Errors
    /// Configuration, caused by [`NewColumns`](crate::NewColumns), where that is wanted.
    fn note_late(&mut self, records: u64) -> Result<()> {
        let context = &self.context;
        self.late.iter().for_each(|name| context.late.count(&self.path, name, false, records));
        let unknown =
            self.decoder.unknown().into_iter().filter(|unknown| unknown.is_nested || !context.late.left_out.contains(&unknown.name));
        let (new, left): (Vec<_>, Vec<_>) = unknown.partition(|unknown| context.late.mode == LateColumns::Fail && !unknown.is_nested);
        left.iter().for_each(|unknown| context.late.count(&self.path, &unknown.name, unknown.is_nested, unknown.records));
        let fields = new.into_iter().map(|unknown| field_of(unknown.name, &unknown.values));
        fail_with(&context.name, &self.path, fields.collect())
    }

    fn newly_read(&mut self) -> u64 {
        match self.input.as_mut().and_then(Input::packed_bytes) {
            Some(packed) => packed,
            None => {
                let offset = self.offset();
                offset - std::mem::replace(&mut self.reported, offset).min(offset)
            }
        }
    }

    /// Nothing to read now: releases the file and the memory, because there may be thousands of
    /// idle splits.
    fn idle(&mut self) -> Read {
        self.input = None;
        self.window.shrink();
        self.cuts = Vec::new();
        self.next_cut = 0;
        Read::Idle
    }
}

impl SplitReader for TextReader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        let max_rows = max_rows.max(1);
        if let Some(input) = &mut self.input
            && !input.skip()?
        {
            return Ok(Read::Skipping);
        }
        if self.next_cut < self.cuts.len() {
            return self.decode(max_rows, Vec::new());
        }
        if !self.last {
            let aligned = self.align()?;
            if !aligned && !self.last {
                return Ok(self.idle());
            }
        }
        let mut wanted = self.wanted(max_rows);
        let mut skipped = 0;
        while !self.last {
            let grown = self.window.unread() < wanted && self.fill(wanted)?;
            let mut rejects = Vec::new();
            let stop = self.cut(max_rows, &mut rejects)?;
            self.last = matches!(stop, Stop::Last);
            if !self.cuts.is_empty() || !rejects.is_empty() {
                return self.decode(max_rows, rejects);
            }
            if matches!(stop, Stop::More) {
                if self.window.at_end && self.follows && !grown {
                    return Ok(self.idle());
                }
                if self.window.at_end && !self.follows {
                    return Err(Error::bug(format!("a record at the end of {} never ends", self.path.display())));
                }
                let before = self.window.start;
                wanted = self.make_room(&mut rejects)?;
                skipped += self.window.start - before;
                if skipped >= SKIPPED_BYTES || !rejects.is_empty() {
                    return self.decode(max_rows, rejects);
                }
            }
        }
        Ok(Read::End)
    }

    fn position(&self) -> Value {
        let finished = self.last && self.next_cut >= self.cuts.len();
        let offset = match (finished, self.end, self.unaligned) {
            // Blank lines before the end have been read too.
            (true, Some(end), _) => self.offset().max(end),
            (false, _, Some(start)) => start,
            _ if self.long.is_none() && self.next_cut >= self.cuts.len() => self.offset() - self.framer.step_back() as u64,
            _ => self.offset(),
        };
        let file = Identity { size: self.identity.size.max(offset), ..self.identity.clone() };
        // Offsets of a compressed file are not comparable with its size.
        let file = if self.compression == Compression::None { file } else { self.identity.clone() };
        Position { offset, file, ended: self.ended && finished }.to_value()
    }
}
