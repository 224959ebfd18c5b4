//! Plugins as aggregates of keyed stages.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use wasmill_engine::Result;
use wasmill_host::{Aggregate, AggregateInstance};
use wasmill_keyed::{Accumulator, Grouped, RowReject};

use super::hosted::of_host;
use super::{AggregateIdentity, OpenedAggregate};

/// A plugin that was opened as an aggregate.
pub(super) struct OpenedPlugin(pub Aggregate);

impl OpenedAggregate for OpenedPlugin {
    fn crossing(&self) -> &[usize] {
        self.0.crossing()
    }

    fn peeked(&self) -> &[usize] {
        self.0.peeked()
    }

    fn identity(&self) -> AggregateIdentity {
        let fingerprint = self.0.fingerprint();
        AggregateIdentity {
            plugin: fingerprint.plugin.clone(),
            state_version: fingerprint.state_version,
            config: fingerprint.config.clone(),
        }
    }

    fn aggregate(&self) -> Arc<dyn wasmill_keyed::Aggregate> {
        Arc::new(PluginAggregate(self.0.clone()))
    }
}

/// A plugin as a keyed stage sees it. It takes the batches of the stage's input whole: of their columns only those cross that it needs, so
/// that several share one input.
struct PluginAggregate(Aggregate);

impl wasmill_keyed::Aggregate for PluginAggregate {
    fn state_schema(&self) -> SchemaRef {
        SchemaRef::clone(self.0.state_schema())
    }

    fn output_schema(&self) -> SchemaRef {
        SchemaRef::clone(self.0.output_schema())
    }

    fn open(&self, _lane: usize) -> Result<Box<dyn Accumulator>> {
        let instance = self.0.instance().map_err(|error| of_host(&error))?;
        Ok(Box::new(PluginAccumulator(instance)))
    }
}

struct PluginAccumulator(AggregateInstance);

impl Accumulator for PluginAccumulator {
    fn update(&mut self, rows: &RecordBatch, groups: &[u32], count: u32) -> Result<Vec<RowReject>> {
        let rejects = self.0.update(rows, groups, count).map_err(|error| of_host(&error))?;
        let reject = |reject: wasmill_host::RowReject| RowReject {
            row: reject.row,
            code: reject.code,
            column: reject.column,
            message: reject.message,
        };
        Ok(rejects.into_iter().map(reject).collect())
    }

    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        self.0.merge(states, groups, count).map_err(|error| of_host(&error))
    }

    fn take_state(&mut self) -> Result<Grouped> {
        self.0.take_state().map(grouped).map_err(|error| of_host(&error))
    }

    fn finish(&mut self) -> Result<Grouped> {
        self.0.finish().map(grouped).map_err(|error| of_host(&error))
    }

    fn memory_bytes(&self) -> usize {
        self.0.memory_bytes()
    }
}

fn grouped(grouped: wasmill_host::Grouped) -> Grouped {
    Grouped { records: grouped.records, groups: grouped.groups }
}
