//! What an upsert changes in a table.
//!
//! The epoch's rows lie in the files of its prepared commit, which are at their place when this begins. Which files of the table hold a
//! row of the same key is found in the very version on which the commit builds: another version may have others. Those files are
//! rewritten without the rows that are replaced. Files that end up in no version are left to a vacuum.

mod epoch;
mod keys;
mod ranges;
mod rewrite;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use wasmill_engine::{Error, Result, Token, failpoint};
use wasmill_lake::{Key, Limits, Partitioner};

use self::epoch::EpochRows;
pub(crate) use self::keys::KeyBytes;
use self::rewrite::{Rewriter, Target, kept, publish};
use crate::changes::{Changes, Merged};
use crate::config::DeltaCompression;
use crate::data_file::now_millis;
use crate::log::TableLog;
use crate::prepared::{DataFile, Prepared};
use crate::properties::{Indexed, Properties};
use crate::row_set::RowSet;
use crate::rows::{TableFile, TableRows};
use crate::schema::TableSchema;
use crate::staging::Staging;
use crate::state::{Metadata, TableState};

/// One commit, for as many attempts as it takes.
pub(crate) struct Upsert<'a> {
    prepared: &'a Prepared,
    rewriter: Rewriter<'a>,
    /// Read once: no other writer changes them.
    epoch: Option<EpochRows>,
    fates: Fates,
}

/// What becomes of files that may hold a key of the epoch, by their ids. A file never changes, so an attempt uses what earlier ones
/// have found and written.
#[derive(Default)]
struct Fates {
    /// The columns and properties of the table for which files were rewritten.
    written_for: Option<Metadata>,
    known: HashMap<String, Fate>,
}

/// What becomes of a file.
enum Fate {
    /// It holds no key of the epoch.
    Stays,
    /// It is removed, and its other rows, if there are any, are in a new file.
    Replaced { by: Option<Box<DataFile>>, rows: u64 },
}

impl<'a> Upsert<'a> {
    /// Reads and writes nothing yet.
    pub(crate) fn new(token: &'a Token, prepared: &'a Prepared, compression: DeltaCompression) -> Self {
        Self { prepared, rewriter: Rewriter::new(token, compression), epoch: None, fates: Fates::default() }
    }

    /// What the commit changes in this version of the table. All files that are added are at their place.
    pub(crate) fn changes(&mut self, log: &TableLog, staging: &Staging, state: Option<&TableState>) -> Result<Changes<'static>> {
        let indexed = state.map(Properties::of).unwrap_or_default().indexed;
        let epoch = match self.epoch.take() {
            Some(epoch) => epoch,
            None => EpochRows::read(log, staging, &self.rewriter, self.prepared, &indexed)?,
        };
        let mut changes = Changes { removed: Vec::new(), added: Cow::Owned(epoch.files.clone()), merged: None };
        let mut replaced = 0;
        if let Some(state) = state {
            let now = now_millis();
            for file in self.settle_fates(log, staging, state, &epoch)? {
                if let Some(Fate::Replaced { by, rows }) = self.fates.known.get(&file.id()) {
                    changes.removed.push(file.removal(&state.metadata.partition_columns, now, true));
                    changes.added.to_mut().extend(by.as_deref().cloned());
                    replaced += rows;
                }
            }
        }
        failpoint::hit("delta-upsert-rewritten");
        changes.merged = Some(Merged { source: epoch.source, written: epoch.written, replaced });
        self.epoch = Some(epoch);
        Ok(changes)
    }

    /// Removes the files of the prepared commit that the commit left out. Best effort: what stays is in no version.
    pub(crate) fn clean_up(&self, staging: &Staging) {
        let Some(epoch) = self.epoch.as_ref().filter(|epoch| !epoch.left_out.is_empty()) else { return };
        if let Err(error) = staging.withdraw(&epoch.left_out) {
            tracing::warn!(%error, "files that are in no version of the Delta table were not removed; a vacuum removes them");
        }
    }

    /// Finds the files of a version that may hold a key, and what becomes of each.
    fn settle_fates(&mut self, log: &TableLog, staging: &Staging, state: &TableState, epoch: &EpochRows) -> Result<Vec<TableFile>> {
        let schema = TableSchema::read(&state.metadata.schema_string, &state.metadata.partition_columns)?;
        if self.prepared.key.iter().any(|column| schema.delta.field(column).is_none()) {
            // A column that the table does not have yet is null in its rows, and no key is null.
            return Ok(Vec::new());
        }
        self.fates.keep_for(&state.metadata);
        let columns = key_columns(&schema, &self.prepared.key);
        let snapshot = log.snapshot(Some(state.version))?;
        let keys = Arc::new(TableRows::of(log, Arc::clone(&snapshot), Some(&columns))?);
        let candidates = keys.files_where(|file, stats| epoch.ranges.may_hold(file.partition_values(), stats))?;
        let mut whole: Option<WholeFiles> = None;
        let (mut written, mut sources) = (Vec::new(), Vec::new());
        for file in &candidates {
            if self.fates.known.contains_key(&file.id()) {
                continue;
            }
            let gone = replaced_rows(&keys, file, epoch, self.prepared.key.len())?;
            if gone.is_empty() {
                self.fates.known.insert(file.id(), Fate::Stays);
                continue;
            }
            let files = match whole.take() {
                Some(files) => files,
                None => {
                    WholeFiles::open(TableRows::of(log, Arc::clone(&snapshot), Some(&file_columns(&schema)))?, state, &schema, &candidates)?
                }
            };
            let by = whole.insert(files).rewrite(file, &gone, staging, &self.rewriter)?;
            sources.push((file.id(), gone.len(), by.is_some()));
            written.extend(by);
        }
        if !written.is_empty() {
            failpoint::hit("delta-upsert-written");
        }
        publish(staging, &mut written)?;
        let mut written = written.into_iter().map(Box::new);
        for (id, rows, is_left) in sources {
            let by = if is_left { written.next() } else { None };
            self.fates.known.insert(id, Fate::Replaced { by, rows });
        }
        Ok(candidates)
    }
}

impl Fates {
    /// Forgets rewritten files if the table has other columns or properties than they were written for.
    fn keep_for(&mut self, metadata: &Metadata) {
        if self.written_for.as_ref() != Some(metadata) {
            self.known.clear();
            self.written_for = Some(metadata.clone());
        }
    }
}

/// The columns of the key, and one that data files hold if none of these does: it counts the rows.
fn key_columns(schema: &TableSchema, key: &[String]) -> Vec<String> {
    let mut columns = key.to_vec();
    if columns.iter().all(|column| schema.partition_by.contains(column)) {
        columns.extend(schema.file_schema().fields().first().map(|field| field.name().clone()));
    }
    columns
}

/// The columns that data files hold.
fn file_columns(schema: &TableSchema) -> Vec<String> {
    schema.file_schema().fields().iter().map(|field| field.name().clone()).collect()
}

/// The rows of a file that the epoch replaces.
fn replaced_rows(table: &Arc<TableRows>, file: &TableFile, epoch: &EpochRows, key_columns: usize) -> Result<RowSet> {
    let (mut rows, mut gone) = (table.open_file(file)?, RowSet::default());
    while let Some(chunk) = rows.next_chunk()? {
        let found = epoch.keys.have(&chunk.records.columns()[..key_columns])?;
        for (row, _) in found.iter().enumerate().filter(|(_, found)| **found) {
            if chunk.keep.as_ref().is_none_or(|keep| keep.binary_search(&(row as u32)).is_ok()) {
                gone.insert(row_number(chunk.first + row as u64, file)?);
            }
        }
    }
    Ok(gone)
}

fn row_number(row: u64, file: &TableFile) -> Result<u32> {
    u32::try_from(row).map_err(|_| Error::bug(format!("{} has more rows than can be counted", file.path())))
}

/// The files of a version with all columns that data files hold.
struct WholeFiles {
    table: Arc<TableRows>,
    files: HashMap<String, TableFile>,
    schema: TableSchema,
    partitioner: Partitioner,
    indexed: Indexed,
}

impl WholeFiles {
    /// Lists the files again for other columns: how the rows of a file become the table's depends on them.
    fn open(table: TableRows, state: &TableState, schema: &TableSchema, wanted: &[TableFile]) -> Result<Self> {
        let ids: HashSet<String> = wanted.iter().map(TableFile::id).collect();
        let files = table.files_where(|file, _| ids.contains(&file.id()))?;
        let files = files.into_iter().map(|file| (file.id(), file)).collect();
        let table = Arc::new(table);
        let partitioner = Partitioner::new(&schema.arrow, &schema.partition_by, Limits::NONE)?;
        Ok(Self { table, files, schema: schema.clone(), partitioner, indexed: Properties::of(state).indexed })
    }

    /// Writes the rows of a file that are not gone, in their order; none if none is left.
    fn rewrite(&self, file: &TableFile, gone: &RowSet, staging: &Staging, rewriter: &Rewriter<'_>) -> Result<Option<DataFile>> {
        let whole = self.files.get(&file.id()).ok_or_else(|| Error::bug(format!("{} is listed once and not again", file.path())))?;
        // An empty text is null to a Delta table.
        let value = |column: &String| file.partition_values().get(column).filter(|value| !value.is_empty()).cloned();
        let key: Key = self.schema.partition_by.iter().map(value).collect();
        let target = Target {
            schema: self.schema.file_schema(),
            folder: self.partitioner.folder(&key),
            partition_values: self.partitioner.values(&key),
            indexed: self.indexed.clone(),
        };
        let mut rows = self.table.open_file(whole)?;
        rewriter.write(staging, target, || {
            let Some(chunk) = rows.next_chunk()? else { return Ok(None) };
            let mut keep = vec![chunk.keep.is_none(); chunk.records.num_rows()];
            chunk.keep.iter().flatten().for_each(|row| keep[*row as usize] = true);
            for (row, keep) in keep.iter_mut().enumerate() {
                *keep &= !gone.contains(row_number(chunk.first + row as u64, whole)?);
            }
            kept(&chunk.records, keep).map(Some)
        })
    }
}
