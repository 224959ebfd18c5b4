//! Errors of the content: a file that is damaged, as opposed to a disk or a store that fails.

use std::fmt;

use bytes::Bytes;
use wasmill_engine::Error;

use crate::codes::DAMAGED;

/// Marks the error of a damaged file.
#[derive(Debug)]
struct Damage {
    /// The first bytes of the damage, as far as they are kept for the dead letters.
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

/// The same; `kept` holds the first bytes of the damage.
pub fn damaged_from(message: impl Into<String>, hint: &str, kept: Bytes) -> Error {
    let ways_out = "or set `on_bad_file: set_aside` to note such files in the dead letters and read the others";
    Error::environment(message).code(DAMAGED).hint(format!("{hint}; {ways_out}")).caused_by(Damage { kept })
}

/// The first bytes of the damage, if the error is one of a damaged file.
pub fn damage(error: &Error) -> Option<&Bytes> {
    std::error::Error::source(error)?.downcast_ref::<Damage>().map(|damage| &damage.kept)
}
