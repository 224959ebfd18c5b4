//! How far a table has been read, as a checkpoint keeps it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmill_engine::codes::STATE_OF_OTHER_SOURCE;
use wasmill_engine::{Error, Progress, Result, SplitId, SplitState};

/// The name of the entry in a checkpoint that covers everything that is done. No file has it: their
/// names begin with a version.
const DONE: &str = "@done";

/// How far a file has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The table's id.
    pub(super) table: String,
    /// The version that was read whole at the beginning.
    pub(super) base: u64,
    /// The next row of the file, deleted ones counted.
    pub(super) row: u64,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) table: String,
    pub(super) base: u64,
    /// Everything that this version and those before it added. `None`: not even the version that is
    /// read whole.
    pub(super) through: Option<u64>,
    /// And this many files of the next one, in the order of their paths.
    pub(super) files: usize,
}

/// The progress in a checkpoint.
#[derive(Debug, Default)]
pub(super) struct Restored {
    /// The table's id and the version that was read whole at the beginning. `None` if nothing was
    /// read yet.
    pub(super) begun: Option<(String, u64)>,
    pub(super) done: Option<Done>,
    /// The last version that has entries of its own.
    last: Option<u64>,
}

/// The name of a file that a version added.
pub(super) fn split_id(version: u64, path: &str) -> SplitId {
    format!("{version:020}@{path}").into()
}

impl Position {
    pub(super) fn to_value(&self) -> Value {
        serde_json::json!({ "table": self.table, "base": self.base, "row": self.row })
    }

    pub(super) fn read(id: &str, value: &Value) -> Result<Self> {
        Self::deserialize(value).map_err(|error| not_understood(id, &error))
    }
}

impl Done {
    pub(super) fn state(&self) -> SplitState {
        let value = serde_json::json!({ "table": self.table, "base": self.base, "through": self.through, "files": self.files });
        SplitState { position: value, done: true }
    }

    pub(super) fn insert(&self, progress: &mut Progress) {
        progress.insert(DONE.into(), self.state());
    }
}

impl Restored {
    /// Reads a source's progress from a checkpoint.
    ///
    /// # Errors
    /// Environment: it is of another source, or of two tables.
    pub(super) fn read(progress: &Progress) -> Result<Self> {
        let mut restored = Self::default();
        for (id, state) in progress {
            let (table, base) = if &**id == DONE {
                let done = Done::deserialize(&state.position).map_err(|error| not_understood(id, &error))?;
                restored.done = Some(done.clone());
                (done.table, done.base)
            } else {
                let version = id.split_once('@').and_then(|(version, _)| version.parse().ok());
                let Some(version) = version else { return Err(not_understood(id, &"it names no file of a table")) };
                restored.last = restored.last.max(Some(version));
                let position = Position::read(id, &state.position)?;
                (position.table, position.base)
            };
            match &restored.begun {
                Some(begun) if *begun != (table.clone(), base) => return Err(not_understood(id, &"it is of another table")),
                _ => restored.begun = Some((table, base)),
            }
        }
        Ok(restored)
    }

    /// The last version of which something was read.
    pub(super) fn furthest(&self) -> Option<u64> {
        let done = self.done.as_ref().and_then(|done| done.through);
        self.last.max(done)
    }
}

fn not_understood(id: &str, why: &dyn std::fmt::Display) -> Error {
    Error::environment(format!("the checkpoint's position of {id} is not understood: {why}"))
        .code(STATE_OF_OTHER_SOURCE)
        .hint("has the source been replaced by one of another kind? `wasmill state reset` drops the progress and starts over")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn positions_of_the_first_version_are_still_read() {
        let progress = Progress::from([
            ("@done".into(), SplitState { position: json!({"table": "t", "base": 3, "through": 5, "files": 2}), done: true }),
            (split_id(6, "a.parquet"), SplitState { position: json!({"table": "t", "base": 3, "row": 9}), done: false }),
        ]);
        let restored = Restored::read(&progress).unwrap();
        assert_eq!(restored.begun, Some(("t".into(), 3)));
        assert_eq!(restored.done, Some(Done { table: "t".into(), base: 3, through: Some(5), files: 2 }));
        assert_eq!(restored.furthest(), Some(6));
        let position = &progress[&split_id(6, "a.parquet")].position;
        assert_eq!(Position::read("a", position).unwrap(), Position { table: "t".into(), base: 3, row: 9 });
    }
}
