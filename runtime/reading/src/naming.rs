//! Names of files as text: in checkpoints, in dead letters and in the column of the path.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Precedes the two hexadecimal digits of a byte that is not UTF-8.
const ESCAPE: char = char::REPLACEMENT_CHARACTER;

/// The name of a file as text. A byte that is not UTF-8 becomes U+FFFD and two hexadecimal digits, so that no two files share a name and
/// [`path_of`] finds the file again.
pub fn name_of(path: &Path) -> String {
    let mut name = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                ESCAPE => escape(&mut name, ESCAPE.encode_utf8(&mut [0; 4]).as_bytes()),
                char => name.push(char),
            }
        }
        escape(&mut name, chunk.invalid());
    }
    name
}

fn escape(name: &mut String, bytes: &[u8]) {
    for byte in bytes {
        name.push(ESCAPE);
        name.push_str(&format!("{byte:02X}"));
    }
}

/// The file that [`name_of`] named.
pub fn path_of(name: &str) -> PathBuf {
    let mut parts = name.split(ESCAPE);
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => {
                bytes.extend_from_slice(ESCAPE.encode_utf8(&mut [0; 4]).as_bytes());
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_file_again() {
        let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        for (bytes, name) in [
            (&b"in/a.jsonl"[..], "in/a.jsonl"),
            ("in/ä.jsonl".as_bytes(), "in/ä.jsonl"),
            (b"in/\xe4.jsonl", "in/\u{fffd}E4.jsonl"),
            ("\u{fffd}".as_bytes(), "\u{fffd}EF\u{fffd}BF\u{fffd}BD"),
            (b"\xc3(\xff", "\u{fffd}C3(\u{fffd}FF"),
        ] {
            assert_eq!(name_of(&path(bytes)), name);
            assert_eq!(path_of(name), path(bytes));
        }
        assert_ne!(name_of(&path(b"\xe4")), name_of(&path(b"\xe5")));
        assert_eq!(path_of("old \u{fffd}.csv"), PathBuf::from("old \u{fffd}.csv"), "as names were written before");
    }
}
