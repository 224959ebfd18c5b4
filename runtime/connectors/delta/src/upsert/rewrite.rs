//! Data files that a commit writes: those of the table, or of the epoch, without some of their rows.

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value};
use wasmill_connect::staged::StagedMark;
use wasmill_engine::{Error, Result, Token};
use wasmill_objects::UploadEpoch;

use crate::config::DeltaCompression;
use crate::data_file::{Destination, FinishedFile, OpenFile, writer_properties};
use crate::prepared::DataFile;
use crate::properties::Indexed;
use crate::staging::Staging;

/// How a file is rewritten.
pub(super) struct Target {
    /// The columns of data files.
    pub(super) schema: SchemaRef,
    /// The folder in the table, with a slash at its end; empty for the table itself.
    pub(super) folder: String,
    /// The values of the partition columns, as the log has them.
    pub(super) partition_values: Map<String, Value>,
    /// The columns that get statistics.
    pub(super) indexed: Indexed,
}

/// Writes files for one commit.
pub(super) struct Rewriter<'a> {
    token: &'a Token,
    properties: WriterProperties,
}

impl<'a> Rewriter<'a> {
    /// For the commit of this token.
    pub(super) fn new(token: &'a Token, compression: DeltaCompression) -> Self {
        Self { token, properties: writer_properties(compression) }
    }

    /// Writes the rows that `next` hands out into one file; none if there are no rows. What it returns is not durable.
    pub(super) fn write(
        &self,
        staging: &Staging,
        target: Target,
        mut next: impl FnMut() -> Result<Option<RecordBatch>>,
    ) -> Result<Option<DataFile>> {
        // A clean-up recognises it by its name if this process ends before its commit.
        let name = format!("part-{}{}.parquet", staging.mark(), StagedMark::of_commit(self.token));
        let Target { schema, folder, partition_values, indexed } = target;
        let mut place = Some(Destination { epoch: UploadEpoch::of(self.token), name, folder, partition_values });
        let mut out: Option<OpenFile> = None;
        while let Some(records) = next()? {
            if records.num_rows() == 0 {
                continue;
            }
            let records = RecordBatch::try_new(SchemaRef::clone(&schema), records.columns().to_vec())
                .map_err(|error| Error::bug(format!("rows do not fit their own table: {error}")))?;
            if let Some(destination) = place.take() {
                let how = (self.properties.clone(), indexed.clone());
                out = Some(OpenFile::create(staging, destination, SchemaRef::clone(&schema), how)?);
            }
            if let Some(file) = &mut out {
                file.write(&records)?;
            }
        }
        let Some(out) = out else { return Ok(None) };
        let FinishedFile { file, upload } = out.finish()?;
        staging.keep(upload.into_iter().collect());
        Ok(Some(file))
    }
}

/// Makes files durable and moves them to their place, where no version of the table has them yet.
pub(super) fn publish(staging: &Staging, files: &mut [DataFile]) -> Result<()> {
    staging.settle(files)?;
    staging.publish(files)
}

/// The rows of a batch that stay.
pub(super) fn kept(records: &RecordBatch, keep: Vec<bool>) -> Result<RecordBatch> {
    if keep.iter().all(|keep| *keep) {
        return Ok(records.clone());
    }
    filter_record_batch(records, &BooleanArray::from(keep)).map_err(|error| Error::bug(format!("rows can't be filtered: {error}")))
}
