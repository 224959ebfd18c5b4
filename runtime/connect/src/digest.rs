//! SHA-256 of what is written or read, and of names derived from it.

use sha2::{Digest, Sha256};
pub use wasmill_engine::disk::Digested;

/// The digest of bytes in several places, in lower-case hexadecimal.
pub fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut digest = Sha256::new();
    parts.into_iter().for_each(|part| digest.update(part));
    hex::encode(digest.finalize())
}

/// The name of a sink of a pipeline in the names of its files. It is unique: two sinks would have
/// to share 64 bits of a digest.
pub fn owner(pipeline: &str, sink: &str) -> String {
    let mut owner = sha256([pipeline.as_bytes(), &[0], sink.as_bytes()]);
    owner.truncate(16);
    owner
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of "abc", from FIPS 180-2.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn bytes_have_one_digest_however_they_come() {
        assert_eq!(sha256([b"a".as_slice(), b"bc"]), ABC);
    }

    #[test]
    fn no_two_sinks_have_one_name() {
        assert_eq!(owner("p", "s").len(), 16);
        assert_ne!(owner("ab", "c"), owner("a", "bc"));
    }
}
