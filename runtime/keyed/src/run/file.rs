//! Runs in files: how they are stored, opened and read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow_schema::SchemaRef;
use twox_hash::XxHash3_64;

use super::footer::{self, HEADER_BYTES, Segment, TRAILER_BYTES};
use super::{Block, Index, Place, message, types};
use crate::codes::RUN_DAMAGED;
use crate::key::key_group;
use crate::{Error, Result};

/// Blocks up to this size are decompressed into memory that is allocated at once; larger ones into memory that grows with what is there.
const TRUSTED_RAW_BYTES: usize = 1024 * 1024;

/// The largest window that a frame may ask for, as a power of two; level 1 needs less.
const WINDOW_LOG: u32 = 22;

/// A finished file that can be read at any place, by several threads: on the disk or in a bucket.
pub trait RunFile: fmt::Debug + Send + Sync {
    /// Its name where it is kept (that in a depot), and in errors.
    fn name(&self) -> &str;

    /// Its length.
    fn bytes(&self) -> u64;

    /// Fills `into` with what lies at `offset`.
    ///
    /// # Errors
    /// It can't be read, or ends before.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

/// Where files of runs are kept.
pub trait RunStore: Send + Sync {
    /// Begins a file under a new name.
    ///
    /// # Errors
    /// It can't be created.
    fn create(&self) -> Result<Box<dyn RunFileWriter>>;
}

/// Writes one file from front to back. Dropping it unfinished removes what was written.
pub trait RunFileWriter: Write + Send {
    /// Ends the file, which can be read from then on.
    ///
    /// # Errors
    /// The last bytes can't be written.
    fn finish(self: Box<Self>) -> Result<Arc<dyn RunFile>>;
}

/// A file on the disk.
#[derive(Debug)]
pub struct LocalFile {
    name: String,
    file: File,
    bytes: u64,
}

impl LocalFile {
    /// A file that is open for reading.
    ///
    /// # Errors
    /// Its length can't be found out.
    pub fn new(name: String, file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self { name, file, bytes })
    }
}

impl RunFile for LocalFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, offset)
    }
}

/// A file whose bytes are in memory, such as an object of a bucket that was fetched whole.
#[derive(Debug)]
pub struct BytesFile {
    name: String,
    content: Arc<[u8]>,
}

impl BytesFile {
    /// A file of these bytes.
    pub fn new(name: String, content: impl Into<Arc<[u8]>>) -> Self {
        Self { name, content: content.into() }
    }
}

impl RunFile for BytesFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn bytes(&self) -> u64 {
        self.content.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let from = start.checked_add(into.len()).and_then(|end| self.content.get(start..end)).ok_or(io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(from);
        Ok(())
    }
}

/// Reads the blocks of a file.
#[derive(Debug)]
pub(super) struct Reader {
    file: Arc<dyn RunFile>,
    segments: Vec<Segment>,
    checksum: u64,
    /// Blocks that somebody holds: several cursors at one block, as those of the small panes of a window are, share it.
    held: Box<[Mutex<Weak<Block>>]>,
}

/// What the end of a file says of it.
struct End {
    /// Where the footer begins.
    footer_at: u64,
    /// The columns of the state, in words.
    columns: String,
    index: Index,
    segments: Vec<Segment>,
    checksum: u64,
}

/// What is known of a file without its blocks, whatever its columns are.
///
/// # Errors
/// Environment: it can't be read, is damaged, or holds another run than that of `checksum`.
pub(super) fn index_of(file: &dyn RunFile, checksum: Option<u64>) -> Result<Index> {
    End::read(file, checksum).map(|end| end.index)
}

impl End {
    /// Reads and verifies the end of a file, which has to be that of the run with the checksum `noted`, where one was noted.
    fn read(file: &dyn RunFile, noted: Option<u64>) -> Result<Self> {
        let length = file.bytes();
        let wrong = |offset: u64, message: String| damaged(file, offset, &message);
        let trailer_at = length.checked_sub(TRAILER_BYTES as u64).filter(|&at| at >= HEADER_BYTES as u64);
        let trailer_at = trailer_at.ok_or_else(|| damaged(file, length, "it is too short for a run"))?;
        let header: [u8; HEADER_BYTES] = read_array(file, 0)?;
        footer::read_header(&header).map_err(|message| wrong(0, message))?;
        let trailer: [u8; TRAILER_BYTES] = read_array(file, trailer_at)?;
        let (footer_length, checksum) = footer::read_trailer(&trailer).map_err(|message| wrong(trailer_at, message))?;
        let footer_at = trailer_at.checked_sub(footer_length).filter(|&at| at >= HEADER_BYTES as u64);
        let footer_at = footer_at.ok_or_else(|| damaged(file, trailer_at, &format!("it claims a footer of {footer_length} bytes")))?;
        let footer = read_vec(file, footer_at, footer_length)?;
        if XxHash3_64::oneshot(&footer) != checksum {
            return Err(damaged(file, footer_at, "the footer does not match its checksum"));
        }
        if noted.is_some_and(|noted| noted != checksum) {
            return Err(damaged(file, footer_at, "it holds another run than the checkpoint names"));
        }
        let (columns, index, segments) =
            footer::decode(&footer, footer_at).map_err(|(offset, message)| wrong(footer_at + offset, message))?;
        Ok(Self { footer_at, columns, index, segments, checksum })
    }
}

impl Reader {
    pub fn open(file: Arc<dyn RunFile>, state_schema: &SchemaRef, noted: Option<u64>) -> Result<(Self, Index)> {
        let End { footer_at, columns: found, index, segments, checksum } = End::read(&*file, noted)?;
        let expected = types::words(state_schema)?;
        if found != expected {
            return Err(damaged(&*file, footer_at, "it has other columns than the stage")
                .detail(format!("the stage has:\n{expected}"))
                .detail(format!("the file has:\n{found}")));
        }
        Ok((Self::new(file, segments, checksum), index))
    }

    /// The reader of a file that was just written with this footer.
    pub fn of_written(file: Arc<dyn RunFile>, segments: Vec<Segment>, footer: &[u8]) -> Self {
        Self::new(file, segments, XxHash3_64::oneshot(footer))
    }

    fn new(file: Arc<dyn RunFile>, segments: Vec<Segment>, checksum: u64) -> Self {
        let held = segments.iter().map(|_| Mutex::default()).collect();
        Self { file, segments, checksum, held }
    }

    pub fn file(&self) -> &Arc<dyn RunFile> {
        &self.file
    }

    pub fn checksum(&self) -> u64 {
        self.checksum
    }

    pub fn memory_bytes(&self) -> usize {
        self.segments.capacity() * size_of::<Segment>() + self.held.len() * size_of::<Mutex<Weak<Block>>>()
    }

    /// A block: the one that somebody holds, or as it is read now.
    pub fn block(&self, number: usize, index: &Index, state_schema: &SchemaRef) -> Result<Arc<Block>> {
        let held = || self.held[number].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = held().upgrade() {
            return Ok(block);
        }
        let block = Arc::new(self.read(number, index, state_schema)?);
        *held() = Arc::downgrade(&block);
        Ok(block)
    }

    /// Reads a block and verifies it: against its checksum, its lengths, and what the index says of it.
    fn read(&self, number: usize, index: &Index, state_schema: &SchemaRef) -> Result<Block> {
        let segment = self.segments[number];
        let wrong = |message: String| damaged(&*self.file, segment.offset, &message);
        let compressed = read_vec(&*self.file, segment.offset, segment.length.into())?;
        if XxHash3_64::oneshot(&compressed) != segment.checksum {
            return Err(wrong("the block does not match its checksum".to_owned()));
        }
        let raw = decompress(&compressed, segment.raw_length as usize).map_err(wrong)?;
        let known = &index.blocks[number];
        let block = message::decode(raw, state_schema, known.entries as usize, known.rows as usize).map_err(wrong)?;
        let next = index.blocks.get(number + 1).map(|next| next.first.get());
        check_places(&block, known.first.get(), next, index.last.get()).map_err(|message| wrong(message.to_owned()))?;
        Ok(block)
    }
}

/// Whether the entries of a block lie where the index says and are in order, and whether keys are of their key groups.
fn check_places(block: &Block, first: Place<'_>, next: Option<Place<'_>>, last: Place<'_>) -> Result<(), &'static str> {
    let places = || (0..block.len()).map(|entry| block.place(entry));
    if places().next() != Some(first) {
        return Err("the block does not begin with the key that the footer names");
    }
    if !places().is_sorted() {
        return Err("the entries of the block are not in order");
    }
    let ends_well = places().next_back().is_some_and(|place| next.map_or(place == last, |next| place <= next));
    if !ends_well {
        return Err("the block does not end before the next one");
    }
    match places().all(|place| key_group(place.key) == place.key_group) {
        true => Ok(()),
        false => Err("a key is not of its key group"),
    }
}

fn decompress(compressed: &[u8], raw_length: usize) -> Result<Vec<u8>, String> {
    let wrong = |error: io::Error| format!("the block can't be decompressed: {error}");
    let raw = if raw_length <= TRUSTED_RAW_BYTES {
        zstd::bulk::decompress(compressed, raw_length).map_err(wrong)?
    } else {
        let mut raw = Vec::new();
        let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed).map_err(wrong)?;
        decoder.window_log_max(WINDOW_LOG).map_err(wrong)?;
        decoder.take(raw_length as u64 + 1).read_to_end(&mut raw).map_err(wrong)?;
        raw
    };
    match raw.len() == raw_length {
        true => Ok(raw),
        false => Err(format!("the block has another length than the {raw_length} bytes that the footer claims")),
    }
}

fn read_array<const N: usize>(file: &dyn RunFile, offset: u64) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_at(offset, &mut bytes).map_err(|error| unreadable(file, offset, error))?;
    Ok(bytes)
}

/// Reads bytes that lie within the file's length, which bounds what is allocated.
fn read_vec(file: &dyn RunFile, offset: u64, length: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| damaged(file, offset, "it is larger than this machine's memory"))?];
    file.read_at(offset, &mut bytes).map_err(|error| unreadable(file, offset, error))?;
    Ok(bytes)
}

fn unreadable(file: &dyn RunFile, offset: u64, error: io::Error) -> Error {
    Error::io(format!("read the run {} at {offset}", file.name()), error)
}

fn damaged(file: &dyn RunFile, offset: u64, what: &str) -> Error {
    Error::environment(format!("the run {} is damaged at {offset}: {what}", file.name()))
        .code(RUN_DAMAGED)
        .hint("restore the file from a backup; `wasmill state drop-stage` gives the stage's state up")
}
