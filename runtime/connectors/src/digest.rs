//! SHA-256 of what is written, read, or stands for something.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

/// The digest of some bytes that lie in several places, in lower-case hexadecimal.
pub(crate) fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut digest = Sha256::new();
    parts.into_iter().for_each(|part| digest.update(part));
    hex::encode(digest.finalize())
}

/// What stands for a sink of a pipeline in the names of its files, and for no other: two of them would have to share 64 bits of a digest.
pub(crate) fn owner(pipeline: &str, sink: &str) -> String {
    let mut owner = sha256([pipeline.as_bytes(), &[0], sink.as_bytes()]);
    owner.truncate(16);
    owner
}

/// A file that knows the digest of what went through it.
pub(crate) struct Digested<F> {
    file: F,
    digest: Sha256,
}

impl<F> Digested<F> {
    /// Takes a file at its front.
    pub(crate) fn new(file: F) -> Self {
        Self { file, digest: Sha256::new() }
    }

    /// The digest of everything that went through, in lower-case hexadecimal, and the file.
    pub(crate) fn finish(self) -> (String, F) {
        (hex::encode(self.digest.finalize()), self.file)
    }
}

impl Digested<std::fs::File> {
    /// The digest of the file, in lower-case hexadecimal: reads what is left of it.
    pub(crate) fn read_out(&mut self) -> io::Result<String> {
        io::copy(self, &mut io::sink())?;
        Ok(hex::encode(self.digest.finalize_reset()))
    }
}

impl<F: Read> Read for Digested<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.digest.update(&into[..read]);
        Ok(read)
    }
}

impl<F: Write> Write for Digested<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of "abc", from FIPS 180-2.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn bytes_have_one_digest_however_they_come() {
        assert_eq!(sha256([b"a".as_slice(), b"bc"]), ABC);
        let mut written = Digested::new(Vec::new());
        written.write_all(b"ab").unwrap();
        written.write_all(b"c").unwrap();
        let (digest, bytes) = written.finish();
        assert_eq!((digest.as_str(), bytes.as_slice()), (ABC, b"abc".as_slice()));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let mut read = Digested::new(file.reopen().unwrap());
        read.read_exact(&mut [0]).unwrap();
        assert_eq!(read.read_out().unwrap(), ABC);
    }

    #[test]
    fn no_two_sinks_have_one_name() {
        assert_eq!(owner("p", "s").len(), 16);
        assert_ne!(owner("ab", "c"), owner("a", "bc"));
    }
}
