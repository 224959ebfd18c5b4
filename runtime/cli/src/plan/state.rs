//! Where a pipeline's state lies: a folder of this machine or a prefix of a bucket.

use std::path::{Path, PathBuf};

use wasmill_connectors::s3::{S3State, S3Uri};
use wasmill_engine::{LocalState, Result, StateStore};

use crate::check::Checked;

/// Where a pipeline's state lies: the place of the state, then the pipeline's name.
pub fn state_of(checked: &Checked) -> PathBuf {
    Path::new(&checked.state).join(&checked.name)
}

/// Opens a pipeline's state: a folder is made and locked, a bucket is not touched yet.
///
/// # Errors
/// Another process has the folder, or the place can't be used.
pub fn open_state(checked: &Checked) -> Result<Box<dyn StateStore>> {
    Ok(match in_bucket(checked) {
        Some(state) => Box::new(S3State::open(state, &checked.name)?),
        None => Box::new(LocalState::open(&checked.state, &checked.name)?),
    })
}

/// Opens a pipeline's state for reading only: `None` if there is none.
///
/// # Errors
/// The place can't be used.
pub fn look_at_state(checked: &Checked) -> Result<Option<Box<dyn StateStore>>> {
    Ok(match in_bucket(checked) {
        Some(state) => Some(Box::new(S3State::open(state, &checked.name)?)),
        None => LocalState::look(&checked.state, &checked.name).map(|state| Box::new(state) as _),
    })
}

/// The address of a state that lies in a bucket.
pub(super) fn in_bucket(checked: &Checked) -> Option<&str> {
    checked.state.to_str().filter(|state| S3Uri::is_one(state))
}
