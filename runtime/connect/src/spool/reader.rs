//! Reads a file of the spool, and verifies at its end that it is what was written.

use std::io::{self, BufReader, Read};

use bytes::Bytes;
use wasmill_engine::depot::damaged;
use wasmill_engine::{Error, Result};
use zstd::stream::read::Decoder;

use super::Coding;

/// How many bytes a reader returns at once.
pub(super) const CHUNK_BYTES: usize = 256 << 10;

type File = Box<dyn Read + Send>;

/// Reads one file from front to back.
pub struct SpoolReader {
    content: Content,
    shown: String,
    ended: bool,
}

enum Content {
    Plain(File),
    Zstd(Box<Decoder<'static, BufReader<File>>>),
}

impl SpoolReader {
    /// Starts at the front of a file of the depot, which compares its digest at its end.
    pub(super) fn new(file: File, coding: Coding, shown: String) -> Result<Self> {
        let content = match coding {
            Coding::Plain => Content::Plain(file),
            Coding::Zstd => {
                let decoder = Decoder::with_buffer(BufReader::with_capacity(CHUNK_BYTES, file));
                Content::Zstd(Box::new(decoder.map_err(|error| Error::io("decompress the rows of an epoch", error))?))
            }
        };
        Ok(Self { content, shown, ended: false })
    }

    /// The next bytes; none at the end. A file that is not what was written is an error at the end
    /// at the latest. The caller must undo what it did with bytes until then.
    pub fn next_bytes(&mut self) -> Result<Option<Bytes>> {
        if self.ended {
            return Ok(None);
        }
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let file: &mut dyn Read = match &mut self.content {
            Content::Plain(file) => file,
            Content::Zstd(file) => file,
        };
        match file.take(CHUNK_BYTES as u64).read_to_end(&mut chunk) {
            Ok(0) => self.end(),
            Ok(_) => Ok(Some(chunk.into())),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn end(&mut self) -> Result<Option<Bytes>> {
        // What the decoder does not need counts, too.
        if let Content::Zstd(file) = &mut self.content {
            let rest = io::copy(file.get_mut(), &mut io::sink());
            rest.map_err(|error| self.failed(error))?;
        }
        self.ended = true;
        Ok(None)
    }

    /// Errors of the depot pass through the decoder as they are; all others are its own.
    fn failed(&self, error: io::Error) -> Error {
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => damaged(&self.shown, &format!("it can't be decompressed ({error})")),
        }
    }
}
