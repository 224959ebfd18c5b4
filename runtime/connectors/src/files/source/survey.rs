//! Which columns files have, for what a pipeline asks of them.

use std::fs::File;
use std::path::PathBuf;

use wasmill_engine::{Error, Result};

use super::config::FilesConfig;
use super::content::Content;
use super::infer::Sample;
use super::reader::{header, parquet};
use super::{folders, listing};
use wasmill_formats::Format;

/// At most so many files are looked at: the first ones and the last ones, in the order of their names.
const MOST_FILES: usize = 100;

/// What a look at some files found.
#[derive(Debug, Default)]
pub struct Survey {
    /// The names of all columns that were seen, those of folders included.
    pub columns: Vec<String>,
    /// No other column can come up: every file says which ones it has, and all of them were looked at.
    pub is_complete: bool,
    /// How many records of files that say nothing themselves were looked at.
    pub records: usize,
    /// A column of those records that holds arrays of objects: perhaps these are the records that are meant.
    pub wrapped: Option<String>,
    /// A file whose header names a column twice, and that column.
    pub doubled: Option<(PathBuf, String)>,
}

impl Survey {
    fn add(&mut self, names: impl IntoIterator<Item = String>) {
        for name in names {
            if !self.columns.contains(&name) {
                self.columns.push(name);
            }
        }
    }
}

/// Looks at the headers of CSV, the footers of Parquet, and the first records of JSON. `None`: there are no files, or nothing is in them.
///
/// # Errors
/// Configuration: a bad pattern. Environment: a file can't be read.
pub fn survey(config: &FilesConfig) -> Result<Option<Survey>> {
    config.check()?;
    let mut paths = listing::list(config, false)?;
    let is_all = paths.len() <= MOST_FILES;
    if !is_all {
        let last = paths.split_off(paths.len() - MOST_FILES / 2);
        paths.truncate(MOST_FILES / 2);
        paths.extend(last);
    }
    let open = |path: PathBuf| match File::open(&path) {
        Ok(file) => Ok((path, Content::File(file))),
        Err(error) => Err(Error::io(format_args!("read {}", path.display()), error)),
    };
    survey_of(config, paths.into_iter().map(open), is_all)
}

/// The same of what is given. `is_all`: there is nothing else.
pub(crate) fn survey_of(
    config: &FilesConfig,
    files: impl Iterator<Item = Result<(PathBuf, Content)>>,
    is_all: bool,
) -> Result<Option<Survey>> {
    let mut survey = Survey { is_complete: is_all, ..Survey::default() };
    let mut sample = Sample::default();
    for file in files {
        let (path, content) = file?;
        if parquet::length(&content) == 0 {
            continue;
        }
        survey.add(folders::columns_of(&path).into_iter().map(|(name, _)| name));
        match config.format_of(&path)? {
            Format::Parquet => survey.add(parquet::schema(&content, &path)?.fields().iter().map(|field| field.name().clone())),
            Format::Csv => {
                let names = header::read(config, &path, &content)?.names;
                let doubled = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name));
                if let (None, Some((_, name))) = (&survey.doubled, doubled) {
                    survey.doubled = Some((path, name.clone()));
                }
                survey.add(names);
            }
            _ if sample.is_full() => {}
            format => {
                survey.is_complete = false;
                sample.take(config, format, &path, content)?;
            }
        }
    }
    survey.records = sample.records();
    survey.wrapped = sample.wrapped().map(str::to_owned);
    survey.add(sample.names().map(str::to_owned));
    Ok((!survey.columns.is_empty()).then_some(survey))
}
