//! What a sink reports that was built without columns and needs them.

use std::fmt;

use wasmill_engine::Error;

use crate::codes::COLUMNS_UNKNOWN;

/// The cause of an error that a sink built without columns could not do without them: the whole pipeline has to be checked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnsUnknown;

impl fmt::Display for ColumnsUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the columns are not known")
    }
}

impl std::error::Error for ColumnsUnknown {}

/// The error for something that would have to be created.
pub fn columns_unknown(what: &str) -> Error {
    Error::environment(format!("{what} is missing, and its columns are not known here"))
        .code(COLUMNS_UNKNOWN)
        .hint("create it, or see that `wasmill check` passes: the columns follow from the whole pipeline")
        .caused_by(ColumnsUnknown)
}
