//! Commits into a table: publish the staged files, then move the table's log by compare-and-set.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;
use wasmill_engine::{CommitOutcome, Committed, Error, Result, Token, failpoint};

use super::changes::Changes;
use super::config::{DeltaCompression, WriteMode};
use super::entry::{entry, token_entry};
use super::evolution::Fit;
use super::log::{Followed, Put, TableLog};
use super::prepared::Prepared;
use super::properties::Properties;
use super::schema::SchemaDifference;
use super::staging::Staging;
use super::state::{MarkNames, TableState};
use super::upsert::Upsert;
use crate::codes::{CONFLICT, SCHEMA_DIFFERS};
use wasmill_connect::staged::StagedMark;
use wasmill_connect::token::{Step, compare};

/// How often a commit tries to put its entry into the log before it fails. Every failed attempt is
/// another writer's success.
const ATTEMPTS: u32 = 40;

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The result of a commit.
pub(crate) struct TableCommit {
    pub(crate) outcome: CommitOutcome,
    /// The table's new version, if this call created one.
    pub(crate) version: Option<u64>,
}

/// One sink's view of its table.
pub(crate) struct Committer {
    log: TableLog,
    names: MarkNames,
    staging: Staging,
    owner: String,
    compression: DeltaCompression,
    known: Option<Followed>,
    properties: Arc<Mutex<Properties>>,
}

impl Committer {
    /// A view of the table behind `log`, which need not exist yet. Files that an upsert rewrites are compressed so.
    pub(crate) fn new(log: TableLog, names: MarkNames, staging: Staging, owner: String, compression: DeltaCompression) -> Self {
        Self { log, names, staging, owner, compression, known: None, properties: Arc::default() }
    }

    /// The table as it is now.
    pub(crate) fn refresh(&mut self) -> Result<Option<&TableState>> {
        self.known = Followed::refresh(self.known.take(), &self.log, &self.names)?;
        let state = self.known.as_ref().map(Followed::state);
        *self.properties.lock() = state.map(Properties::of).unwrap_or_default();
        Ok(state)
    }

    /// The table's requirements on writers at the last read. Reading them waits for no commit.
    pub(crate) fn properties(&self) -> Arc<Mutex<Properties>> {
        Arc::clone(&self.properties)
    }

    /// The sink's token as the table has it now.
    pub(crate) fn committed(&mut self) -> Result<Option<Committed>> {
        Ok(self.refresh()?.and_then(|state| state.marks.committed()))
    }

    /// Makes a prepared commit visible.
    pub(crate) fn commit(&mut self, token: &Token, prepared: &Prepared) -> Result<TableCommit> {
        let mut published = false;
        let mut failure = None;
        let mut upsert = Upsert::new(token, prepared, self.compression);
        for attempt in 0..ATTEMPTS {
            wait_before(attempt);
            if self.step(token)? == Step::Already {
                // An entry of this process whose write seemed to fail counts as done by this call.
                let outcome = if failure.is_some() { CommitOutcome::Done } else { CommitOutcome::Already };
                upsert.clean_up(&self.staging);
                return Ok(TableCommit { outcome, version: None });
            }
            let state = self.known.as_ref().map(Followed::state);
            if let Some(state) = state {
                check(state, prepared)?;
            }
            if !published {
                if let Err(error) = self.staging.publish(&prepared.files) {
                    return self.committed_by_another(token).ok_or(error);
                }
                published = true;
                failpoint::hit("delta-after-rename");
            }
            let version = state.map_or(0, |state| state.version + 1);
            let changes = match prepared.write {
                WriteMode::Append => Ok(Changes::appending(&prepared.files)),
                WriteMode::Overwrite => Changes::overwriting(&self.log, state, &prepared.files),
                WriteMode::Upsert => upsert.changes(&self.log, &self.staging, state),
            };
            let changes = match changes {
                Ok(changes) => changes,
                Err(error) => return self.committed_by_another(token).ok_or(error),
            };
            let entry = entry(state, token, &self.names, prepared, &changes)?;
            failpoint::hit("delta-commit-before-log");
            match self.log.put(version, &entry, &self.draft(token)) {
                Ok(Put::Done) => {
                    failpoint::hit("delta-commit-after-log");
                    upsert.clean_up(&self.staging);
                    return Ok(TableCommit { outcome: CommitOutcome::Done, version: Some(version) });
                }
                Ok(Put::Taken) => {}
                Err(error) if failure.is_some() => return Err(error),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| {
            Error::environment(format!("other writers were quicker {ATTEMPTS} times in a row: epoch {} is not committed", token.epoch))
                .code(CONFLICT)
                .hint("run the pipeline again: it resumes with this commit")
        }))
    }

    /// Re-reads the table and compares its token.
    fn step(&mut self, token: &Token) -> Result<Step> {
        compare(self.refresh()?.and_then(|state| state.marks.committed()).as_ref(), token)
    }

    /// The result where another process has committed this token meanwhile, and has removed files
    /// that this one was about to move or to read.
    fn committed_by_another(&mut self, token: &Token) -> Option<TableCommit> {
        let is_committed = self.step(token).is_ok_and(|step| step == Step::Already);
        is_committed.then_some(TableCommit { outcome: CommitOutcome::Already, version: None })
    }

    /// Sets the token and nothing else.
    pub(crate) fn adopt(&mut self, token: &Token, create: impl Fn() -> Result<Prepared>) -> Result<()> {
        for attempt in 0..ATTEMPTS {
            wait_before(attempt);
            self.refresh()?;
            let state = self.known.as_ref().map(Followed::state);
            if state.is_none() && token.epoch == 0 {
                return Ok(());
            }
            let target = Committed { incarnation: token.incarnation, epoch: token.epoch };
            if state.and_then(|state| state.marks.committed()) == Some(target) {
                return Ok(());
            }
            let entry = token_entry(state, token, &self.names, &create)?;
            let version = state.map_or(0, |state| state.version + 1);
            if self.log.put(version, &entry, &self.draft(token))? == Put::Done {
                return Ok(());
            }
        }
        Err(Error::environment(format!("other writers were quicker {ATTEMPTS} times in a row: the table is not adopted")).code(CONFLICT))
    }

    /// Where an entry lies before it is put.
    fn draft(&self, token: &Token) -> String {
        format!("{}/{}", self.owner, StagedMark::of_commit(token))
    }

    /// The log.
    pub(crate) fn log(&self) -> &TableLog {
        &self.log
    }
}

/// Waits longer the more often another writer was faster. Processes wait for random times, so that
/// one of them succeeds.
fn wait_before(attempt: u32) {
    if attempt > 0 {
        let uneven = Uuid::new_v4().as_u128() as u64 % 100;
        let wait = Duration::from_millis((u64::from(attempt) * u64::from(attempt) * 2) + uneven / 4);
        std::thread::sleep(wait.min(LONGEST_WAIT));
    }
}

/// Fails if the table can't take the commit.
pub(crate) fn check(state: &TableState, prepared: &Prepared) -> Result<()> {
    state.check_writable(prepared.write)?;
    match Fit::of(state, prepared)? {
        Fit::AsItIs | Fit::Grown(_) => Ok(()),
        Fit::Not(found) => Err(mismatch(&found)),
    }
}

/// The error that reports how the pipeline and the table differ.
pub(crate) fn mismatch(found: &[SchemaDifference]) -> Error {
    let described: Vec<String> = found.iter().map(ToString::to_string).collect();
    Error::environment(format!("the table's columns differ from the pipeline's: {}", described.join("; "))).code(SCHEMA_DIFFERS)
        .hint("change the stage before the sink, write into another table, let it grow new columns with `schema_evolution: add_columns`, or use `write: overwrite` in a batch")
}
