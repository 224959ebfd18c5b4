//! Unpacks gzip: one member after the other.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// Reads members until the bytes end. Zeros after a member are padding, as tapes and block devices
/// leave it, and are ignored as by `gzip` itself.
pub struct Gunzip<R: BufRead>(State<R>);

enum State<R: BufRead> {
    Between(R),
    Member(Box<GzDecoder<R>>),
    End,
}

impl<R: BufRead> Gunzip<R> {
    pub fn new(packed: R) -> Self {
        Self(State::Between(packed))
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let State::Member(member) = &mut self.0 {
                let read = member.read(buffer)?;
                if read > 0 || buffer.is_empty() {
                    return Ok(read);
                }
            }
            self.0 = match std::mem::replace(&mut self.0, State::End) {
                State::Member(member) => State::Between(member.into_inner()),
                State::Between(mut packed) => match is_at_member(&mut packed)? {
                    true => State::Member(Box::new(GzDecoder::new(packed))),
                    false => return Ok(0),
                },
                State::End => return Ok(0),
            };
        }
    }
}

/// Passes over zeros. Whether anything else follows.
fn is_at_member(packed: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = packed.fill_buf()?;
        if bytes.is_empty() {
            return Ok(false);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let is_all = zeros == bytes.len();
        packed.consume(zeros);
        if !is_all {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(bytes: &[u8], buffer: usize) -> io::Result<String> {
        let mut text = String::new();
        Gunzip::new(io::BufReader::with_capacity(buffer, bytes)).read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn members_follow_each_other_and_zeros_are_padding() {
        let zeros = [0; 50];
        for (parts, expected) in [
            (vec![], ""),
            (vec![packed("ab")], "ab"),
            (vec![packed("ab"), packed(""), packed("cd")], "abcd"),
            (vec![packed("ab"), zeros.to_vec()], "ab"),
            (vec![packed("ab"), zeros.to_vec(), packed("cd"), zeros.to_vec()], "abcd"),
        ] {
            for buffer in [1, 7, 1000] {
                assert_eq!(unpacked(&parts.concat(), buffer).unwrap(), expected, "{buffer}");
            }
        }
    }

    #[test]
    fn everything_else_behind_a_member_is_an_error() {
        let whole = packed("abcdefgh");
        assert!(unpacked(&[whole.as_slice(), b"\0\0garbage"].concat(), 100).is_err());
        for length in 1..whole.len() {
            assert!(unpacked(&whole[..length], 100).is_err(), "{length}");
        }
    }
}
