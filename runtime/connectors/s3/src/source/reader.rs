//! Reads one object as a file is read. The lane that reads it fetches it at its first read.

use std::sync::Arc;

use serde_json::Value;
use wasmill_engine::{Read, Result, SplitId, SplitReader};

use super::ahead::Ahead;
use super::object::{Found, Position, place_of};
use wasmill_objects::Bucket;
use wasmill_reading::{ReadContext, RemoteStart, open_remote};

pub(super) struct ObjectReader {
    context: Arc<ReadContext>,
    ahead: Arc<Ahead>,
    id: SplitId,
    bucket: Arc<Bucket>,
    object: Found,
    position: Position,
    reader: Option<Box<dyn SplitReader>>,
}

impl ObjectReader {
    pub(super) fn new(
        context: &Arc<ReadContext>,
        ahead: &Arc<Ahead>,
        (id, bucket): (SplitId, Arc<Bucket>),
        position: Position,
    ) -> Result<Self> {
        let (name, key) = place_of(&id)?;
        let object = Found { bucket: name.to_owned(), key: key.to_owned(), size: position.size, etag: position.etag.clone() };
        Ok(Self { context: Arc::clone(context), ahead: Arc::clone(ahead), id, bucket, object, position, reader: None })
    }
}

impl SplitReader for ObjectReader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            closed => {
                let content = self.ahead.take(&self.id, &self.bucket, &self.object)?;
                let path = (*self.id).into();
                closed.insert(open_remote(
                    &self.context,
                    path,
                    content,
                    RemoteStart { offset: self.position.offset, ended: self.position.ended },
                )?)
            }
        };
        let read = reader.read(max_rows)?;
        let inner = reader.position();
        self.position.offset = inner["offset"].as_u64().unwrap_or(self.position.offset);
        self.position.ended = inner["ended"].as_bool().unwrap_or(false);
        Ok(read)
    }

    fn position(&self) -> Value {
        self.position.to_value()
    }
}
