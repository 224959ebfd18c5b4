//! Accumulators that are compared: plugins in the production host, and the code of their crates linked natively.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::json;
use wasmill_host::{AggregateInstance, Grouped, Host};
use wasmill_plugin::aggregate::{GroupedRows, Linked};
use wasmill_plugin::{Aggregate, PerGroup};

use crate::Result;
use crate::plugin::Location;

/// What an instance holds that says of itself that it is full: a stage would have taken its state.
const FULL_BYTES: usize = 1 << 47;

/// What a keyed stage calls.
pub trait Accumulator {
    fn update(&mut self, rows: &RecordBatch, groups: &[u32], count: u32) -> Result<()>;
    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()>;
    fn take_state(&mut self) -> Result<Grouped>;
    fn finish(&mut self) -> Result<Grouped>;
}

type Native = fn(&wasmill_host::Aggregate) -> Result<Box<dyn Accumulator>>;

/// A plugin, and the same code linked natively.
pub struct Subject {
    pub name: &'static str,
    aggregate: wasmill_host::Aggregate,
    native: Native,
}

impl Subject {
    /// The plugins that are measured.
    pub fn all(location: &Location) -> Result<Vec<Self>> {
        let host = Host::builder().cache_dir(location.cache.clone()).build()?;
        let of = |name: &'static str, native: Native| -> Result<Self> {
            let file = location.plugin.with_file_name(format!("{}.wasm", name.replace('-', "_")));
            let aggregate = host.load(&file)?.open(&json!({})).aggregate(schema())?;
            Ok(Self { name, aggregate, native })
        };
        Ok(vec![
            of("quantile", |aggregate| linked::<quantile::Quantile>(quantile::Config::default(), aggregate))?,
            of("weighted-mean", |aggregate| linked::<PerGroup<weighted_mean::WeightedMean>>(weighted_mean::Config::default(), aggregate))?,
        ])
    }

    /// The plugin in its sandbox, under the limits of production.
    pub fn plugin(&self) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Sandboxed(self.aggregate.instance()?)))
    }

    /// The same code in this process.
    pub fn native(&self) -> Result<Box<dyn Accumulator>> {
        (self.native)(&self.aggregate)
    }
}

/// The columns of the rows.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(["value", "weight"].map(|name| Field::new(name, DataType::Float64, true)).to_vec()))
}

struct Sandboxed(AggregateInstance);

impl Accumulator for Sandboxed {
    fn update(&mut self, rows: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        if let Some(reject) = self.0.update(rows, groups, count)?.first() {
            return Err(format!("a row was rejected: {}", reject.message).into());
        }
        if self.0.memory_bytes() > FULL_BYTES {
            return Err("the plugin's memory is full before its state is taken".into());
        }
        Ok(())
    }

    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        Ok(self.0.merge(states, groups, count)?)
    }

    fn take_state(&mut self) -> Result<Grouped> {
        Ok(self.0.take_state()?)
    }

    fn finish(&mut self) -> Result<Grouped> {
        Ok(self.0.finish()?)
    }
}

struct InProcess<T> {
    linked: Linked<T>,
    /// The columns of the rows that it reads.
    read: Vec<usize>,
    state: SchemaRef,
    output: SchemaRef,
}

fn linked<T: Aggregate>(config: T::Config, aggregate: &wasmill_host::Aggregate) -> Result<Box<dyn Accumulator>> {
    let input = schema();
    let linked = Linked::<T>::open(config, &input)?;
    let read = linked.crossing().map(|name| input.index_of(name)).collect::<std::result::Result<_, _>>()?;
    let (state, output) = (Arc::clone(aggregate.state_schema()), Arc::clone(aggregate.output_schema()));
    Ok(Box::new(InProcess { linked, read, state, output }))
}

impl<T: Aggregate> Accumulator for InProcess<T> {
    fn update(&mut self, rows: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        let columns = self.read.iter().map(|&index| Arc::clone(rows.column(index))).collect();
        match self.linked.update(columns, groups, count)? {
            0 => Ok(()),
            rejected => Err(format!("{rejected} rows were rejected").into()),
        }
    }

    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        Ok(self.linked.merge(states.columns().to_vec(), groups, count)?)
    }

    fn take_state(&mut self) -> Result<Grouped> {
        grouped(self.linked.take_state()?, &self.state)
    }

    fn finish(&mut self) -> Result<Grouped> {
        grouped(self.linked.finish()?, &self.output)
    }
}

fn grouped(rows: GroupedRows, schema: &SchemaRef) -> Result<Grouped> {
    let (columns, groups) = rows.into_parts();
    let rows = columns.first().map_or(0, |column| column.len());
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(Grouped { records: RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?, groups })
}
