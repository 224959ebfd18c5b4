//! The part of a plan that all lanes share, and which node consumes what.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::counts::NodeCounts;
use crate::{EpochPolicy, Input, KeyedStage, Mode, Plan, RowAsJson, SinkNode, Source, SourceNode, SplitOpener, StageNode, StageWork};

pub(crate) struct Shape {
    pub name: String,
    pub mode: Mode,
    /// It is a stream that ends with its input.
    pub drains: bool,
    pub lanes: usize,
    pub batch_rows: usize,
    pub row_as_json: RowAsJson,
    pub epoch: EpochPolicy,
    pub limit: Option<u64>,
    pub is_rehearsal: bool,
    pub sources: Vec<SourceShape>,
    pub stages: Vec<StageNode>,
    /// The dead letters, where there are any, are the last one.
    pub sinks: Vec<SinkNode>,
    pub dead_letters: Option<usize>,
    consumers: HashMap<Input, Vec<Consumer>>,
    /// What feeds each stage, by its index; nothing for stages that are not keyed.
    feeds: Vec<Feeds>,
}

/// From where rows come to a keyed stage, back to the first keyed stage or source on each way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Feeds {
    pub sources: BTreeSet<usize>,
    /// Keyed stages.
    pub stages: BTreeSet<usize>,
}

/// What is known about a source without calling it.
pub(crate) struct SourceShape {
    pub name: Arc<str>,
    /// The share of rejects that it may have.
    pub max_reject_share: f64,
    /// Opens its splits.
    pub opener: Arc<dyn SplitOpener>,
    /// Its splits never end.
    pub is_endless: bool,
}

impl SourceShape {
    fn of(node: &SourceNode) -> Self {
        let SourceNode { name, source, max_reject_share } = node;
        Self { name: Arc::clone(name), max_reject_share: *max_reject_share, opener: source.opener(), is_endless: source.is_endless() }
    }

    /// Adds the place of this source to an error.
    pub fn place(&self) -> String {
        format!("source {}", self.name)
    }
}

/// The sources of a plan. Lanes never touch them: they have openers.
pub(crate) type Sources = Vec<Mutex<Box<dyn Source>>>;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Consumer {
    Stage(usize),
    /// One side of a keyed stage.
    Side {
        stage: usize,
        side: usize,
    },
    Sink(usize),
}

impl StageNode {
    /// What it reads, over all sides.
    fn inputs(&self) -> Vec<Input> {
        match &self.work {
            StageWork::Rows { inputs, .. } => inputs.clone(),
            StageWork::Keyed { sides, .. } => sides.concat(),
        }
    }

    /// The stage, if it is keyed.
    pub(crate) fn keyed(&self) -> Option<&Arc<dyn KeyedStage>> {
        match &self.work {
            StageWork::Rows { .. } => None,
            StageWork::Keyed { stage, .. } => Some(stage),
        }
    }
}

impl Feeds {
    fn of(inputs: &[Input], stages: &[StageNode]) -> Self {
        let (mut feeds, mut todo, mut seen) = (Self::default(), inputs.to_vec(), BTreeSet::new());
        while let Some(input) = todo.pop() {
            match input {
                Input::Source(source) => drop(feeds.sources.insert(source)),
                Input::Stage(stage, _) => match stages.get(stage) {
                    Some(node) if node.keyed().is_some() => drop(feeds.stages.insert(stage)),
                    Some(node) if seen.insert(stage) => todo.extend(node.inputs()),
                    _ => {}
                },
            }
        }
        feeds
    }
}

impl Shape {
    pub fn new(plan: Plan) -> (Self, Sources) {
        let mut consumers: HashMap<Input, Vec<Consumer>> = HashMap::new();
        let mut wire = |inputs: &[Input], consumer| inputs.iter().for_each(|input| consumers.entry(*input).or_default().push(consumer));
        for (index, node) in plan.stages.iter().enumerate() {
            match &node.work {
                StageWork::Rows { inputs, .. } => wire(inputs, Consumer::Stage(index)),
                StageWork::Keyed { sides, .. } => {
                    sides.iter().enumerate().for_each(|(side, inputs)| wire(inputs, Consumer::Side { stage: index, side }));
                }
            }
        }
        let feeds = |node: &StageNode| node.keyed().map_or_else(Feeds::default, |_| Feeds::of(&node.inputs(), &plan.stages));
        let feeds = plan.stages.iter().map(feeds).collect();
        plan.sinks.iter().enumerate().for_each(|(index, sink)| wire(&sink.inputs, Consumer::Sink(index)));
        let mut sinks = plan.sinks;
        let dead_letters = plan.dead_letters.map(|node| {
            sinks.push(node);
            sinks.len() - 1
        });
        let shape = Self {
            name: plan.name,
            mode: plan.mode,
            drains: plan.drains && plan.mode == Mode::Stream,
            lanes: plan.lanes.max(1),
            batch_rows: plan.batch_rows.max(1),
            row_as_json: plan.row_as_json,
            epoch: plan.epoch,
            limit: plan.limit,
            is_rehearsal: plan.is_rehearsal,
            sources: plan.sources.iter().map(SourceShape::of).collect(),
            stages: plan.stages,
            sinks,
            dead_letters,
            consumers,
            feeds,
        };
        (shape, plan.sources.into_iter().map(|node| Mutex::new(node.source)).collect())
    }

    pub fn consumers(&self, input: Input) -> &[Consumer] {
        self.consumers.get(&input).map_or(&[], Vec::as_slice)
    }

    /// Whether the run ends with its input.
    pub fn ends(&self) -> bool {
        self.mode == Mode::Batch || self.drains
    }

    pub fn feeds(&self, stage: usize) -> &Feeds {
        &self.feeds[stage]
    }

    /// The keyed stages, by their index.
    pub fn keyed(&self) -> impl Iterator<Item = (usize, &StageNode, &Arc<dyn KeyedStage>)> {
        self.stages.iter().enumerate().filter_map(|(index, node)| Some((index, node, node.keyed()?)))
    }

    pub fn zero_counts(&self) -> NodeCounts {
        NodeCounts::new(self.sources.len(), self.stages.len(), self.sinks.len())
    }
}
