//! Reads all row groups of a Parquet file, one after the other.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use wasmill_engine::{Error, Read, Result, SplitReader};

use super::{GroupReader, group_rows};
use crate::ReadContext;
use crate::codes::UNREADABLE;
use crate::content::Content;
use crate::identity::Position;

/// Its position is a row number in the whole file.
pub struct WholeReader {
    context: Arc<ReadContext>,
    path: PathBuf,
    content: Content,
    /// The rows of each group.
    groups: Vec<u64>,
    /// The group that is read, and its first row.
    group: usize,
    first: u64,
    reader: Option<GroupReader>,
    position: Position,
}

impl WholeReader {
    /// Opens a file at a row.
    ///
    /// # Errors
    /// Environment: the file is not Parquet.
    pub fn open(context: &Arc<ReadContext>, path: PathBuf, content: Content, position: Position) -> Result<Self> {
        let groups = group_rows(&content, &path)?;
        let (mut group, mut first) = (0, 0);
        while groups.get(group).is_some_and(|rows| first + rows <= position.offset) {
            first += groups[group];
            group += 1;
        }
        Ok(Self { context: Arc::clone(context), path, content, groups, group, first, reader: None, position })
    }

    fn open_group(&self) -> Result<GroupReader> {
        let content =
            self.content.try_clone().map_err(|error| Error::io(format_args!("read {}", self.path.display()), error).or_code(UNREADABLE))?;
        let position = Position { offset: self.position.offset - self.first, ..self.position.clone() };
        GroupReader::open(&self.context, &self.path, content, self.group as u64, position)
    }
}

impl SplitReader for WholeReader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        while self.group < self.groups.len() {
            let mut reader = match self.reader.take() {
                Some(reader) => reader,
                None => self.open_group()?,
            };
            match reader.read(max_rows)? {
                Read::End => {
                    self.first += self.groups[self.group];
                    self.position.offset = self.first;
                    self.group += 1;
                }
                read => {
                    self.position.offset = self.first + reader.row();
                    self.reader = Some(reader);
                    return Ok(read);
                }
            }
        }
        Ok(Read::End)
    }

    fn position(&self) -> Value {
        self.position.to_value()
    }
}
