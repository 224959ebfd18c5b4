//! A connector that counts: the smallest source that holds the contract.

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use wasmill_connect::Inferred;
use wasmill_connect::examine::Finding;
use wasmill_connect::registry::{Connector, SourceColumns, SourceConnector, SourceRequest, Usage};
use wasmill_engine::{
    Batch, Discovery, Error, Lineage, Payload, Progress, Read, Result, Source, SourceBatch, SourceChunk, Split, SplitOpener, SplitReader,
};

/// The connector.
pub const CONNECTOR: Connector =
    Connector::new("toy").with_source::<ToyConfig>(Usage { example: "toy: { rows: 3 }", summary: "Counts from 0." });

/// Counts from 0.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToyConfig {
    /// `rows: 3`
    ///
    /// How many numbers.
    pub rows: u64,
}

impl SourceConnector for ToyConfig {
    fn describe(&self) -> String {
        format!("toy of {} rows", self.rows)
    }

    fn columns(&self, _: &SourceColumns) -> Result<Option<Inferred>> {
        Ok(Some(schema().into()))
    }

    fn build(&self, request: SourceRequest<'_>) -> Result<Box<dyn Source>> {
        if request.schema.fields() != schema().fields() {
            return Err(Error::configuration("a toy has one column, `number`, of type int64"));
        }
        Ok(Box::new(Toy { name: request.name.into(), rows: self.rows, is_listed: false }))
    }

    fn examine(&self) -> Vec<Finding> {
        vec![Finding::good("counts by itself")]
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("number", DataType::Int64, false)]))
}

struct Toy {
    name: Arc<str>,
    rows: u64,
    is_listed: bool,
}

impl Source for Toy {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let state = restored.get("all");
        let is_done = state.is_some_and(|state| state.done) || std::mem::replace(&mut self.is_listed, true);
        let position = state.map_or_else(|| Value::from(0), |state| state.position.clone());
        let splits = if is_done { Vec::new() } else { vec![Split { id: "all".into(), position }] };
        Ok(Discovery { splits, complete: true })
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::new(Opener { name: Arc::clone(&self.name), rows: self.rows })
    }
}

struct Opener {
    name: Arc<str>,
    rows: u64,
}

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let next = split.position.as_u64().ok_or_else(|| Error::environment(format!("{} is no position of a toy", split.position)))?;
        Ok(Box::new(Reader { name: Arc::clone(&self.name), next, end: self.rows }))
    }
}

struct Reader {
    name: Arc<str>,
    next: u64,
    end: u64,
}

impl SplitReader for Reader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        let count = max_rows.min((self.end - self.next) as usize);
        if count == 0 {
            return Ok(Read::End);
        }
        let first = self.next;
        self.next += count as u64;
        let numbers = Int64Array::from_iter_values((first..self.next).map(u64::cast_signed));
        let records = RecordBatch::try_new(schema(), vec![Arc::new(numbers)])
            .map_err(|error| Error::bug(format!("numbers make no batch: {error}")).caused_by(error))?;
        let payload = Payload::Rows { first, count };
        let chunk = SourceChunk { source: Arc::clone(&self.name), partition: "all".into(), payload };
        let batch = Batch { records, lineage: Lineage::of_source(Arc::new(chunk)) };
        Ok(Read::Batch(SourceBatch { batch, rejects: Vec::new(), bytes: 8 * count as u64 }))
    }

    fn position(&self) -> Value {
        self.next.into()
    }
}
