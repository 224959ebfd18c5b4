//! Removes data files that are in no version which a reader may still use.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use percent_encoding::percent_decode_str;
use serde::Serialize;
use url::Url;
use wasmill_engine::{Error, Result};

use super::actions;
use super::optimize::OWNER;
use crate::address::TableAddress;
use crate::codes::{CONFLICT, DAMAGED, FEATURES, UNREADABLE, VACUUM_TOO_SHORT};
use crate::log::TableLog;
use crate::place::Place;
use crate::rows::TableRows;
use crate::staging::STAGING;
use crate::state::TableState;
use wasmill_connect::durable::{escape, remove_folder_of_files};
use wasmill_engine::codes::DISK;
use wasmill_objects::RetryTime;

/// The shortest time to keep without force: writers and readers may be under way for so long.
pub const LEAST_KEEP: Duration = Duration::from_secs(3600);

/// What to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VacuumOptions {
    /// Versions that were the latest at some moment within this time keep their files, and so does
    /// every file that was written within it.
    pub keep: Duration,
    /// Allows a time shorter than [`LEAST_KEEP`].
    pub force: bool,
    /// Only reports what would be removed.
    pub dry_run: bool,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Vacuumed {
    /// The oldest version whose files are all there.
    pub oldest_version: u64,
    /// The files, relative to the table, in order.
    pub files: Vec<String>,
    /// Their size in bytes.
    pub bytes: u64,
}

/// A file below a table.
struct Stored {
    /// Relative to the table, as the file system has it.
    path: String,
    size: u64,
    written: SystemTime,
}

/// Removes `.parquet` files that no version within the retention time needs. Never touches the log,
/// names that begin with `_` or `.` (where running pipelines keep what is not committed), uploads,
/// and files of other kinds.
///
/// # Errors
/// Configuration: the time is too short. Environment: there is no table, it has unsupported
/// features, or it can't be read.
pub fn vacuum(table: &TableAddress, options: &VacuumOptions) -> Result<Vacuumed> {
    if options.keep < LEAST_KEEP && !options.force {
        return Err(Error::configuration(format!("files of the last {} are to be removed", humantime::format_duration(LEAST_KEEP)))
            .code(VACUUM_TOO_SHORT)
            .hint("writers and readers may be using them: keep at least 1h, or force it where no program uses the table"));
    }
    let place = table.place(RetryTime::RUN)?;
    let log = TableLog::new(place.clone())?;
    let begun = SystemTime::now();
    let expiry = begun.checked_sub(options.keep).unwrap_or(SystemTime::UNIX_EPOCH);
    // Listed first: what is written from here on is not considered.
    let stored = list(&place)?;
    let Some(state) = log.open(None)? else { return Err(table.no_table()) };
    check_known(&state)?;
    let (oldest_version, needed) = needed(&log, expiry)?;
    let is_hidden = |path: &str| is_hidden(path, &state.metadata.partition_columns);
    let gone: Vec<Stored> = stored
        .into_iter()
        .filter(|file| file.written < expiry && file.path.ends_with(".parquet"))
        .filter(|file| !is_hidden(&file.path) && !needed.contains(&file.path))
        .collect();
    if !options.dry_run {
        remove(&place, &gone)?;
        remove_abandoned(&place, expiry)?;
    }
    let bytes = gone.iter().map(|file| file.size).sum();
    Ok(Vacuumed { oldest_version, files: gone.into_iter().map(|file| file.path).collect(), bytes })
}

/// The paths of the files of all versions that were the latest at or after a moment, and the oldest
/// of these versions.
fn needed(log: &TableLog, expiry: SystemTime) -> Result<(u64, BTreeSet<String>)> {
    let newest = log.snapshot(None)?.version();
    let versions = log.versions()?;
    // The latest one that is older than the moment was the table at that moment.
    let last_before = versions.iter().rposition(|(_, written)| *written < expiry).unwrap_or(0);
    let wanted = versions.get(last_before).map_or(newest, |(version, _)| *version);
    // The log may no longer reach back so far: then the oldest version that can be read.
    let oldest = TableRows::open(log, Some(wanted.max(log.oldest_version()?.unwrap_or(newest))), None)?;
    let root = log.root();
    let mut needed = BTreeSet::new();
    for file in oldest.files()? {
        needed.extend(relative(&root, file.path())?);
    }
    let mut version = oldest.version() + 1;
    while let Some(entry) = log.entry(version)? {
        for file in actions::read(version, &entry)?.into_iter().filter_map(|line| line.add) {
            needed.extend(relative(&root, &file.path)?);
        }
        version += 1;
    }
    if version <= newest {
        return Err(Error::environment(format!("version {version} of {} is gone while it is needed", log.shown())).code(CONFLICT));
    }
    Ok((oldest.version(), needed))
}

/// The path of a file in the log, relative to the table and not escaped. `None` if it lies
/// elsewhere.
fn relative(root: &Url, path: &str) -> Result<Option<String>> {
    let bad = || Error::environment(format!("the table's log names a file by an invalid address: {path}")).code(DAMAGED);
    let address = root.join(path).map_err(|_| bad())?;
    if address.scheme() != root.scheme() || address.host_str() != root.host_str() {
        return Ok(None);
    }
    let Some(escaped) = address.path().strip_prefix(root.path()) else { return Ok(None) };
    percent_decode_str(escaped).decode_utf8().map(|path| Some(path.into_owned())).map_err(|_| bad())
}

/// Whether a part of a path begins with `_` or `.`, unless it is the folder of a partition.
fn is_hidden(path: &str, partition_by: &[String]) -> bool {
    path.split('/').any(|part| {
        let of_partition = part.split_once('=').is_some_and(|(column, _)| partition_by.iter().any(|name| name == column));
        part.starts_with(['_', '.']) && !of_partition
    })
}

/// Fails if the table has features by which it may need files that this does not know.
fn check_known(state: &TableState) -> Result<()> {
    const KNOWN: [&str; 20] = [
        "allowColumnDefaults",
        "appendOnly",
        "changeDataFeed",
        "checkConstraints",
        "clustering",
        "columnMapping",
        "deletionVectors",
        "domainMetadata",
        "generatedColumns",
        "identityColumns",
        "inCommitTimestamp",
        "invariants",
        "materializePartitionColumns",
        "rowTracking",
        "timestampNtz",
        "typeWidening",
        "typeWidening-preview",
        "v2Checkpoint",
        "vacuumProtocolCheck",
        "variantType",
    ];
    let lists = ["readerFeatures", "writerFeatures"].into_iter().filter_map(|name| state.protocol.get(name)?.as_array());
    let unknown: BTreeSet<&str> = lists.flatten().filter_map(|name| name.as_str()).filter(|name| !KNOWN.contains(name)).collect();
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(Error::environment(format!(
            "the table has features that may need files which this vacuum does not know: {}",
            unknown.into_iter().collect::<Vec<_>>().join(", ")
        ))
        .code(FEATURES)
        .hint("vacuum it with the program that created it")),
    }
}

fn list(place: &Place) -> Result<Vec<Stored>> {
    let mut stored = Vec::new();
    match place {
        Place::Folder(table) => list_folder(table, "", &mut stored)?,
        Place::Bucket(bucket, uri) => {
            for object in bucket.list(&uri.key)? {
                if let Some(path) = object.key.strip_prefix(&uri.below("")) {
                    stored.push(Stored { path: path.to_owned(), size: object.size, written: object.modified });
                }
            }
        }
    }
    stored.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(stored)
}

fn list_folder(table: &Path, below: &str, stored: &mut Vec<Stored>) -> Result<()> {
    let folder = table.join(below);
    let failed = |error| Error::io(format_args!("list {}", folder.display()), error).or_code(UNREADABLE);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // A name that is not text does not belong to any known writer.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{below}{name}");
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other.map_err(failed)?,
        };
        if metadata.is_dir() {
            // The log and what is not committed are not even listed.
            if below.is_empty() && (name == "_delta_log" || name == STAGING) {
                continue;
            }
            list_folder(table, &format!("{path}/"), stored)?;
        } else if metadata.is_file() {
            stored.push(Stored { path, size: metadata.len(), written: metadata.modified().map_err(failed)? });
        }
    }
    Ok(())
}

fn remove(place: &Place, files: &[Stored]) -> Result<()> {
    match place {
        // Folders stay, also empty ones: a sink may be about to move a file into one.
        Place::Folder(table) => {
            for file in files {
                let path = table.join(&file.path);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    other => other.map_err(|error| Error::io(format_args!("remove {}", path.display()), error).or_code(DISK))?,
                }
            }
            Ok(())
        }
        Place::Bucket(bucket, uri) => bucket.remove(files.iter().map(|file| uri.below(&file.path))),
    }
}

/// Removes folders that rewrites left which were killed before a moment.
fn remove_abandoned(place: &Place, expiry: SystemTime) -> Result<()> {
    let Place::Folder(table) = place else { return Ok(()) };
    let Ok(entries) = fs::read_dir(table.join(STAGING)) else { return Ok(()) };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(&format!("{}.", escape(OWNER)));
        let old = entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|written| written < expiry);
        if ours && old {
            remove_folder_of_files(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_an_underscore_is_hidden_unless_it_is_a_partition() {
        let hidden = |path: &str| is_hidden(path, &["_day".to_owned()]);
        assert!(hidden("_wasmill/p.s/part.parquet") && hidden("a=1/.tmp/x.parquet") && hidden("_x.parquet") && hidden("_date=1/x.parquet"));
        assert!(!hidden("_day=1/x.parquet") && !hidden("a=_1/x.parquet") && !hidden("x.parquet"));
    }

    #[test]
    fn paths_of_a_log_are_compared_as_the_file_system_has_them() {
        let root = Url::parse("file:///tables/a%20b/").unwrap();
        let path = |path: &str| relative(&root, path).unwrap();
        assert_eq!(path("c=x%2520y/p.parquet").as_deref(), Some("c=x%20y/p.parquet"));
        assert_eq!(path("file:///tables/a%20b/p.parquet").as_deref(), Some("p.parquet"));
        assert_eq!(path("file:///tables/other/p.parquet"), None);
        assert_eq!(path("s3://bucket/tables/p.parquet"), None);
        assert_eq!(path("\u{fc}.parquet").as_deref(), Some("\u{fc}.parquet"));
    }
}
