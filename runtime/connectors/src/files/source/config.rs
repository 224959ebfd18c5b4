//! The configuration of the source `files`.

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use super::frame::{Csv, CsvShape, Framer, LineEnds, Lines};
use wasmill_connect::period;
use wasmill_formats::csv::CsvOptions;
use wasmill_formats::{Compression, Format};

/// `files: { path: "data/*.jsonl" }`
///
/// Reads files of JSON lines, JSON arrays, CSV or Parquet, plain or compressed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// `path: "data/pin/*.jsonl"`
    ///
    /// A path or a list of paths, relative to the working directory. `*` and `?` match within a folder's or a file's name, `**` any
    /// folders, `[a-z]` one character. Names that begin with a dot match only where the pattern has the dot.
    ///
    /// Folders named `column=value`, as Hive and Spark write them, give the column to the records that lack it:
    /// `__HIVE_DEFAULT_PARTITION__` is a null, `%3A` and the like are characters.
    pub path: Paths,
    /// `format: jsonl`
    ///
    /// `jsonl` (one object a line), `json` (one array of objects, or objects one after the other on any number of lines), `csv` or
    /// `parquet`. By default told by a file's extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// `compression: gzip`
    ///
    /// `none`, `gzip` or `zstd`. By default told by a file's extension: `.gz`, `.zst`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// `csv: { delimiter: ";" }`
    ///
    /// How CSV files are written.
    #[serde(default)]
    pub csv: CsvConfig,
    /// `follow: 1s`
    ///
    /// In stream mode, how often to look for new files and new lines.
    ///
    /// A file is known by its path. One that is renamed while it is followed, as rotated logs are, counts as a new file if `path` matches
    /// its new name: its rows come again; and another file under the old name stops the run. Follow files that get their final name when
    /// they are created (`app-2026-01-31.jsonl`), or give rotated files names that `path` does not match.
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
    /// What to do with a file that is damaged, cut short or of another kind than its name says: `stop` the run, or `set_aside`: the rows
    /// before the damage are kept, the rest is not read, and the dead letters get one entry with code `bad-file` and the file's path. An
    /// empty file has no rows and is never damaged; a stream takes it up once it has content.
    #[serde(default)]
    pub on_bad_file: OnBadFile,
}

/// What to do with a damaged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBadFile {
    /// Stop the run.
    #[default]
    Stop,
    /// Note it in the dead letters and read the others.
    SetAside,
}

/// One path or several.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Paths {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Default for Paths {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Paths {
    /// The paths, in order.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Several(paths) => paths,
        }
    }
}

/// `csv: { delimiter: ";", null: ["", "NULL"] }`
///
/// How CSV files are written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CsvConfig {
    /// `delimiter: ","`
    ///
    /// What stands between fields: one ASCII character, or `"\t"`.
    pub delimiter: char,
    /// `quote: "\""`
    ///
    /// What stands around fields that hold delimiters, quotes (doubled) or line feeds: one ASCII character.
    pub quote: char,
    /// `header: true`
    ///
    /// Whether the first record names the columns. Without, they are `column_1`, `column_2` and so on.
    pub header: bool,
    /// `null: [""]`
    ///
    /// Fields that mean null when they stand without quotes; in columns other than text and binary also within quotes.
    pub null: Vec<String>,
    /// `splittable: false`
    ///
    /// Says that no field holds a line feed: large plain files are then read by several lanes at once, a quote left open
    /// costs one line only, and growing files are followed. Lines end with line feeds.
    pub splittable: bool,
}

impl Default for CsvConfig {
    fn default() -> Self {
        Self { delimiter: ',', quote: '"', header: true, null: vec![String::new()], splittable: false }
    }
}

impl CsvConfig {
    pub(super) fn options(&self) -> CsvOptions {
        CsvOptions { delimiter: self.delimiter as u8, quote: self.quote as u8, null: self.null.clone() }
    }
}

impl FilesConfig {
    /// What cuts records of that many fields, where that is known.
    pub(super) fn csv_framer(&self, ends: LineEnds, fields: usize) -> Box<dyn Framer> {
        let (delimiter, quote) = (self.csv.delimiter as u8, self.csv.quote as u8);
        match self.csv.splittable {
            true => Box::new(Lines::of_csv()),
            false => Box::new(Csv::new(CsvShape { delimiter, quote, ends, fields })),
        }
    }

    /// A configuration of one path and defaults.
    pub fn of_path(path: impl Into<String>) -> Self {
        Self { path: Paths::One(path.into()), ..Self::default() }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.path.all().is_empty() {
            return Err(Error::configuration("`path` names no files"));
        }
        for (name, character) in [("delimiter", self.csv.delimiter), ("quote", self.csv.quote)] {
            if !character.is_ascii() || matches!(character, '\n' | '\r' | '\0') {
                return Err(Error::configuration(format!("csv {name} {character:?} is not one ASCII character")));
            }
        }
        if self.csv.delimiter == self.csv.quote {
            return Err(Error::configuration("csv delimiter and quote are the same character"));
        }
        let bounds = 1 << 10..=1 << 30;
        if !bounds.contains(&self.max_record_bytes()) {
            return Err(Error::configuration("max_record must be between 1 KiB and 1 GiB"));
        }
        Ok(())
    }

    pub(super) fn follow_interval(&self) -> Result<Duration> {
        let second = Duration::from_secs(1);
        period::read("follow", self.follow.as_deref(), second, Duration::ZERO, 3600 * second)
    }

    pub(super) fn max_record_bytes(&self) -> usize {
        self.max_record.map_or(16 << 20, |size| usize::try_from(size.as_u64()).unwrap_or(usize::MAX))
    }

    /// The format of a file.
    ///
    /// # Errors
    /// Configuration: its name does not tell.
    pub fn format_of(&self, path: &Path) -> Result<Format> {
        self.format.or_else(|| Format::of_path(path)).ok_or_else(|| {
            Error::configuration(format!("the name of {} does not tell its format", path.display()))
                .hint("set `format: jsonl`, `json`, `csv` or `parquet`")
        })
    }

    /// The compression of a file.
    pub fn compression_of(&self, path: &Path) -> Compression {
        self.compression.unwrap_or_else(|| Compression::of_path(path))
    }

    /// Whether a file is read by lines that any split of it can find: then it may be split, and may grow.
    pub(super) fn by_lines(&self, path: &Path) -> Result<bool> {
        let format = self.format_of(path)?;
        let lines = format == Format::Jsonl || (format == Format::Csv && self.csv.splittable);
        Ok(lines && self.compression_of(path) == Compression::None)
    }
}
