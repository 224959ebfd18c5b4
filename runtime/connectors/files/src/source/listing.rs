//! Which files match.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use rustix::io::Errno;
use wasmill_engine::{Error, Result};

use crate::codes::{NO_MATCH, PATTERN};
use crate::config::FilesConfig;
use wasmill_formats::{Compression, Format};
use wasmill_reading::codes::UNREADABLE;

/// This many entries of a folder are scanned for a hint.
const HINT_ENTRIES: usize = 1_000;

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

/// The error of a path that matches no file.
pub fn no_match(pattern: &str) -> Error {
    let error = Error::configuration(format!("no file matches {pattern}")).code(NO_MATCH).key(["path"]);
    if Path::new(pattern).is_dir() {
        return error.hint(of_folder(pattern.trim_end_matches('/')));
    }
    match std::env::current_dir() {
        Ok(here) => error.hint(format!("paths are relative to {}; `allow_empty: true` lets a batch run without files", here.display())),
        Err(_) => error,
    }
}

/// What to write instead of a folder: a pattern for the files that are most frequent in it.
fn of_folder(folder: &str) -> String {
    if Path::new(folder).join("_delta_log").is_dir() {
        return format!("it is a Delta table: read it with `delta: {{ uri: {folder} }}`");
    }
    let mut extensions: BTreeMap<String, usize> = BTreeMap::new();
    let mut folders = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().take(HINT_ENTRIES) {
        let path = entry.path();
        match Format::of_path(&path) {
            _ if path.is_dir() => folders += 1,
            Some(format) => {
                *extensions.entry(format!("{}{}", format.extension(), Compression::of_path(&path).suffix())).or_default() += 1;
            }
            None => {}
        }
    }
    match extensions.into_iter().max_by_key(|(_, count)| *count) {
        Some((extension, _)) => format!("it is a folder: write {folder}/*.{extension}"),
        None if folders > 0 => format!("it is a folder of folders: write {folder}/**/* and the extension that you mean"),
        None => format!("it is a folder: write {folder}/* or the extension that you mean"),
    }
}

/// Adds the files that match; returns whether there was any.
fn matches(pattern: &str, files: &mut BTreeSet<PathBuf>) -> Result<bool> {
    // A name that looks like a pattern may still be a name.
    if Path::new(pattern).is_file() {
        files.insert(normal(Path::new(pattern)));
        return Ok(true);
    }
    let bad = |error: glob::PatternError| {
        Error::configuration(format!("path {pattern:?} is not a pattern: {}", error.msg)).code(PATTERN).key(["path"]).caused_by(error)
    };
    Pattern::new(pattern).map_err(bad)?;
    let parts = pattern.split('/').filter(|part| !part.is_empty()).map(Part::parse);
    let mut parts = parts.collect::<Result<Vec<_>, _>>().map_err(bad)?;
    parts.dedup_by(|part, before| matches!((part, before), (Part::Folders, Part::Folders)));
    let mut walk = Walk { files, any: false, above: Vec::new() };
    walk.folder(if pattern.starts_with('/') { Path::new("/") } else { Path::new("") }, &parts)?;
    Ok(walk.any)
}

/// Without `./`, so that a split has one name however its path was written.
fn normal(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

/// A part of a pattern between slashes.
enum Part {
    Name(String),
    Pattern(Pattern),
    /// `**`: any folders, none too.
    Folders,
}

impl Part {
    fn parse(part: &str) -> Result<Self, glob::PatternError> {
        Ok(match part {
            "**" => Self::Folders,
            _ if part.contains(['*', '?', '[']) => Self::Pattern(Pattern::new(part)?),
            _ => Self::Name(part.to_owned()),
        })
    }
}

/// Walks folders for files whose names match. Names need not be UTF-8: what is not matches as U+FFFD, so by wildcards alone.
struct Walk<'a> {
    files: &'a mut BTreeSet<PathBuf>,
    any: bool,
    /// The folders that lead here, by device and inode: a link to one of them is not followed.
    above: Vec<(u64, u64)>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, parts: &[Part]) -> Result<()> {
        match parts {
            [] | [Part::Folders] => Ok(()),
            [Part::Name(name), rest @ ..] => self.entry(&folder.join(name), rest),
            [Part::Pattern(pattern), rest @ ..] => {
                for path in entries(folder)? {
                    if path.file_name().is_some_and(|name| fits(pattern, name)) {
                        self.entry(&path, rest)?;
                    }
                }
                Ok(())
            }
            [Part::Folders, rest @ ..] => {
                let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                let Some(metadata) = metadata(place)?.filter(Metadata::is_dir) else { return Ok(()) };
                let here = (metadata.dev(), metadata.ino());
                if self.above.contains(&here) {
                    return Ok(());
                }
                self.above.push(here);
                self.folder(folder, rest)?;
                for path in entries(folder)? {
                    if path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b".")) {
                        self.folder(&path, parts)?;
                    }
                }
                self.above.pop();
                Ok(())
            }
        }
    }

    /// A file or folder whose name matched, with the remaining parts.
    fn entry(&mut self, path: &Path, rest: &[Part]) -> Result<()> {
        if !rest.is_empty() {
            return self.folder(path, rest);
        }
        if metadata(path)?.is_some_and(|metadata| metadata.is_file()) {
            self.any = true;
            self.files.insert(normal(path));
        }
        Ok(())
    }
}

fn fits(pattern: &Pattern, name: &OsStr) -> bool {
    let options = MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    pattern.matches_with(&name.to_string_lossy(), options)
}

fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The entries of a folder; empty if it is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io(format_args!("list {}", folder.display()), error).or_code(UNREADABLE);
    let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = match std::fs::read_dir(place) {
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    entries.map(|entry| entry.map(|entry| folder.join(entry.file_name())).map_err(failed)).collect()
}

/// What a path leads to, if anything.
fn metadata(path: &Path) -> Result<Option<Metadata>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        // A link that leads nowhere, or in a circle.
        Err(error) if is_gone(&error) || Errno::from_io_error(&error) == Some(Errno::LOOP) => Ok(None),
        Err(error) => Err(Error::io(format_args!("read the metadata of {}", path.display()), error).or_code(UNREADABLE)),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn patterns_match_within_folders_and_across_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for path in ["a.csv", "b.csv", ".c.csv", "x/a.csv", "x/y/z/a.csv", "x/.h/a.csv", "[1].csv"] {
            std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            std::fs::write(at(path), "").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), at("x/loop")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("dangling.csv")).unwrap();
        std::fs::write(folder.path().join(OsString::from_vec(b"\xe4.csv".to_vec())), "").unwrap();
        let list = |pattern: &str| {
            let config = FilesConfig::of_path(at(pattern).to_str().unwrap());
            let found = list(&config, false).unwrap();
            found.into_iter().map(|path| path.strip_prefix(folder.path()).unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(list("*.csv"), ["[1].csv", "a.csv", "b.csv", "\u{fffd}.csv"]);
        assert_eq!(list("?.csv"), ["a.csv", "b.csv", "\u{fffd}.csv"]);
        assert_eq!(list("[1].csv"), ["[1].csv"], "a name before a pattern");
        assert_eq!(list(".*.csv"), [".c.csv"]);
        assert_eq!(list("x/*/../a.csv"), ["x/y/../a.csv"]);
        assert_eq!(list("x/**/*.csv"), ["x/a.csv", "x/loop/[1].csv", "x/loop/a.csv", "x/loop/b.csv", "x/loop/\u{fffd}.csv", "x/y/z/a.csv"]);
        assert_eq!(list("x/**"), Vec::<String>::new());
        assert_eq!(list("a.csv/*"), Vec::<String>::new());
        assert_eq!(list("none/*"), Vec::<String>::new());
    }

    #[test]
    fn a_folder_is_met_with_what_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let spark = folder.path().join("pins.parquet");
        std::fs::create_dir_all(&spark).unwrap();
        std::fs::write(spark.join("_SUCCESS"), "").unwrap();
        std::fs::write(spark.join("part-0.snappy.parquet"), "").unwrap();
        let hint = |path: &Path| no_match(path.to_str().unwrap()).hint_text().unwrap().to_owned();
        assert!(hint(&spark).ends_with("pins.parquet/*.parquet"), "{}", hint(&spark));
        assert!(hint(folder.path()).contains("/**/*"), "{}", hint(folder.path()));
        std::fs::create_dir(spark.join("_delta_log")).unwrap();
        assert!(hint(&spark).contains("delta: { uri:"), "{}", hint(&spark));
    }
}
