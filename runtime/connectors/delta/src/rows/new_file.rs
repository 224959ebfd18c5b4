//! Data files that are at their place in a table and in no version of it yet.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use delta_kernel::engine::arrow_conversion::TryIntoArrow;
use delta_kernel::engine::arrow_data::EngineDataArrowExt;
use delta_kernel::schema::SchemaRef as DeltaSchemaRef;
use delta_kernel::{FileMeta, KernelError};
use wasmill_engine::{Error, Result};
use wasmill_formats::with_types;

use super::super::entry::escape_uri;
use super::super::log::TableLog;
use super::super::prepared::DataFile;
use super::decoder::Decoder;
use crate::codes::UNREADABLE;

/// The rows of such a file, in their order.
pub(crate) struct NewFile {
    batches: Decoder,
    schema: SchemaRef,
    path: String,
    /// The table, for readers.
    shown: String,
}

impl NewFile {
    /// Opens a file of which these columns are read, in their order. None of them is a partition column.
    pub(crate) fn open(log: &TableLog, file: &DataFile, columns: &DeltaSchemaRef) -> Result<Self> {
        let (path, shown) = (file.path.clone(), log.shown());
        let schema: Schema = columns.as_ref().try_into_arrow().map_err(|error| log.failed("read", error))?;
        let location = log.root().join(&escape_uri(&path));
        let location = location.map_err(|error| Error::bug(format!("{path} is no address in {shown}: {error}")))?;
        let meta = FileMeta { last_modified: file.modified, size: file.size, location };
        let batches = log.data_files().open(meta, Arc::clone(columns)).map_err(|error| failed(&path, &shown, error))?;
        Ok(Self { batches, schema: Arc::new(schema), path, shown })
    }

    /// The next rows; none at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.batches.next() else { return Ok(None) };
        let records = batch.try_into_record_batch().map_err(|error| failed(&self.path, &self.shown, error))?;
        with_types(&records, &self.schema).map(Some)
    }
}

fn failed(path: &str, shown: &str, error: KernelError) -> Error {
    Error::environment(format!("cannot read {path} of the Delta table {shown}: {error}")).code(UNREADABLE)
}
