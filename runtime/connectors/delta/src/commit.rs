//! Commits into a table: publish the staged files, then move the table's log by compare-and-set.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use uuid::Uuid;
use wasmill_engine::{CommitOutcome, Committed, Error, Result, Token, failpoint};

use super::config::WriteMode;
use super::data_file::now_millis;
use super::evolution::Fit;
use super::log::{Followed, Put, TableLog};
use super::prepared::{DataFile, Prepared};
use super::properties::Properties;
use super::schema::SchemaDifference;
use super::staging::Staging;
use super::state::{MarkNames, Metadata, TableState};
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
    known: Option<Followed>,
    properties: Arc<Mutex<Properties>>,
}

impl Committer {
    /// A view of the table behind `log`, which need not exist yet.
    pub(crate) fn new(log: TableLog, names: MarkNames, staging: Staging, owner: String) -> Self {
        Self { log, names, staging, owner, known: None, properties: Arc::default() }
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
        for attempt in 0..ATTEMPTS {
            wait_before(attempt);
            self.refresh()?;
            let state = self.known.as_ref().map(Followed::state);
            let current = state.and_then(|state| state.marks.committed());
            if compare(current.as_ref(), token)? == Step::Already {
                // An entry of this process whose write seemed to fail counts as done by this call.
                let outcome = if failure.is_some() { CommitOutcome::Done } else { CommitOutcome::Already };
                return Ok(TableCommit { outcome, version: None });
            }
            if let Some(state) = state {
                check(state, prepared)?;
            }
            if !published {
                self.staging.publish(&prepared.files)?;
                published = true;
                failpoint::hit("delta-after-rename");
            }
            let version = state.map_or(0, |state| state.version + 1);
            let entry = entry(&self.log, state, token, &self.names, prepared)?;
            failpoint::hit("delta-commit-before-log");
            match self.log.put(version, &entry, &self.draft(token)) {
                Ok(Put::Done) => {
                    failpoint::hit("delta-commit-after-log");
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
            // It moves the token alone: nothing is added, removed or read.
            let metrics = json!({"numAddedFiles": "0", "numRemovedFiles": "0", "numOutputRows": "0", "numOutputBytes": "0"});
            let done = Done { operation: "STREAMING UPDATE", parameters: json!({}), metrics, is_blind_append: true };
            let mut lines = vec![commit_info(done, token, state)];
            match state {
                Some(state) => state.check_writable(false)?,
                None => lines.extend(creation(&create()?)),
            }
            lines.extend(self.names.actions(token)?);
            let version = state.map_or(0, |state| state.version + 1);
            if self.log.put(version, &join(&lines), &self.draft(token))? == Put::Done {
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
    state.check_writable(prepared.write == WriteMode::Overwrite)?;
    match Fit::of(state, prepared)? {
        Fit::AsItIs | Fit::Grown(_) => Ok(()),
        Fit::Not(found) => Err(mismatch(&found)),
    }
}

fn same_columns(state: &TableState, prepared: &Prepared) -> bool {
    state.metadata.schema_string == prepared.schema && state.metadata.partition_columns == prepared.partition_by
}

/// The error that reports how the pipeline and the table differ.
pub(crate) fn mismatch(found: &[SchemaDifference]) -> Error {
    let described: Vec<String> = found.iter().map(ToString::to_string).collect();
    Error::environment(format!("the table's columns differ from the pipeline's: {}", described.join("; "))).code(SCHEMA_DIFFERS)
        .hint("change the stage before the sink, write into another table, let it grow new columns with `schema_evolution: add_columns`, or use `write: overwrite` in a batch")
}

/// The log entry that commits.
fn entry(log: &TableLog, state: Option<&TableState>, token: &Token, names: &MarkNames, prepared: &Prepared) -> Result<String> {
    let overwrite = prepared.write == WriteMode::Overwrite;
    let removed = match state {
        Some(state) if overwrite => log.removals(state)?,
        _ => Vec::new(),
    };
    let done = Done {
        operation: "WRITE",
        parameters: json!({
            "mode": if overwrite { "Overwrite" } else { "Append" },
            "partitionBy": serde_json::to_string(&prepared.partition_by).unwrap_or_default(),
        }),
        metrics: write_metrics(&prepared.files, &removed),
        // An overwrite replaces any content, so rows that others add meanwhile matter to it.
        is_blind_append: !overwrite,
    };
    let mut lines = vec![commit_info(done, token, state)];
    match state {
        None => lines.extend(creation(prepared)),
        Some(state) if overwrite && !same_columns(state, prepared) => {
            let metadata = Metadata {
                schema_string: prepared.schema.clone(),
                partition_columns: prepared.partition_by.clone(),
                ..state.metadata.clone()
            };
            lines.push(metadata.action());
        }
        Some(state) => {
            if let Fit::Grown(schema_string) = Fit::of(state, prepared)? {
                lines.push(Metadata { schema_string, ..state.metadata.clone() }.action());
            }
        }
    }
    lines.extend(names.actions(token)?);
    lines.extend(removed);
    lines.extend(prepared.files.iter().map(|file| add_action(file, true)));
    Ok(join(&lines))
}

/// The metrics of a write, under Spark's names and in its form (texts).
fn write_metrics(added: &[DataFile], removed: &[Value]) -> Value {
    let sum = |of: fn(&DataFile) -> u64| added.iter().map(of).sum::<u64>().to_string();
    let mut metrics = json!({
        "numFiles": added.len().to_string(),
        "numOutputRows": sum(|file| file.rows),
        "numOutputBytes": sum(|file| file.size),
    });
    if !removed.is_empty() {
        let bytes = removed.iter().filter_map(|action| action["remove"]["size"].as_u64()).sum::<u64>();
        metrics["numRemovedFiles"] = removed.len().to_string().into();
        metrics["numRemovedBytes"] = bytes.to_string().into();
    }
    metrics
}

/// The actions that create a table which every Delta reader supports.
fn creation(prepared: &Prepared) -> [Value; 2] {
    let metadata = Metadata::created(Uuid::new_v4(), now_millis(), &prepared.schema, &prepared.partition_by);
    [json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}), metadata.action()]
}

/// The effect of an entry, for the table's history and for other writers that check for conflicts.
struct Done {
    operation: &'static str,
    parameters: Value,
    metrics: Value,
    /// Whether it only added files and depends on none that were there. Spark accepts such entries
    /// between a MERGE or DELETE and its commit.
    is_blind_append: bool,
}

fn commit_info(done: Done, token: &Token, state: Option<&TableState>) -> Value {
    let Done { operation, parameters, metrics, is_blind_append } = done;
    let mut info = json!({
        "timestamp": now_millis(),
        "operation": operation,
        "operationParameters": parameters,
        "operationMetrics": metrics,
        "isBlindAppend": is_blind_append,
        // Makes each attempt's entry unique: this identifies an attempt whose response was lost.
        "txnId": Uuid::new_v4(),
        "engineInfo": concat!("wasmill/", env!("CARGO_PKG_VERSION")),
        "wasmill": { "pipeline": token.pipeline, "sink": token.sink, "incarnation": token.incarnation, "epoch": token.epoch },
    });
    if let (Some(state), Value::Object(fields)) = (state, &mut info) {
        fields.insert("readVersion".to_owned(), state.version.into());
    }
    json!({ "commitInfo": info })
}

/// The action that adds a file to a table.
pub(crate) fn add_action(file: &DataFile, data_change: bool) -> Value {
    json!({"add": {
        "path": escape_uri(&file.path),
        "partitionValues": file.partition_values,
        "size": file.size,
        "modificationTime": file.modified,
        "dataChange": data_change,
        "stats": file.stats,
    }})
}

const ESCAPED_IN_PATHS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/')
    .remove(b'=')
    .remove(b'+')
    .remove(b',')
    .remove(b'!')
    .remove(b'@')
    .remove(b'&')
    .remove(b'$');

/// A path as the log has it: a relative URI, in which what a folder's name escaped is escaped once more.
fn escape_uri(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED_IN_PATHS).to_string()
}

fn join(lines: &[Value]) -> String {
    let mut entry = String::new();
    for line in lines {
        entry.push_str(&line.to_string());
        entry.push('\n');
    }
    entry
}
