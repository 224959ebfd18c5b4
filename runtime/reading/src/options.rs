//! The options for reading files in a pipeline.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use super::frame::{Csv, CsvShape, Framer, LineEnds, Lines};
use crate::codes::{CSV_OPTIONS, FORMAT_UNKNOWN};
use wasmill_connect::codes::OUT_OF_RANGE;
use wasmill_formats::csv::CsvOptions;
use wasmill_formats::{Compression, Format};

/// How the files of a source are read, wherever they lie.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The paths or addresses that the configuration names: messages show them, and folders in them may name columns.
    pub path: Paths,
    /// The format of all files; `None` decides by each file's extension.
    pub format: Option<Format>,
    /// The compression of all files; `None` decides by each file's extension.
    pub compression: Option<Compression>,
    /// How CSV files are written.
    pub csv: CsvConfig,
    /// The longest record, by default 16 MiB.
    pub max_record: Option<bytesize::ByteSize>,
    /// What to do with a damaged file.
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
    /// The delimiter between fields: one ASCII character, or `"\t"`.
    pub delimiter: char,
    /// `quote: "\""`
    ///
    /// The quote around fields that hold delimiters, quotes (doubled) or line feeds: one ASCII
    /// character.
    pub quote: char,
    /// `header: true`
    ///
    /// Whether the first record names the columns. Without, they are `column_1`, `column_2` and so on.
    pub header: bool,
    /// `null: ["", "NA"]`
    ///
    /// The texts of fields that mean null, in all columns. Default: the empty text alone. A list replaces the default: without `""` in it, an
    /// empty field of a text column is the empty text, and in a column of numbers its record is rejected.
    ///
    /// In columns of text and binary, only fields without quotes are null; in all other columns, those within quotes are as well.
    ///
    /// Sampling infers the types of columns without these texts. `check` and `run` report a column
    /// that is text because of one text besides numbers or times, such as `NA`.
    pub null: Vec<String>,
    /// `splittable: false`
    ///
    /// Declares that no field holds a line feed. Then several lanes read one large plain file, an
    /// unclosed quote affects one line only, and growing files are followed. Lines end with line
    /// feeds.
    pub splittable: bool,
}

impl Default for CsvConfig {
    fn default() -> Self {
        Self { delimiter: ',', quote: '"', header: true, null: vec![String::new()], splittable: false }
    }
}

impl CsvConfig {
    pub(crate) fn options(&self) -> CsvOptions {
        CsvOptions { delimiter: self.delimiter as u8, quote: self.quote as u8, null: self.null.clone() }
    }
}

impl ReadOptions {
    /// The framer for records of this many fields, where the count is known.
    pub fn csv_framer(&self, ends: LineEnds, fields: usize) -> Box<dyn Framer> {
        let (delimiter, quote) = (self.csv.delimiter as u8, self.csv.quote as u8);
        match self.csv.splittable {
            true => Box::new(Lines::of_csv()),
            false => Box::new(Csv::new(CsvShape { delimiter, quote, ends, fields })),
        }
    }

    /// What is wrong with the values.
    ///
    /// # Errors
    /// Configuration: a delimiter or quote that can't be one, or a bound of records out of range.
    pub fn check(&self) -> Result<()> {
        for (name, character) in [("delimiter", self.csv.delimiter), ("quote", self.csv.quote)] {
            if !character.is_ascii() || matches!(character, '\n' | '\r' | '\0') {
                return Err(Error::configuration(format!("csv {name} {character:?} is not one ASCII character"))
                    .code(CSV_OPTIONS)
                    .key(["csv", name]));
            }
        }
        if self.csv.delimiter == self.csv.quote {
            return Err(Error::configuration("csv delimiter and quote are the same character").code(CSV_OPTIONS).key(["csv", "quote"]));
        }
        let bounds = 1 << 10..=1 << 30;
        if !bounds.contains(&self.max_record_bytes()) {
            return Err(Error::configuration("`max_record` must be between 1 KiB and 1 GiB").code(OUT_OF_RANGE).key(["max_record"]));
        }
        Ok(())
    }

    /// The longest record, in bytes.
    pub fn max_record_bytes(&self) -> usize {
        self.max_record.map_or(16 << 20, |size| usize::try_from(size.as_u64()).unwrap_or(usize::MAX))
    }

    /// The format of a file.
    ///
    /// # Errors
    /// Configuration: its name does not decide.
    pub fn format_of(&self, path: &Path) -> Result<Format> {
        self.format.or_else(|| Format::of_path(path)).ok_or_else(|| {
            Error::configuration(format!("the name of {} has no extension of a known format", path.display()))
                .code(FORMAT_UNKNOWN)
                .hint("set `format: jsonl`, `json`, `csv` or `parquet`")
        })
    }

    /// The compression of a file.
    pub fn compression_of(&self, path: &Path) -> Compression {
        self.compression.unwrap_or_else(|| Compression::of_path(path))
    }

    /// Whether a file is read by lines that any split of it can find. Then it may be split, and may
    /// grow.
    pub fn by_lines(&self, path: &Path) -> Result<bool> {
        let format = self.format_of(path)?;
        let lines = format == Format::Jsonl || (format == Format::Csv && self.csv.splittable);
        Ok(lines && self.compression_of(path) == Compression::None)
    }
}
