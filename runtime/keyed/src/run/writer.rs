//! Builds runs, in memory or in a file.

use std::io::Write;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use twox_hash::XxHash3_64;
use zstd::bulk::Compressor;

use super::file::{Reader, RunFileWriter, RunStore};
use super::footer::{self, Segment};
use super::message::Encoder;
use super::{BLOCK_BYTES, BLOCK_ROWS, Block, Content, Index, Run, types};
use crate::{Error, Result};

/// Zstandard's fastest.
const LEVEL: i32 = 1;

/// Builds one run from blocks in the order of their entries.
pub struct RunWriter {
    state_schema: SchemaRef,
    index: Index,
    target: Target,
}

enum Target {
    Memory {
        blocks: Vec<Arc<Block>>,
        bytes: usize,
        /// Where the run goes when it has more bytes than these.
        beyond: Option<(usize, Arc<dyn RunStore>)>,
    },
    File(Box<FileTarget>),
}

struct FileTarget {
    writer: Box<dyn RunFileWriter>,
    schema: String,
    encoder: Encoder,
    compressor: Compressor<'static>,
    segments: Vec<Segment>,
    /// Where the next block begins.
    at: u64,
}

impl RunWriter {
    /// Builds a run in memory.
    pub fn in_memory(state_schema: SchemaRef) -> Self {
        let target = Target::Memory { blocks: Vec::new(), bytes: 0, beyond: None };
        Self { state_schema, index: Index::default(), target }
    }

    /// Builds a run in memory, or in a new file once it has more than `memory_bytes`.
    pub fn in_memory_up_to(memory_bytes: usize, state_schema: SchemaRef, store: Arc<dyn RunStore>) -> Self {
        let target = Target::Memory { blocks: Vec::new(), bytes: 0, beyond: Some((memory_bytes, store)) };
        Self { state_schema, index: Index::default(), target }
    }

    /// Builds a run in a new file.
    ///
    /// # Errors
    /// The file can't be created, or the state has a column that a run can't hold.
    pub fn in_file(state_schema: SchemaRef, store: &dyn RunStore) -> Result<Self> {
        let schema = types::words(&state_schema)?;
        let compressor = Compressor::new(LEVEL).map_err(|error| Error::io("compress a run", error))?;
        let mut writer = store.create()?;
        let header = footer::header();
        writer.write_all(&header).map_err(unwritable)?;
        let at = header.len() as u64;
        let target = FileTarget { writer, schema, encoder: Encoder::default(), compressor, segments: Vec::new(), at };
        Ok(Self { state_schema, index: Index::default(), target: Target::File(Box::new(target)) })
    }

    /// Adds entries behind all others. They are cut into blocks of the sizes that a file has.
    ///
    /// # Errors
    /// They can't be written.
    pub(crate) fn push(&mut self, block: Block) -> Result<()> {
        if block.is_empty() {
            return Ok(());
        }
        match &mut self.target {
            Target::Memory { blocks, bytes, .. } => {
                self.index.add(&block);
                *bytes += block.memory_bytes();
                blocks.push(Arc::new(block));
                self.spill()
            }
            Target::File(file) => file.push(block, &mut self.index),
        }
    }

    /// Moves a run that has become too large for memory into a file.
    fn spill(&mut self) -> Result<()> {
        match &self.target {
            Target::Memory { bytes, beyond: Some((most, store)), .. } if bytes > most => {
                let store = Arc::clone(store);
                self.move_to_file(&*store)
            }
            _ => Ok(()),
        }
    }

    /// Moves what lies in memory into a new file, and writes what comes there, too.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn move_to_file(&mut self, store: &dyn RunStore) -> Result<()> {
        let Target::Memory { blocks, .. } = &mut self.target else { return Ok(()) };
        let blocks = std::mem::take(blocks);
        let mut in_file = Self::in_file(SchemaRef::clone(&self.state_schema), store)?;
        for block in blocks {
            in_file.push(Arc::unwrap_or_clone(block))?;
        }
        *self = in_file;
        Ok(())
    }

    /// The bytes of entries that it holds in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        match &self.target {
            Target::Memory { bytes, .. } => *bytes,
            Target::File(_) => 0,
        }
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.index.entries == 0
    }

    /// Ends the run.
    ///
    /// # Errors
    /// The last bytes can't be written.
    pub fn finish(self) -> Result<Run> {
        let Self { state_schema, index, target } = self;
        let content = match target {
            Target::Memory { blocks, .. } => Content::Memory(blocks),
            Target::File(mut file) => {
                let footer = footer::encode(&file.schema, &index, &file.segments);
                file.writer.write_all(&footer).map_err(unwritable)?;
                file.writer.write_all(&footer::trailer(&footer)).map_err(unwritable)?;
                let stored = file.writer.finish()?;
                Content::File(Reader::of_written(stored, file.segments, &footer))
            }
        };
        Ok(Run { state_schema, index, content })
    }
}

impl FileTarget {
    fn push(&mut self, block: Block, index: &mut Index) -> Result<()> {
        // What is left to write, the next on top.
        let mut left = vec![block];
        while let Some(block) = left.pop() {
            let (entries, rows) = (block.len(), block.states().num_rows());
            let is_small = entries <= BLOCK_ROWS && rows <= BLOCK_ROWS && block.content_bytes() <= BLOCK_BYTES;
            if is_small || entries == 1 && rows <= 1 {
                self.write(&block, index)?;
            } else if entries == 1 {
                let [first, second] = block.cut(0, BLOCK_ROWS.min(rows / 2));
                left.extend([second, first]);
            } else {
                // A first part of a round size, so that what is cut by number makes full blocks.
                let first = if entries > BLOCK_ROWS { BLOCK_ROWS } else { entries / 2 };
                left.extend([block.slice(first, entries - first), block.slice(0, first)]);
            }
        }
        Ok(())
    }

    fn write(&mut self, block: &Block, index: &mut Index) -> Result<()> {
        let raw = self.encoder.encode(block)?;
        let compressed = self.compressor.compress(&raw).map_err(|error| Error::io("compress a block of a run", error))?;
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| Error::environment("a state row has more than 4 GiB"));
        let segment = Segment {
            offset: self.at,
            length: length(&compressed)?,
            raw_length: length(&raw)?,
            checksum: XxHash3_64::oneshot(&compressed),
        };
        self.writer.write_all(&compressed).map_err(unwritable)?;
        self.at += u64::from(segment.length);
        self.segments.push(segment);
        index.add(block);
        Ok(())
    }
}

/// Writes a run in memory into a file; one that lies in a file already is returned as it is.
///
/// # Errors
/// The file can't be written.
pub fn store(run: &Arc<Run>, store: &dyn RunStore) -> Result<Arc<Run>> {
    let Content::Memory(blocks) = &run.content else { return Ok(Arc::clone(run)) };
    let mut writer = RunWriter::in_file(SchemaRef::clone(&run.state_schema), store)?;
    for block in blocks {
        writer.push(Block::clone(block))?;
    }
    writer.finish().map(Arc::new)
}

fn unwritable(error: std::io::Error) -> Error {
    Error::io("write a run", error)
}
