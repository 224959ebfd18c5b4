//! Errors that are the content's fault: a file that is damaged, as opposed to a disk or a store that fails.

use std::fmt;
use std::path::Path;

use bytes::Bytes;
use wasmill_engine::Error;

/// Marks the error of a damaged file.
#[derive(Debug)]
struct Damage {
    /// What the damage begins with, as far as it is kept for the dead letters.
    kept: Bytes,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the file is damaged")
    }
}

impl std::error::Error for Damage {}

/// The error of a file whose content can't be read, or not from some place on.
pub fn damaged(message: impl Into<String>, hint: &str) -> Error {
    damaged_from(message, hint, Bytes::new())
}

/// The same; `kept` is what the damage begins with.
pub fn damaged_from(message: impl Into<String>, hint: &str, kept: Bytes) -> Error {
    let ways_out = "or set `on_bad_file: set_aside` to note such files in the dead letters and read the others";
    Error::environment(message).hint(format!("{hint}; {ways_out}")).caused_by(Damage { kept })
}

/// What the damage begins with, if the error is one of a damaged file.
pub fn damage(error: &Error) -> Option<&Bytes> {
    std::error::Error::source(error)?.downcast_ref::<Damage>().map(|damage| &damage.kept)
}

/// What files of other kinds begin with: the bytes, what they are, and what to do.
const OTHER_KINDS: [(&[u8], &str, &str); 9] = [
    (b"\x1f\x8b", "gzip", "set `compression: gzip`, or name it `.gz`"),
    (b"\x28\xb5\x2f\xfd", "Zstandard", "set `compression: zstd`, or name it `.zst`"),
    (b"PAR1", "Parquet", "set `format: parquet`, or name it `.parquet`"),
    (b"PK\x03\x04", "a ZIP archive", "unpack it"),
    (b"BZh", "bzip2", "unpack it"),
    (b"\xfd7zXZ", "xz", "unpack it"),
    (b"Obj\x01", "Avro", "convert it to JSON lines, CSV or Parquet"),
    (b"\xff\xfe", "UTF-16", "convert it to UTF-8, as with `iconv -f UTF-16 -t UTF-8`"),
    (b"\xfe\xff", "UTF-16", "convert it to UTF-8, as with `iconv -f UTF-16 -t UTF-8`"),
];

/// How many bytes [`other_kind`] looks at.
pub const MAGIC_BYTES: usize = 5;

/// The error of a plain text file that begins with these bytes, if they show that it is none.
pub fn other_kind(path: &Path, begin: &[u8]) -> Option<Error> {
    let (_, kind, hint) = OTHER_KINDS.iter().find(|(magic, ..)| begin.starts_with(magic))?;
    Some(damaged(format!("{} is {kind}, not plain text", path.display()), hint))
}
