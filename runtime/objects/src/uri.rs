//! Where an object, a table or a prefix lies: `s3://bucket/key`.

use std::fmt;

use wasmill_engine::{Error, Result};

use crate::codes::BUCKET_ADDRESS;

/// A bucket and a key in it, or a prefix of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Uri {
    /// The bucket.
    pub bucket: String,
    /// What comes behind it, without the slash between; no slash at its end. May be empty.
    pub key: String,
}

impl S3Uri {
    /// Whether a text means to be one.
    pub fn is_one(text: &str) -> bool {
        text.starts_with("s3://") || text.starts_with("s3a://")
    }

    /// Reads `s3://bucket/key`; `s3a://` means the same.
    ///
    /// # Errors
    /// Configuration: it is not one.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::configuration(format!("`{text}` {why}")).code(BUCKET_ADDRESS).hint("write it as s3://bucket/prefix");
        let Some(rest) = text.strip_prefix("s3://").or_else(|| text.strip_prefix("s3a://")) else {
            return Err(bad("is not an address in S3"));
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(bad("names no bucket"));
        }
        if !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) {
            return Err(bad("has a bucket whose name S3 does not allow: letters, digits, `-` and `.` only"));
        }
        let key = key.trim_matches('/');
        let is_bad = |part: &str| matches!(part, "" | "." | "..") || part.contains(|letter: char| letter.is_ascii_control());
        if !key.is_empty() && key.split('/').any(is_bad) {
            return Err(bad("has a key that can't be used: nothing between two slashes, `.`, `..` or a control character"));
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// The key of what lies below it.
    pub fn below(&self, name: &str) -> String {
        if self.key.is_empty() { name.to_owned() } else { format!("{}/{name}", self.key) }
    }
}

/// The longest key that S3 takes, in bytes.
const LONGEST_KEY: usize = 1024;

/// How long the folders of an object may be below a prefix, in bytes, where its name has so many.
pub fn longest_folder(prefix: &S3Uri, name: usize) -> usize {
    LONGEST_KEY.saturating_sub(prefix.below("").len() + name)
}

impl fmt::Display for S3Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_bucket_and_perhaps_a_key() {
        let uri = S3Uri::parse("s3://lake/raw/pins/").unwrap();
        assert_eq!((uri.bucket.as_str(), uri.key.as_str()), ("lake", "raw/pins"));
        assert_eq!((uri.below("x"), uri.to_string()), ("raw/pins/x".to_owned(), "s3://lake/raw/pins".to_owned()));
        assert_eq!(S3Uri::parse("s3a://lake").unwrap().below("x"), "x");
        for bad in ["s3://", "s3:///x", "s3://a b/x", "out/x", "s3://lake/a//b", "s3://lake/../b", "s3://lake/a\nb"] {
            assert!(S3Uri::parse(bad).is_err(), "{bad}");
        }
    }
}
