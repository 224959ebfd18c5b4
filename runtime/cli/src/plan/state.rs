//! Where a pipeline's state lies: a folder of this machine or a prefix of a bucket.

use std::path::{Path, PathBuf};

use wasmill_connect::examine::{Finding, folder_to_write};
use wasmill_connect::registry::Server;
use wasmill_engine::{Checkpoint, LocalState, Result, StateStore};
use wasmill_objects::{S3Config, S3Uri, Use, examine as examine_bucket, open_state as open_bucket_state};

/// Where the state of a pipeline lies: the place of all states, then the pipeline's name.
pub fn state_of(states: &Path, pipeline: &str) -> PathBuf {
    states.join(pipeline)
}

/// Opens a pipeline's state: a folder is created and locked, a bucket is not touched yet.
///
/// # Errors
/// Another process has the folder, or the place can't be used.
pub fn open_state(states: &Path, pipeline: &str) -> Result<Box<dyn StateStore>> {
    Ok(match in_bucket(states) {
        Some(states) => open_bucket_state(states, pipeline)?,
        None => Box::new(LocalState::open(states, pipeline)?),
    })
}

/// Opens a pipeline's state for reading only: `None` if there is none.
///
/// # Errors
/// The place can't be used.
pub fn open_state_read_only(states: &Path, pipeline: &str) -> Result<Option<Box<dyn StateStore>>> {
    Ok(match in_bucket(states) {
        Some(states) => Some(open_bucket_state(states, pipeline)?),
        None => LocalState::open_read_only(states, pipeline).map(|state| Box::new(state) as _),
    })
}

/// What is known of a pipeline's state before a run.
pub enum HeldState {
    /// It was not to be read.
    Unasked,
    /// It was not read: why, in words that follow a colon.
    Unknown(String),
    /// Its newest checkpoint, if there is one.
    Newest(Option<Box<Checkpoint>>),
}

/// The newest checkpoint of a pipeline. `reach` decides whether the server of a bucket is contacted, by its name in words; else it says why not.
///
/// # Errors
/// The checkpoint can't be read.
pub fn held_state(states: &Path, pipeline: &str, reach: impl FnOnce(&Server) -> std::result::Result<(), String>) -> Result<HeldState> {
    if in_bucket(states).is_some()
        && let Err(why) = reach(&S3Config::default().server())
    {
        return Ok(HeldState::Unknown(why));
    }
    let state = open_state_read_only(states, pipeline)?;
    let newest = state.map(|state| state.latest()).transpose()?.flatten();
    Ok(HeldState::Newest(newest.map(Box::new)))
}

/// Examines the place of a pipeline's state, which lies among others. Changes nothing.
pub(super) fn examine_state(states: &Path, state: &Path) -> Vec<Finding> {
    match in_bucket(states) {
        Some(_) => examine_bucket(&state.to_string_lossy(), &S3Config::default(), Use::Write),
        None => folder_to_write(state),
    }
}

/// The address of states that lie in a bucket.
fn in_bucket(states: &Path) -> Option<&str> {
    states.to_str().filter(|states| S3Uri::is_one(states))
}
