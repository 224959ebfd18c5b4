//! Reads a file of the spool, and knows at its end whether it is what was written.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use bytes::Bytes;
use wasmill_engine::Result;
use zstd::stream::read::Decoder;

use super::{Coding, SpoolFile, damaged, failed};
use crate::digest::Digested;

/// How many bytes a reader hands out at once.
pub(super) const CHUNK_BYTES: usize = 256 << 10;

/// Reads one file from front to back.
pub(crate) struct SpoolReader {
    path: PathBuf,
    content: Content,
    sha256: String,
    ended: bool,
}

enum Content {
    Plain(Digested<File>),
    Zstd(Box<Decoder<'static, BufReader<Digested<File>>>>),
}

impl SpoolReader {
    /// Begins at the front of a file whose length is right.
    pub(super) fn new(path: PathBuf, file: File, expected: &SpoolFile) -> Result<Self> {
        let digested = Digested::new(file);
        let content = match expected.coding {
            Coding::Plain => Content::Plain(digested),
            Coding::Zstd => {
                let decoder = Decoder::with_buffer(BufReader::with_capacity(CHUNK_BYTES, digested));
                Content::Zstd(Box::new(decoder.map_err(|error| failed("read", &path, error))?))
            }
        };
        Ok(Self { path, content, sha256: expected.sha256.clone(), ended: false })
    }

    /// The next bytes; none at the end. A file that is not what was written is an error at the end at the latest: whoever used its bytes
    /// until then must take that back.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>> {
        if self.ended {
            return Ok(None);
        }
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = match &mut self.content {
            Content::Plain(file) => file.take(CHUNK_BYTES as u64).read_to_end(&mut chunk),
            Content::Zstd(file) => file.take(CHUNK_BYTES as u64).read_to_end(&mut chunk),
        };
        match read {
            Ok(0) => self.end(),
            Ok(_) => Ok(Some(chunk.into())),
            // An error of the disk has a number; one of the decoder has none.
            Err(error) if error.raw_os_error().is_none() => Err(damaged(&self.path, &format!("it can't be decompressed ({error})"))),
            Err(error) => Err(failed("read", &self.path, error)),
        }
    }

    fn end(&mut self) -> Result<Option<Bytes>> {
        let digested = match &mut self.content {
            Content::Plain(file) => file,
            Content::Zstd(file) => file.get_mut().get_mut(),
        };
        // What a decoder does not look at counts, too.
        if digested.read_out().map_err(|error| failed("read", &self.path, error))? != self.sha256 {
            return Err(damaged(&self.path, "its content does not match its digest"));
        }
        self.ended = true;
        Ok(None)
    }
}
