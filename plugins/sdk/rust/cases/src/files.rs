//! The case files of a folder.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::case::Case;
use crate::node::{Mistake, Node};
use crate::yaml;

/// The largest case file that is read.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Why cases could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CasesError {
    /// A folder or file can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// The error underneath.
        source: std::io::Error,
    },
    /// The folder has no case file.
    #[error("{} holds no cases: write them into files that end in .yaml or .jsonl", folder.display())]
    None {
        /// The folder.
        folder: PathBuf,
    },
    /// A file is not a case file.
    #[error("{}:{line}: {message}", path.display())]
    Mistake {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
}

/// Reads all cases of a folder's `.yaml`, `.yml` and `.jsonl` files, in the order of their names.
///
/// # Errors
/// The folder or a file can't be read, a file has a mistake, or there is no case at all.
pub fn read_cases(folder: &Path) -> Result<Vec<Case>, CasesError> {
    let unreadable = |source| CasesError::Unreadable { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        cases.extend(read_file(&path)?);
    }
    if cases.is_empty() {
        return Err(CasesError::None { folder: folder.to_owned() });
    }
    Ok(cases)
}

fn read_file(path: &Path) -> Result<Vec<Case>, CasesError> {
    let unreadable = |source| CasesError::Unreadable { path: path.to_owned(), source };
    let mistake = |Mistake { line, message }| CasesError::Mistake { path: path.to_owned(), line, message };
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(mistake(Mistake::new(1, format!("the file has more than {} MiB", MAX_FILE_BYTES >> 20))));
    }
    let is_lines = path.extension().is_some_and(|extension| extension == "jsonl");
    let documents = if is_lines { json_lines(&text) } else { yaml::documents(&text) }.map_err(mistake)?;
    documents.iter().map(|document| Case::read(path.to_owned(), document).map_err(mistake)).collect()
}

fn json_lines(text: &str) -> Result<Vec<Node>, Mistake> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| match serde_json::from_str(line) {
            Ok(value) => Ok(Node::of_json(index + 1, value)),
            Err(error) => Err(Mistake::new(index + 1, format!("not JSON: {error}"))),
        })
        .collect()
}
