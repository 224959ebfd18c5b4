//! The whole pipeline in this process: files, cleaning, Delta; only the stage differs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use wasmill_delta::{DeltaConfig, DeltaSink};
use wasmill_engine::{
    EpochPolicy, Error, Event, Input, LocalState, Mode, Observer, Plan, PortOutput, SinkNode, SourceNode, Stage, StageInstance, StageNode,
    StageOutput, StageWork, StopSignal,
};
use wasmill_files::{FilesConfig, FilesSource};
use wasmill_formats::row_to_json;

use crate::Result;
use crate::native::Native;
use crate::plugin::{Location, PluginStage};
use crate::posts::Width;

/// How posts are cleaned.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Cleaning {
    /// By the plugin, in its sandbox
    Plugin,
    /// By the same rules, linked into this program
    Native,
}

/// Native cleaning as the engine sees it.
struct NativeStage;

impl Stage for NativeStage {
    fn ports(&self) -> Vec<(Arc<str>, SchemaRef)> {
        vec![("out".into(), Native::new(Width::Wide).schema())]
    }

    fn open(&self, _lane: usize) -> wasmill_engine::Result<Box<dyn StageInstance>> {
        Ok(Box::new(Native::new(Width::Wide)))
    }
}

impl StageInstance for Native {
    fn process(&mut self, records: &RecordBatch) -> wasmill_engine::Result<StageOutput> {
        let records = self.clean(records).map_err(|error| Error::bug(error.to_string()))?;
        Ok(StageOutput { outputs: vec![PortOutput { port: 0, records, origins: None }], rejects: Vec::new() })
    }
}

struct Silent;

impl Observer for Silent {
    fn on(&self, _: Event<'_>) {}
}

/// Runs the pipeline once, into an empty folder.
pub fn run(input: &Path, cleaning: Cleaning, location: &Location, out: &Path) -> Result<()> {
    let stage: Arc<dyn Stage> = match cleaning {
        Cleaning::Plugin => Arc::new(PluginStage(location.open(Width::Wide)?)),
        Cleaning::Native => Arc::new(NativeStage),
    };
    let (_, cleaned) = stage.ports().into_iter().next().ok_or("the plugin has no port")?;
    let text = |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| format!("{} is not UTF-8", path.display()));
    let source = FilesSource::new("pins", FilesConfig::of_path(&text(input)?), Width::Wide.schema(), Mode::Batch)?;
    let sink = DeltaSink::new(DeltaConfig::new(text(&out.join("table"))?), &cleaned)?;
    let plan = Plan {
        name: "bench".to_owned(),
        mode: Mode::Batch,
        lanes: std::thread::available_parallelism()?.get(),
        batch_rows: 8_192,
        epoch: EpochPolicy { every: Duration::from_secs(10), rows: 500_000, whole_run: false },
        limit: None,
        drains: false,
        is_rehearsal: false,
        sources: vec![SourceNode { name: "pins".into(), source: Box::new(source), max_reject_share: 1.0 }],
        stages: vec![StageNode {
            name: "clean_pins".into(),
            work: StageWork::Rows { stage, inputs: vec![Input::Source(0)] },
            plugin: None,
            max_reject_share: 1.0,
        }],
        sinks: vec![SinkNode { name: "pin_table".into(), sink: Arc::new(sink), inputs: vec![Input::Stage(0, 0)], schema: cleaned }],
        dead_letters: None,
        row_as_json: row_to_json,
    };
    let summary = wasmill_engine::run(plan, Arc::new(LocalState::open(&out.join("state"), "bench")?), &StopSignal::new(), &Silent)?;
    println!("{}", serde_json::to_string(&summary)?);
    Ok(())
}
