//! The configuration of the source `files`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_connect::period;
use wasmill_engine::{Error, Result};
use wasmill_formats::{Compression, Format};
use wasmill_reading::{CsvConfig, OnBadFile, Paths, ReadOptions};

use crate::codes::NO_PATH;

/// `files: { path: "data/*.jsonl" }`
///
/// Reads files of JSON lines, JSON arrays, CSV or Parquet, plain or compressed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// `path: "data/pin/*.jsonl"`
    ///
    /// A path or a list of paths, relative to the working directory. `*` and `?` match within a
    /// folder's or a file's name, `**` any folders, `[a-z]` one character. Names that begin with a
    /// dot match only where the pattern has the dot.
    ///
    /// Folders named `column=value`, as Hive and Spark write them, add the column to records that
    /// lack it. `__HIVE_DEFAULT_PARTITION__` is a null, and escapes such as `%3A` are characters.
    pub path: Paths,
    /// `format: jsonl`
    ///
    /// `jsonl` (one object per line), `json` (one array of objects, or objects one after the other
    /// on any number of lines), `csv` or `parquet`. Default: by the file's extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// `compression: gzip`
    ///
    /// `none`, `gzip` or `zstd`. Default: by the file's extension: `.gz`, `.zst`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// `csv: { delimiter: ";" }`
    ///
    /// How CSV files are written.
    #[serde(default)]
    pub csv: CsvConfig,
    /// `follow: 1s`
    ///
    /// In stream mode, how often to poll for new files and new lines.
    ///
    /// A file is identified by its path. One that is renamed while it is followed, as rotated logs
    /// are, counts as a new file if `path` matches its new name, and its rows are read again.
    /// Another file under the old name stops the run. Follow files that have their final name from
    /// the start (`app-2026-01-31.jsonl`), or give rotated files names that `path` does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<String>,
    /// `allow_empty: true`
    ///
    /// In batch mode, a path that matches no file is an error unless this is set. A stream waits for files.
    #[serde(default)]
    pub allow_empty: bool,
    /// `max_record: 16MiB`
    ///
    /// A longer record is rejected and skipped without being held in memory; the dead letters keep its first 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub max_record: Option<bytesize::ByteSize>,
    /// `on_bad_file: set_aside`
    ///
    /// What to do with a file that is damaged, truncated or of another kind than its name: `stop`
    /// the run, or `set_aside`. With `set_aside` the rows before the damage are kept, the rest is
    /// not read, and the dead letters get one entry with code `bad-file` and the file's path. An
    /// empty file has no rows and is never damaged; a stream reads it once it has content.
    #[serde(default)]
    pub on_bad_file: OnBadFile,
}

impl FilesConfig {
    /// A configuration of one path and defaults.
    pub fn of_path(path: impl Into<String>) -> Self {
        Self { path: Paths::One(path.into()), ..Self::default() }
    }

    /// How the files are read.
    pub fn reading(&self) -> ReadOptions {
        ReadOptions {
            path: self.path.clone(),
            format: self.format,
            compression: self.compression,
            csv: self.csv.clone(),
            max_record: self.max_record,
            on_bad_file: self.on_bad_file,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.path.all().is_empty() {
            return Err(Error::configuration("`path` names no files").code(NO_PATH).key(["path"]));
        }
        self.reading().check()
    }

    pub(crate) fn follow_interval(&self) -> Result<Duration> {
        let second = Duration::from_secs(1);
        period::read("follow", self.follow.as_deref(), second, Duration::ZERO, 3600 * second)
    }
}
