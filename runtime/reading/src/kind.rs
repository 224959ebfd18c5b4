//! The kind of a file by its first bytes, where it is not the expected one.

use std::path::Path;

use wasmill_engine::{Error, Result};

use super::content::Content;
use super::damage::damaged;
use super::input::Input;
use super::options::ReadOptions;
use crate::codes::UNREADABLE;
use wasmill_formats::{Compression, Format};

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    name: &'static str,
    hint: &'static str,
}

/// What files of other kinds begin with.
const KINDS: [(&[u8], Kind); 21] = [
    (b"\x1f\x8b", GZIP),
    (b"\x28\xb5\x2f\xfd", ZSTD),
    (b"PAR1", PARQUET),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"PK\x07\x08", ZIP),
    (b"7z\xbc\xaf\x27\x1c", Kind { name: "a 7z archive", hint: UNPACK }),
    (b"Rar!\x1a\x07", Kind { name: "a RAR archive", hint: UNPACK }),
    (b"\xfd7zXZ\0", Kind { name: "xz", hint: REPACK }),
    (b"\x04\x22\x4d\x18", Kind { name: "LZ4", hint: REPACK }),
    (b"\xff\x06\0\0sNaPpY", Kind { name: "Snappy", hint: REPACK }),
    (b"\x1f\x9d", Kind { name: "packed by `compress`", hint: REPACK }),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind { name: "an old Excel workbook", hint: "save its sheets as CSV" }),
    (b"SQLite format 3\0", Kind { name: "a SQLite database", hint: "export its tables as CSV or JSON lines" }),
    (b"ARROW1\0\0", Kind { name: "an Arrow file", hint: CONVERT }),
    (b"Obj\x01", Kind { name: "Avro", hint: CONVERT }),
    (b"\x89HDF\r\n\x1a\n", Kind { name: "HDF5", hint: CONVERT }),
    (b"%PDF-", Kind { name: "a PDF", hint: "export its table as CSV" }),
    (b"\xff\xfe\0\0", Kind { name: "UTF-32", hint: "convert it to UTF-8, as with `iconv -f UTF-32 -t UTF-8`" }),
    (b"\xff\xfe", UTF16),
    (b"\xfe\xff", UTF16),
];

const UNPACK: &str = "unpack it, and name the files inside of it";
const REPACK: &str = "unpack it, or pack it by gzip or Zstandard instead";
const CONVERT: &str = "convert it to JSON lines, CSV or Parquet";
const GZIP: Kind = Kind { name: "gzip", hint: "set `compression: gzip`, or name it `.gz`" };
const ZSTD: Kind = Kind { name: "Zstandard", hint: "set `compression: zstd`, or name it `.zst`" };
const PARQUET: Kind = Kind { name: "Parquet", hint: "set `format: parquet`, or name it `.parquet`" };
const ZIP: Kind = Kind {
    name: "a ZIP archive",
    hint: "unpack it, as with `unzip`, and name the files inside of it; gzip and Zstandard are read as they are",
};
const WORKBOOK: Kind = Kind { name: "an Excel workbook (xlsx, a ZIP archive)", hint: "save its sheets as CSV" };
const SPREADSHEET: Kind = Kind { name: "an OpenDocument spreadsheet (a ZIP archive)", hint: "save its sheets as CSV" };
const TAR: Kind = Kind { name: "a tar archive", hint: "unpack it, as with `tar -xf`, and name the files inside of it" };
const BZIP2: Kind = Kind { name: "bzip2", hint: REPACK };
const UTF16: Kind = Kind { name: "UTF-16", hint: "convert it to UTF-8, as with `iconv -f UTF-16 -t UTF-8`" };

/// This many bytes decide the kind: the first block of a tar archive.
const HEAD_BYTES: usize = 512;

impl Kind {
    /// The kind of a file that begins with these bytes, if it is a known one.
    fn of(head: &[u8]) -> Option<Self> {
        let known = KINDS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, kind)| *kind);
        let is_tar = || matches!(head.get(257..265), Some([b'u', b's', b't', b'a', b'r', 0, ..] | b"ustar  \0"));
        let is_bzip2 = || head.starts_with(b"BZh") && head.get(4..10) == Some(b"1AY&SY");
        match known {
            Some(ZIP) => Some(of_zip(head)),
            Some(kind) => Some(kind),
            None if is_tar() => Some(TAR),
            None => is_bzip2().then_some(BZIP2),
        }
    }

    fn error(self, path: &Path, expected: &str) -> Error {
        damaged(format!("{} is {}, not {expected}", path.display(), self.name), self.hint)
    }
}

/// What a ZIP archive holds, by its first entry.
fn of_zip(head: &[u8]) -> Kind {
    let entry = head.get(30..).unwrap_or_default();
    let is_workbook = [&b"[Content_Types].xml"[..], b"xl/", b"_rels/", b"docProps/"].iter().any(|name| entry.starts_with(name));
    match entry {
        _ if is_workbook => WORKBOOK,
        _ if entry.starts_with(b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet") => SPREADSHEET,
        _ => ZIP,
    }
}

/// The first bytes of a file.
fn head(path: &Path, content: &Content) -> Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    loop {
        let (missing, offset) = (HEAD_BYTES - head.len(), head.len() as u64);
        let read = content.append(&mut head, missing, offset);
        let read = read.map_err(|error| Error::io(format_args!("read {}", path.display()), error).or_code(UNREADABLE))?;
        if read == 0 || head.len() >= HEAD_BYTES {
            return Ok(head);
        }
    }
}

/// What is packed in a file, if it can be recognised. Damage is reported by readers of the whole
/// file.
fn inside(path: &Path, content: &Content, compression: Compression) -> Option<Kind> {
    let mut input = Input::open(content.try_clone().ok()?, path, compression, 0).ok()?;
    let mut head = Vec::new();
    input.append(&mut head, HEAD_BYTES).ok()?;
    Kind::of(&head)
}

/// Checks by a file's first bytes that it is what its name and the configuration declare.
///
/// # Errors
/// Environment: it is of another kind.
pub fn check(options: &ReadOptions, path: &Path, content: &Content) -> Result<()> {
    let (expected, own) = match options.compression_of(path) {
        Compression::None => ("plain text", None),
        Compression::Gzip => ("gzip", Some(GZIP)),
        Compression::Zstd => ("Zstandard", Some(ZSTD)),
    };
    match Kind::of(&head(path, content)?) {
        Some(kind) if Some(kind) != own => Err(kind.error(path, expected)),
        _ => Ok(()),
    }
}

/// That a packed file holds plain text.
///
/// # Errors
/// Environment: it holds a file of another kind.
pub(super) fn check_inside(options: &ReadOptions, path: &Path, content: &Content) -> Result<()> {
    let compression = options.compression_of(path);
    match inside(path, content, compression).filter(|_| compression != Compression::None) {
        Some(kind) => {
            let hint = if kind == GZIP || kind == ZSTD { "it is packed twice: unpack it once" } else { kind.hint };
            Err(damaged(format!("{} holds {}, not plain text", path.display(), kind.name), hint))
        }
        None => Ok(()),
    }
}

/// The kind of a file that is not Parquet, as an error.
pub(super) fn not_parquet(path: &Path, content: &Content) -> Option<Error> {
    let kind = Kind::of(&head(path, content).ok()?).filter(|kind| *kind != PARQUET)?;
    let hint = if kind == GZIP || kind == ZSTD { "unpack it: Parquet is compressed inside" } else { kind.hint };
    Some(Kind { hint, ..kind }.error(path, "Parquet"))
}

/// The format of a file.
///
/// # Errors
/// Configuration: its name does not decide. Environment: its content is a file of another kind.
pub fn format_of(options: &ReadOptions, path: &Path, content: &Content) -> Result<Format> {
    options.format_of(path).or_else(|unknown| {
        let kind = match Kind::of(&head(path, content)?) {
            Some(packed @ (GZIP | ZSTD)) => {
                let compression = if packed == GZIP { Compression::Gzip } else { Compression::Zstd };
                inside(path, content, compression)
            }
            kind => kind.filter(|kind| *kind != PARQUET),
        };
        Err(kind.map_or(unknown, |kind| kind.error(path, "a file that can be read")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(head: &[u8]) -> Option<&'static str> {
        Kind::of(head).map(|kind| kind.name)
    }

    #[test]
    fn kinds_are_recognised_by_what_they_begin_with() {
        let tar = |magic: &[u8]| [&[b'a'; 257][..], magic, &[0; 250]].concat();
        assert_eq!(name_of(&tar(b"ustar\x0000")), Some(TAR.name));
        assert_eq!(name_of(&tar(b"ustar  \0")), Some(TAR.name));
        assert_eq!(name_of(&tar(b"ustar,a,")), None, "a text");
        assert_eq!(name_of(b"BZh91AY&SY"), Some("bzip2"));
        assert_eq!(name_of(b"BZh,name\n1,a\n"), None, "a header");
        let entry = |name: &[u8]| [b"PK\x03\x04", &[0; 26][..], name].concat();
        assert_eq!(name_of(&entry(b"data.csv")), Some(ZIP.name));
        assert_eq!(name_of(&entry(b"[Content_Types].xml")), Some(WORKBOOK.name));
        assert_eq!(name_of(b"\xff\xfei\0d\0"), Some("UTF-16"));
        assert_eq!((name_of(b""), name_of(b"id,name\n"), name_of(b"{\"id\":1}\n"), name_of(b"\xef\xbb\xbfid\n")), (None, None, None, None));
    }
}
