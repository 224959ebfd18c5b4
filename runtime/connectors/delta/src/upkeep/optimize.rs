//! Rewrites small files of a table into larger ones, in one version that changes no row.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;
use wasmill_engine::{Error, Result, Token, failpoint};

use super::actions;
use super::plan::{Bin, bins};
use crate::address::TableAddress;
use crate::codes::{CONFLICT, DAMAGED};
use crate::config::{DeltaCompression, WriteMode};
use crate::data_file::{Destination, FinishedFile, OpenFile, now_millis, writer_properties};
use crate::entry::add_action;
use crate::log::{Put, TableLog};
use crate::place::Place;
use crate::prepared::DataFile;
use crate::properties::Properties;
use crate::rows::TableRows;
use crate::schema::TableSchema;
use crate::staging::Staging;
use crate::state::TableState;
use wasmill_connect::durable::owner_name;
use wasmill_lake::{Limits, Partitioner};
use wasmill_objects::{RetryTime, UploadEpoch};

/// How often the files are chosen again because another writer removed some of them.
const TRIES: u32 = 5;
/// How often an entry is put into the log before the command fails. Every failed attempt is another
/// writer's success.
const ATTEMPTS: u32 = 40;
/// Versions between checkpoints of the log, as sinks write them by default.
const CHECKPOINT_EVERY: u64 = 100;
/// In the names of its folders and uploads. No pipeline can be called so.
pub(super) const OWNER: &str = "@optimize";
/// A rewrite has no epochs: each is an owner of its own.
const EPOCH: UploadEpoch = UploadEpoch { incarnation: Uuid::nil(), epoch: 0, claim: None };

/// What to rewrite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptimizeOptions {
    /// About how large a file should be, in bytes. Files smaller than three quarters of it are rewritten if two of them fit into one.
    pub target_bytes: u64,
    /// Only reports what would be done.
    pub dry_run: bool,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Optimized {
    /// The version that the table got by it; none if there was nothing to do.
    pub version: Option<u64>,
    /// Files that were there.
    pub files_removed: u64,
    /// Files that they became.
    pub files_added: u64,
    /// The size of the files that were there, in bytes.
    pub bytes_removed: u64,
    /// The size of the files that they became, in bytes; 0 where it is not known yet.
    pub bytes_added: u64,
    /// Rows that were moved.
    pub rows: u64,
    /// How often it started over because another writer removed the same files.
    pub conflicts: u32,
}

/// Rewrites the small files of a table. Safe alongside other writers and readers: the rows of every
/// version stay as they are, and the files that were there stay until a vacuum.
///
/// # Errors
/// Environment: there is no table, it requires more of its writers than Wasmill supports, it can't
/// be read or written, or other writers were faster in every attempt.
pub fn optimize(table: &TableAddress, options: &OptimizeOptions) -> Result<Optimized> {
    let place = table.place(RetryTime::RUN)?;
    let log = TableLog::new(place.clone())?;
    for conflicts in 0..TRIES {
        let Some(state) = log.open(None)? else { return Err(table.no_table()) };
        state.check_writable(WriteMode::Append)?;
        let work = Work::plan(&log, &place, state, options.target_bytes)?;
        let done = Optimized { conflicts, ..work.planned() };
        if options.dry_run || work.bins.is_empty() {
            return Ok(done);
        }
        let written = work.run(done);
        match written {
            Ok(Some(done)) => return Ok(done),
            Ok(None) => work.clean_up()?,
            Err(error) => {
                // What stays is in no version; the error counts for more.
                let _ = work.clean_up();
                return Err(error);
            }
        }
    }
    Err(Error::environment(format!("other writers removed the same files {TRIES} times in a row: nothing was rewritten"))
        .code(CONFLICT)
        .hint("run it again when the table is less busy"))
}

/// One try.
struct Work<'a> {
    log: &'a TableLog,
    state: TableState,
    schema: TableSchema,
    /// The table's columns that data files hold.
    table: Arc<TableRows>,
    bins: Vec<Bin>,
    staging: Staging,
    owner: String,
    target_bytes: u64,
}

/// How an attempt to commit ended.
enum Commit {
    Done(u64),
    /// Another writer removed a file or changed the table.
    Conflict,
}

impl<'a> Work<'a> {
    fn plan(log: &'a TableLog, place: &Place, state: TableState, target_bytes: u64) -> Result<Self> {
        let schema = TableSchema::read(&state.metadata.schema_string, &state.metadata.partition_columns)?;
        // Partition values are in the log and not in the files.
        let names: Vec<String> = schema.file_schema().fields().iter().map(|field| field.name().clone()).collect();
        let table = Arc::new(TableRows::open(log, Some(state.version), Some(&names))?);
        let bins = bins(table.files()?, &schema.partition_by, target_bytes);
        let owner = Uuid::new_v4().to_string();
        let staging = Staging::new(place, OWNER, &owner);
        Ok(Self { log, state, schema, table, bins, staging, owner, target_bytes })
    }

    fn planned(&self) -> Optimized {
        let files = || self.bins.iter().flat_map(|bin| &bin.files);
        Optimized {
            files_removed: files().count() as u64,
            files_added: self.bins.len() as u64,
            bytes_removed: files().map(|file| file.size()).sum(),
            rows: files().filter_map(|file| file.rows()).sum(),
            ..Optimized::default()
        }
    }

    /// Writes the new files and commits them; none if another writer was in the way.
    fn run(&self, planned: Optimized) -> Result<Option<Optimized>> {
        let mut files = self.write()?;
        let done =
            Optimized { bytes_added: files.iter().map(|file| file.size).sum(), rows: files.iter().map(|file| file.rows).sum(), ..planned };
        self.staging.settle(&mut files)?;
        failpoint::hit("delta-optimize-written");
        match self.commit(&files, &done)? {
            Commit::Done(version) => {
                self.checkpoint(version);
                let _ = self.clean_up();
                Ok(Some(Optimized { version: Some(version), ..done }))
            }
            Commit::Conflict => self.staging.withdraw(&files).map(|()| None),
        }
    }

    /// Writes the rows of each bin into one file.
    fn write(&self) -> Result<Vec<DataFile>> {
        let file_schema = self.schema.file_schema();
        let partitioner = Partitioner::new(&self.schema.arrow, &self.schema.partition_by, Limits::NONE)?;
        let indexed = Properties::of(&self.state).indexed;
        let mut written = Vec::with_capacity(self.bins.len());
        for bin in &self.bins {
            let name = format!("part-optimize-{}{}.parquet", self.staging.mark(), Uuid::new_v4());
            let (folder, partition_values) = (partitioner.folder(&bin.key), partitioner.values(&bin.key));
            let destination = Destination { epoch: EPOCH, name, folder, partition_values };
            let how = (writer_properties(DeltaCompression::default()), indexed.clone());
            let mut out = OpenFile::create(&self.staging, destination, Arc::clone(&file_schema), how)?;
            let mut rows = 0;
            for file in &bin.files {
                let (mut source, before) = (self.table.open_file(file)?, rows);
                while let Some(chunk) = source.next_chunk()? {
                    let records = chunk.kept()?;
                    rows += records.num_rows() as u64;
                    let records = RecordBatch::try_new(Arc::clone(&file_schema), records.columns().to_vec());
                    out.write(&records.map_err(|error| Error::bug(format!("rows do not fit their own table: {error}")))?)?;
                }
                if file.rows().is_some_and(|reported| reported != rows - before) {
                    let (read, path) = (rows - before, file.path());
                    return Err(Error::environment(format!("{path} has {read} rows, and the table's log records another number"))
                        .code(DAMAGED)
                        .hint("the file or the log is damaged; nothing was changed"));
                }
            }
            let FinishedFile { file, upload } = out.finish()?;
            self.staging.keep(upload.into_iter().collect());
            if file.rows != rows {
                return Err(Error::bug(format!("{rows} rows were read and {} written", file.rows)));
            }
            written.push(file);
        }
        Ok(written)
    }

    fn commit(&self, files: &[DataFile], done: &Optimized) -> Result<Commit> {
        let sources: BTreeSet<&str> = self.bins.iter().flat_map(|bin| &bin.files).map(|file| file.path()).collect();
        let entry = self.entry(files, done);
        let (mut version, mut published) = (self.state.version + 1, false);
        for attempt in 0..ATTEMPTS {
            wait_before(attempt);
            while let Some(other) = self.log.entry(version)? {
                // An attempt whose response was lost.
                if other == entry {
                    return Ok(Commit::Done(version));
                }
                if is_in_the_way(version, &other, &sources)? {
                    // What is published is withdrawn by the caller.
                    return Ok(Commit::Conflict);
                }
                version += 1;
            }
            if !published {
                self.staging.publish(files)?;
                published = true;
            }
            failpoint::hit("delta-optimize-before-log");
            match self.log.put(version, &entry, &format!("{}/{}", owner_name(OWNER, &self.owner), Uuid::new_v4())) {
                Ok(Put::Done) => return Ok(Commit::Done(version)),
                Ok(Put::Taken) => {}
                Err(error) if attempt > 0 => return Err(error),
                Err(error) => tracing::warn!(%error, "it is not known whether the table has its new version; checking again"),
            }
        }
        Err(Error::environment(format!("other writers were quicker {ATTEMPTS} times in a row: nothing was rewritten"))
            .code(CONFLICT)
            .hint("the new files are in no version, and a vacuum removes them; run it again when the table is less busy"))
    }

    fn entry(&self, files: &[DataFile], done: &Optimized) -> String {
        let metrics = json!({
            "numRemovedFiles": done.files_removed.to_string(), "numRemovedBytes": done.bytes_removed.to_string(),
            "numAddedFiles": files.len().to_string(), "numAddedBytes": done.bytes_added.to_string(),
        });
        let info = json!({ "commitInfo": {
            "timestamp": now_millis(), "operation": "OPTIMIZE",
            "operationParameters": { "predicate": "[]", "targetSize": self.target_bytes.to_string() },
            "operationMetrics": metrics, "readVersion": self.state.version, "isBlindAppend": false,
            // Makes each entry unique: this identifies an attempt whose response was lost.
            "txnId": Uuid::new_v4(),
            "engineInfo": concat!("wasmill/", env!("CARGO_PKG_VERSION")),
        } });
        let now = now_millis();
        let removes = self.bins.iter().flat_map(|bin| &bin.files).map(|file| file.removal(&self.schema.partition_by, now, false));
        let lines = std::iter::once(info).chain(removes).chain(files.iter().map(|file| add_action(file, false)));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// Removes what this try has staged and not published.
    fn clean_up(&self) -> Result<()> {
        let UploadEpoch { incarnation, epoch, .. } = EPOCH;
        let claim = Token { pipeline: OWNER.to_owned(), sink: self.owner.clone(), incarnation, epoch, previous: 0 };
        self.staging.clear(&claim)
    }

    /// Sinks write a checkpoint with their own versions only. Best effort: the table is whole without it.
    fn checkpoint(&self, version: u64) {
        if version.is_multiple_of(Properties::of(&self.state).checkpoint_every(CHECKPOINT_EVERY))
            && let Err(error) = self.log.checkpoint(version, None)
        {
            tracing::warn!(version, %error, "the log of the Delta table was not checkpointed");
        }
    }
}

/// Whether a version of another writer removes one of the files, or changes what the table is.
fn is_in_the_way(version: u64, entry: &str, sources: &BTreeSet<&str>) -> Result<bool> {
    let lines = actions::read(version, entry)?;
    Ok(lines.iter().any(|line| {
        line.meta_data.is_some() || line.protocol.is_some() || line.remove.as_ref().is_some_and(|file| sources.contains(file.path.as_str()))
    }))
}

fn wait_before(attempt: u32) {
    if attempt > 0 {
        let uneven = Uuid::new_v4().as_u128() as u64 % 25;
        std::thread::sleep(Duration::from_millis((u64::from(attempt * attempt) * 2 + uneven).min(1_000)));
    }
}
