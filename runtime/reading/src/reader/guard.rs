//! Skips a damaged file: a reader around the one that meets the damage.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::RecordBatch;
use bytes::Bytes;
use serde_json::Value;
use wasmill_engine::{Error, OriginalRecord, Payload, Read, Result, SourceBatch, SplitReader};

use super::batch::Assembler;
use crate::ReadContext;
use crate::damage::damage;
use crate::identity::Position;
use crate::naming;
use crate::options::OnBadFile;
use wasmill_formats::BadRecord;

/// Reads until the damage, notes it as one reject, and ends.
struct Guard {
    context: Arc<ReadContext>,
    assembler: Assembler,
    /// The reader, until it fails.
    reader: Option<Box<dyn SplitReader>>,
    damage: Option<Error>,
    /// Where the damage is.
    position: Position,
}

/// Opens a reader at a position, and treats damage as configured.
///
/// # Errors
/// Those of `open`, except for damage that is skipped.
pub fn guarded(
    context: &Arc<ReadContext>,
    path: &Path,
    position: Position,
    open: impl FnOnce(Position) -> Result<Box<dyn SplitReader>>,
) -> Result<Box<dyn SplitReader>> {
    let (reader, damage) = match position.ended {
        // Nothing follows, and what is damaged has been noted.
        true => (None, None),
        false => match open(position.clone()) {
            Ok(reader) if context.options.on_bad_file == OnBadFile::Stop => return Ok(reader),
            Ok(reader) => (Some(reader), None),
            Err(error) if context.options.on_bad_file == OnBadFile::SetAside && damage(&error).is_some() => (None, Some(error)),
            Err(error) => return Err(error),
        },
    };
    let assembler = Assembler::new(Arc::clone(&context.name), naming::name_of(path).into(), Arc::clone(&context.schema));
    Ok(Box::new(Guard { context: Arc::clone(context), assembler, reader, damage, position }))
}

impl Guard {
    /// The entry of the dead letters.
    fn note(&mut self, error: &Error) -> Result<Read> {
        let kept = damage(error).cloned().unwrap_or_else(Bytes::new);
        let message = format!("{}; nothing after this place has been read", error.message());
        let bad = BadRecord { code: "bad-file", column: None, message };
        let reject = self.assembler.reject(bad, self.position.offset, OriginalRecord::Bytes(kept));
        self.position.ended = true;
        self.context.set_aside.fetch_add(1, Ordering::Relaxed);
        let nothing = RecordBatch::new_empty(self.assembler.decoded_schema());
        let batch = self.assembler.batch(&nothing, Payload::Rows { first: self.position.offset, count: 0 }, None)?;
        Ok(Read::Batch(SourceBatch { batch, rejects: vec![reject], bytes: 0 }))
    }
}

impl SplitReader for Guard {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        if let Some(reader) = &mut self.reader {
            match reader.read(max_rows) {
                Err(error) if damage(&error).is_some() => {
                    self.position = Position::from_value(&reader.position())?;
                    self.reader = None;
                    self.damage = Some(error);
                }
                other => return other,
            }
        }
        match self.damage.take() {
            Some(error) => self.note(&error),
            None => Ok(Read::End),
        }
    }

    fn position(&self) -> Value {
        match &self.reader {
            Some(reader) => reader.position(),
            None => self.position.to_value(),
        }
    }
}
