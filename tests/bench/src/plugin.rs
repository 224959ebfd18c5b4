//! The plugin `clean-pin` in the production host under production limits.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use wasmill_engine::{Error, PortOutput, RowReject, Stage, StageInstance, StageOutput};
use wasmill_host::{Host, Instance, Transform};

use crate::Result;
use crate::posts::Width;

/// Where the plugin lies, and where its compiled form is kept.
pub struct Location {
    pub plugin: PathBuf,
    pub cache: PathBuf,
}

impl Location {
    /// The plugin, opened for posts of a width.
    pub fn open(&self, width: Width) -> Result<Transform> {
        let host = Host::builder().cache_dir(self.cache.clone()).build()?;
        let plugin = host.load(&self.plugin)?;
        Ok(plugin.open(&width.config()).transform(width.schema())?)
    }
}

/// Cleans one batch, of which no row may be rejected.
pub fn clean(instance: &mut Instance, records: &RecordBatch) -> Result<RecordBatch> {
    let mut processed = instance.process(records)?;
    match (processed.outputs.pop(), processed.outputs.is_empty(), processed.rejects.first()) {
        (Some(output), true, None) if output.origins.is_none() => Ok(output.records),
        (_, _, Some(reject)) => Err(format!("a row was rejected: {}", reject.message).into()),
        _ => Err("the plugin did not answer with every row by one port".into()),
    }
}

/// The plugin as the engine sees it.
pub struct PluginStage(pub Transform);

impl Stage for PluginStage {
    fn ports(&self) -> Vec<(Arc<str>, SchemaRef)> {
        self.0.ports().iter().map(|port| (port.name.as_str().into(), Arc::clone(&port.schema))).collect()
    }

    fn open(&self, _lane: usize) -> wasmill_engine::Result<Box<dyn StageInstance>> {
        Ok(Box::new(PluginInstance(self.0.instance().map_err(|error| Error::bug(error.to_string()))?)))
    }
}

struct PluginInstance(Instance);

impl StageInstance for PluginInstance {
    fn process(&mut self, records: &RecordBatch) -> wasmill_engine::Result<StageOutput> {
        let processed = self.0.process(records).map_err(|error| Error::bug(error.to_string()))?;
        let outputs =
            processed.outputs.into_iter().map(|output| PortOutput { port: output.port, records: output.records, origins: output.origins });
        let rejects = processed.rejects.into_iter().map(|reject| RowReject {
            row: reject.row,
            code: reject.code,
            column: reject.column,
            message: reject.message,
        });
        Ok(StageOutput { outputs: outputs.collect(), rejects: rejects.collect() })
    }
}
