//! Discovers which columns files have.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_schema::SchemaRef;
use wasmill_connect::codes::NO_COLUMNS;
use wasmill_connect::{Inferred, NothingToSample, Survey};
use wasmill_engine::{Error, Result};
use wasmill_reading::codes::UNREADABLE;
use wasmill_reading::{Content, infer_from, survey_of};

use super::listing;
use crate::config::FilesConfig;

/// At most this many files are surveyed: the first ones and the last ones, in the order of their
/// names.
const MAX_FILES: usize = 100;

/// The columns of the files of a configuration, without the rest of their sample.
///
/// # Errors
/// As [`infer`].
pub fn infer_schema(config: &FilesConfig) -> Result<SchemaRef> {
    infer(config).map(|inferred| inferred.schema)
}

/// The columns of the files of a configuration, as [`infer_from`] infers them.
///
/// # Errors
/// Configuration: no file matches, or no record can be read. Environment: a file can't be read.
pub fn infer(config: &FilesConfig) -> Result<Inferred> {
    config.check()?;
    let paths = listing::list(config, false)?;
    if let (true, Some(folder)) = (paths.is_empty(), config.path.all().iter().find(|path| Path::new(path).is_dir()))
        && let Some(hint) = listing::no_match(folder).hint_text()
    {
        let names = config.path.all().join(", ");
        return Err(Error::configuration(format!("the columns can't be inferred: no file matches {names}"))
            .code(NO_COLUMNS)
            .key(["path"])
            .hint(hint)
            .caused_by(NothingToSample));
    }
    infer_from(&config.reading(), paths.into_iter().map(open)).map_err(|error| error.below("path"))
}

/// Which columns files have, as far as a survey of some of them finds. `None`: there are no files,
/// or they are empty.
///
/// # Errors
/// Configuration: a bad pattern. Environment: a file can't be read.
pub fn survey(config: &FilesConfig) -> Result<Option<Survey>> {
    config.check()?;
    let mut paths = listing::list(config, false)?;
    let is_all = paths.len() <= MAX_FILES;
    if !is_all {
        let last = paths.split_off(paths.len() - MAX_FILES / 2);
        paths.truncate(MAX_FILES / 2);
        paths.extend(last);
    }
    survey_of(&config.reading(), paths.into_iter().map(open), is_all)
}

fn open(path: PathBuf) -> Result<(PathBuf, Content)> {
    match File::open(&path) {
        Ok(file) => Ok((path, Content::File(file))),
        Err(error) => Err(Error::io(format_args!("read {}", path.display()), error).or_code(UNREADABLE)),
    }
}
