//! Rows on the disk for which memory has no room. The file has no name: it goes with the process, however that ends.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use wasmill_engine::{Error, Result};

use wasmill_connect::codes::TEMPORARY_FILE;
use wasmill_connect::durable::create_folder;

/// A temporary file of rows.
pub(super) struct Spill {
    file: File,
    end: u64,
}

/// Where some rows are.
pub(super) struct Segment {
    at: u64,
    bytes: usize,
}

impl Spill {
    /// A new one in a folder, or where the system has its temporary files.
    pub fn create(folder: Option<&Path>) -> Result<Self> {
        let file = match folder {
            Some(folder) => {
                create_folder(folder)?;
                tempfile::tempfile_in(folder)
            }
            None => tempfile::tempfile(),
        };
        let place = || folder.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let file =
            file.map_err(|error| Error::io(format!("create a temporary file in {}", place().display()), error).or_code(TEMPORARY_FILE))?;
        Ok(Self { file, end: 0 })
    }

    /// Takes rows.
    pub fn write(&mut self, records: &RecordBatch) -> Result<Segment> {
        let encode = || -> Result<Vec<u8>, ArrowError> {
            let mut writer = StreamWriter::try_new(Vec::new(), records.schema_ref())?;
            writer.write(records)?;
            writer.into_inner()
        };
        let bytes = encode().map_err(|error| Error::bug(format!("rows can't be spilled: {error}")))?;
        self.file
            .write_all_at(&bytes, self.end)
            .map_err(|error| Error::io("write rows to a temporary file", error).or_code(TEMPORARY_FILE))?;
        let segment = Segment { at: self.end, bytes: bytes.len() };
        self.end += bytes.len() as u64;
        Ok(segment)
    }

    /// Reads rows back.
    pub fn read(&self, segment: &Segment) -> Result<Vec<RecordBatch>> {
        let mut bytes = vec![0; segment.bytes];
        self.file
            .read_exact_at(&mut bytes, segment.at)
            .map_err(|error| Error::io("read rows from a temporary file", error).or_code(TEMPORARY_FILE))?;
        let decode = || -> Result<Vec<RecordBatch>, ArrowError> { StreamReader::try_new(bytes.as_slice(), None)?.collect() };
        decode().map_err(|error| Error::environment(format!("rows in a temporary file were changed: {error}")).code(TEMPORARY_FILE))
    }
}
