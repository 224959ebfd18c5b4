//! Which files match.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use glob::MatchOptions;
use wasmill_engine::{Error, Result};

use super::config::FilesConfig;

/// The files that match, sorted, each once. `must_exist`: a path without a file is an error, unless the configuration allows it.
pub fn list(config: &FilesConfig, must_exist: bool) -> Result<Vec<PathBuf>> {
    let mut files = BTreeSet::new();
    for pattern in config.path.all() {
        let before = files.len();
        let matched = matches(pattern, &mut files)?;
        if must_exist && !config.allow_empty && !matched && files.len() == before {
            return Err(no_match(pattern));
        }
    }
    Ok(files.into_iter().collect())
}

fn no_match(pattern: &str) -> Error {
    let error = Error::configuration(format!("no file matches {pattern}"));
    if Path::new(pattern).is_dir() {
        return error.hint(format!("it is a folder: write {}/* or the extension that you mean", pattern.trim_end_matches('/')));
    }
    match std::env::current_dir() {
        Ok(here) => error.hint(format!("paths are relative to {}; `allow_empty: true` lets a batch run without files", here.display())),
        Err(_) => error,
    }
}

/// Adds the files that match; says whether there was any.
fn matches(pattern: &str, files: &mut BTreeSet<PathBuf>) -> Result<bool> {
    // A name that looks like a pattern may still be a name.
    if Path::new(pattern).is_file() {
        files.insert(normal(Path::new(pattern)));
        return Ok(true);
    }
    let options = MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let found = glob::glob_with(pattern, options)
        .map_err(|error| Error::configuration(format!("path {pattern:?} is not a pattern: {}", error.msg)).caused_by(error))?;
    let mut any = false;
    for path in found {
        let path = path.map_err(|error| Error::environment(format!("cannot look into {}: {}", error.path().display(), error.error())))?;
        if path.is_file() {
            any = true;
            files.insert(normal(&path));
        }
    }
    Ok(any)
}

/// Without `./`, so that a split has one name however its path was written.
fn normal(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}
