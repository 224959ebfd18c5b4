//! The end of a run's file: what is known of it without its blocks.

use twox_hash::XxHash3_64;

use super::index::{BlockIndex, Index, OwnedPlace, WindowEntries};
use crate::key;

/// Where a block lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub offset: u64,
    pub length: u32,
    /// Before compression.
    pub raw_length: u32,
    pub checksum: u64,
}

pub(super) const MAGIC: [u8; 8] = *b"wm-run\r\n";
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 16;
pub(super) const TRAILER_BYTES: usize = 32;

/// The least bytes of a block's entry: what a count is held against before anything is allocated.
const BLOCK_ENTRY_BYTES: usize = 45;
const WINDOW_ENTRY_BYTES: usize = 16;

pub(super) fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header
}

/// The trailer behind a footer.
pub(super) fn trailer(footer: &[u8]) -> [u8; TRAILER_BYTES] {
    let mut trailer = [0; TRAILER_BYTES];
    trailer[..8].copy_from_slice(&(footer.len() as u64).to_le_bytes());
    trailer[8..16].copy_from_slice(&XxHash3_64::oneshot(footer).to_le_bytes());
    trailer[16..20].copy_from_slice(&VERSION.to_le_bytes());
    trailer[24..].copy_from_slice(&MAGIC);
    trailer
}

/// Reads a trailer: the length of the footer and its checksum.
pub(super) fn read_trailer(trailer: &[u8; TRAILER_BYTES]) -> Result<(u64, u64), String> {
    let mut rest = Cursor(trailer);
    let (length, checksum, version, zeros) = (rest.u64()?, rest.u64()?, rest.u32()?, rest.u32()?);
    if rest.0 != MAGIC {
        return Err("it does not end as a run does".to_owned());
    }
    check_version(version, zeros)?;
    Ok((length, checksum))
}

pub(super) fn read_header(header: &[u8; HEADER_BYTES]) -> Result<(), String> {
    let mut rest = Cursor(header);
    if rest.take(MAGIC.len())? != MAGIC {
        return Err("it does not begin as a run does".to_owned());
    }
    check_version(rest.u32()?, rest.u32()?)
}

fn check_version(version: u32, zeros: u32) -> Result<(), String> {
    match (version, zeros) {
        (VERSION, 0) => Ok(()),
        (VERSION, _) => Err("bytes that are kept free are not zero".to_owned()),
        _ => Err(format!("it is of version {version}; this Wasmill reads version {VERSION}")),
    }
}

pub(super) fn encode(schema: &str, index: &Index, segments: &[Segment]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_bytes(schema.as_bytes(), &mut bytes);
    bytes.push(key::VERSION);
    bytes.extend(index.entries.to_le_bytes());
    bytes.extend(index.rows.to_le_bytes());
    let (first, last) = index.key_groups.unwrap_or_default();
    bytes.extend([first, last]);
    bytes.extend((index.windows.len() as u32).to_le_bytes());
    for window in &index.windows {
        bytes.extend(window.end.to_le_bytes());
        bytes.extend(window.entries.to_le_bytes());
    }
    bytes.extend((index.blocks.len() as u32).to_le_bytes());
    for (block, segment) in index.blocks.iter().zip(segments) {
        bytes.extend(segment.offset.to_le_bytes());
        bytes.extend(segment.length.to_le_bytes());
        bytes.extend(segment.raw_length.to_le_bytes());
        bytes.extend(segment.checksum.to_le_bytes());
        bytes.extend(block.entries.to_le_bytes());
        bytes.extend(block.rows.to_le_bytes());
        put_place(&block.first, &mut bytes);
    }
    if !index.blocks.is_empty() {
        put_place(&index.last, &mut bytes);
    }
    bytes
}

fn put_bytes(of: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend((of.len() as u32).to_le_bytes());
    bytes.extend(of);
}

fn put_place(place: &OwnedPlace, bytes: &mut Vec<u8>) {
    bytes.extend(place.end.to_le_bytes());
    bytes.push(place.key_group);
    put_bytes(&place.key, bytes);
}

/// What a footer holds: the words of the schema, the index, and where the blocks lie.
pub(super) type Footer = (String, Index, Vec<Segment>);

/// Reads a footer, whose checksum holds, of a file whose blocks end at `blocks_end`. The error is the offset within the footer and what is wrong.
pub(super) fn decode(footer: &[u8], blocks_end: u64) -> Result<Footer, (u64, String)> {
    let mut rest = Cursor(footer);
    let read = read(&mut rest, blocks_end);
    read.map_err(|message| ((footer.len() - rest.0.len()) as u64, message))
}

fn read(rest: &mut Cursor<'_>, blocks_end: u64) -> Result<Footer, String> {
    let schema = String::from_utf8(rest.bytes()?.to_vec()).map_err(|_| "the words of the columns are not UTF-8")?;
    let version = rest.u8()?;
    if version != key::VERSION {
        return Err(format!("its keys are encoded by version {version}; this Wasmill reads version {}", key::VERSION));
    }
    let (entries, rows) = (rest.u64()?, rest.u64()?);
    let groups = (rest.u8()?, rest.u8()?);
    let windows = (0..rest.count(WINDOW_ENTRY_BYTES)?).map(|_| Ok(WindowEntries { end: rest.i64()?, entries: rest.u64()? }));
    let windows = windows.collect::<Result<Vec<_>, String>>()?;
    let count = rest.count(BLOCK_ENTRY_BYTES)?;
    let (mut blocks, mut segments) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for _ in 0..count {
        segments.push(Segment { offset: rest.u64()?, length: rest.u32()?, raw_length: rest.u32()?, checksum: rest.u64()? });
        blocks.push(BlockIndex { entries: rest.u32()?, rows: rest.u32()?, first: rest.place()? });
    }
    let last = if blocks.is_empty() { OwnedPlace::default() } else { rest.place()? };
    if !rest.0.is_empty() {
        return Err(format!("{} bytes follow the last entry", rest.0.len()));
    }
    let key_groups = (!blocks.is_empty()).then_some(groups);
    let index = Index { entries, rows, windows, blocks, last, key_groups };
    check(&index)?;
    check_segments(&segments, blocks_end)?;
    Ok((schema, index, segments))
}

fn sum(mut of: impl Iterator<Item = u64>) -> Option<u64> {
    of.try_fold(0, u64::checked_add)
}

/// Whether the parts of an index agree.
fn check(index: &Index) -> Result<(), String> {
    if sum(index.blocks.iter().map(|block| block.entries.into())) != Some(index.entries)
        || sum(index.windows.iter().map(|window| window.entries)) != Some(index.entries)
    {
        return Err(format!("blocks or windows do not add up to {} entries", index.entries));
    }
    if sum(index.blocks.iter().map(|block| block.rows.into())) != Some(index.rows) {
        return Err(format!("blocks do not add up to {} state rows", index.rows));
    }
    let places = || index.blocks.iter().map(|block| block.first.get()).chain((!index.blocks.is_empty()).then(|| index.last.get()));
    let sorted = places().is_sorted() && index.windows.is_sorted_by(|one, next| one.end < next.end);
    if !sorted || index.blocks.iter().any(|block| block.entries == 0) || index.windows.iter().any(|window| window.entries == 0) {
        return Err("blocks or windows are empty or not in order".to_owned());
    }
    let ends = (index.windows.first(), index.windows.last());
    let agree = match (index.blocks.first(), ends) {
        (None, (None, None)) => true,
        (Some(first), (Some(least), Some(greatest))) => first.first.end == least.end && index.last.end == greatest.end,
        _ => false,
    };
    if !agree {
        return Err("windows are not those of the blocks".to_owned());
    }
    let outside = |(least, greatest): (u8, u8)| least > greatest || places().any(|place| !(least..=greatest).contains(&place.key_group));
    match index.key_groups.is_some_and(outside) {
        true => Err("a block lies outside the key groups".to_owned()),
        false => Ok(()),
    }
}

/// Whether the blocks fill the file between header and footer.
fn check_segments(segments: &[Segment], blocks_end: u64) -> Result<(), String> {
    let mut at = HEADER_BYTES as u64;
    for segment in segments {
        if segment.offset != at || segment.length == 0 {
            return Err(format!("a block lies at {} where one is due at {at}", segment.offset));
        }
        at = at.saturating_add(segment.length.into());
    }
    match at == blocks_end {
        true => Ok(()),
        false => Err(format!("the blocks end at {at}, and the footer begins at {blocks_end}")),
    }
}

/// The bytes that have not been read yet.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or_else(|| format!("{count} bytes are due where {} are left", self.0.len()))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(|| format!("{N} bytes are due where {} are left", self.0.len()))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, String> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, String> {
        self.array().map(i64::from_le_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    fn place(&mut self) -> Result<OwnedPlace, String> {
        Ok(OwnedPlace { end: self.i64()?, key_group: self.u8()?, key: self.bytes()?.into() })
    }

    /// A number of items of at least `least` bytes each.
    fn count(&mut self, least: usize) -> Result<usize, String> {
        let count = self.u32()? as usize;
        match count <= self.0.len() / least {
            true => Ok(count),
            false => Err(format!("{count} items are claimed where {} bytes are left", self.0.len())),
        }
    }
}
