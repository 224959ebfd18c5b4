//! Propagates the columns: what sources are requested for, what they return, what stages turn it
//! into, and what sinks receive.

mod sinks;
mod sources;
mod updates;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use wasmill_connect::registry::Writes;
use wasmill_engine::{EpochPolicy, Input, dead_letter_schema};
use wasmill_keyed::operator::Limits;

use super::built_in::{Around, Beyond, BuiltIn, SideColumns};
use super::demand::Readers;
use super::draft::{Declared, Draft};
use super::open::{DeclaredColumns, open};
use super::source_columns::is_reserved;
use super::stages::{Asked, PluginUse};
use super::unasked::{Unreached, is_unset, reach, skipped};
use super::wiring::{Edge, Producer, Wiring};
use super::{Checked, CheckedSide, CheckedSink, CheckedSource, CheckedStage, Connectors, NewColumns, Request, Transform};
use crate::diagnostics::{Diagnostic, Diagnostics, nearest, shorten};
use crate::document::Redactor;
use crate::plan::default_lanes;
use crate::plugins::{OpenRequest, OpenedStage, OpenedWork};
use crate::spec::{Mode, Size, SourceSpec, StageSpec, Written};
use updates::Updates;

/// The share of rejects that stops a pipeline, where the file does not set it.
const MAX_REJECT_SHARE: f64 = 0.1;

/// What all keyed stages and lanes may hold together, where the file does not say.
const STATE_MEMORY_BYTES: usize = 512 << 20;

/// What flowed.
pub struct Flowed {
    sources: Vec<Option<CheckedSource>>,
    stages: Vec<Option<CheckedStage>>,
    sinks: Vec<Option<CheckedSink>>,
}

/// Propagates the columns, and reports where they don't fit.
pub fn flow(
    draft: &Draft<'_>,
    wiring: &Wiring,
    asked: &[Option<Asked>],
    (connectors, new_columns): (&dyn Connectors, &NewColumns),
    diagnostics: &mut Diagnostics,
) -> Flowed {
    let mut run = Run {
        draft,
        wiring,
        asked,
        connectors,
        new_columns,
        limits: limits(draft, asked),
        schemas: HashMap::new(),
        beyond: HashMap::new(),
        positions: HashMap::new(),
        unreached: reach(draft, connectors, diagnostics),
        open: HashSet::new(),
        partial: HashSet::new(),
        skipped: HashSet::new(),
        per_run: HashSet::new(),
        updates: HashMap::new(),
        diagnostics,
    };
    let sources = (0..draft.sources.len()).map(|index| run.source(index)).collect();
    let stages = wiring.order.iter().map(|&index| run.stage(index)).collect();
    let sinks = (0..draft.sinks.len()).map(|index| run.sink(index)).collect();
    if let Some(sink) = &draft.dead_letters
        && let Some(spec) = &sink.spec
    {
        let unasked = run.unreached.dead_letters.clone();
        run.fits(sink, "`dead_letters`", (&*spec.connector, spec.connector_name), (&dead_letter_schema(), unasked));
    }
    Flowed { sources, stages, sinks }
}

/// The pipeline, if every part of it is whole.
pub fn assemble(request: &Request<'_>, draft: &Draft<'_>, flowed: Flowed, redactor: &Redactor) -> Option<Checked> {
    let (name, _) = draft.name?;
    let sources = flowed.sources.into_iter().collect::<Option<Vec<_>>>()?;
    let stages = flowed.stages.into_iter().collect::<Option<Vec<_>>>()?;
    let sinks = flowed.sinks.into_iter().collect::<Option<Vec<_>>>()?;
    let overwrite = sinks.iter().any(|sink| sink.connector.writes() == Writes::Overwrite);
    let dead_letters = match &draft.dead_letters {
        Some(sink) => Some(Arc::clone(&sink.spec.as_ref()?.connector)),
        None => None,
    };
    let has_keyed = stages.iter().any(|stage| matches!(stage.opened.work(), OpenedWork::Keyed(_)));
    let upserts = sinks.iter().any(|sink| sink.connector.replaces_by().is_some());
    let merges_state = draft.mode == Mode::Batch && has_keyed && !upserts;
    let written = draft.state.path.as_ref().map(PathBuf::from);
    let state = request.state.clone().or(written).unwrap_or_else(|| PathBuf::from(super::DEFAULT_STATE));
    Some(Checked {
        name: name.to_owned(),
        mode: engine_mode(draft.mode),
        drains: draft.drains,
        lanes: draft.lanes.map(usize::from),
        batch_rows: draft.batch_rows as usize,
        epoch: EpochPolicy { every: draft.epoch.every.0, rows: draft.epoch.rows(merges_state), whole_run: overwrite },
        limit: None,
        state,
        sources,
        stages,
        sinks,
        dead_letters,
        redactor: redactor.clone(),
    })
}

struct Run<'a, 'd> {
    draft: &'a Draft<'a>,
    wiring: &'a Wiring,
    asked: &'a [Option<Asked>],
    connectors: &'a dyn Connectors,
    new_columns: &'a NewColumns,
    diagnostics: &'d mut Diagnostics,
    /// How much memory a keyed stage takes in each lane.
    limits: Limits,
    /// What each reached node returns: the one schema of a source, the ports of a stage.
    schemas: HashMap<Producer, Outputs>,
    /// What each of them could return besides.
    beyond: HashMap<Producer, Beyond>,
    /// The position of each stage of the draft in the order.
    positions: HashMap<usize, usize>,
    /// What is not contacted.
    unreached: Unreached,
    /// Nodes that may return more columns than the check knows.
    open: HashSet<Producer>,
    /// Nodes of which nobody knows yet which columns they give besides those that the file and the stages name.
    partial: HashSet<Producer>,
    /// Nodes of a run that ends whose rows are about the rows of one run.
    per_run: HashSet<Producer>,
    /// What is emitted more than once.
    updates: HashMap<Producer, Updates>,
    /// Nodes whose columns the check does not know, which was reported.
    skipped: HashSet<Producer>,
}

enum Outputs {
    Source(SchemaRef),
    Stage(Arc<dyn OpenedStage>),
}

impl<'a> Run<'a, '_> {
    /// Whether a node reads from one of which this is known.
    fn reads(edges: &[Edge], nodes: &HashSet<Producer>) -> bool {
        edges.iter().any(|edge| nodes.contains(&edge.producer))
    }

    fn readers(&self) -> Readers<'a> {
        Readers { wiring: self.wiring, asked: self.asked }
    }

    fn stage(&mut self, index: usize) -> Option<CheckedStage> {
        let stage = &self.draft.stages[index];
        self.positions.insert(index, self.positions.len());
        let edges = &self.wiring.stage_inputs[index];
        let is_unset = self.asked[index].is_none() && is_unset(stage.node);
        if is_unset || Self::reads(edges, &self.skipped) {
            let why = if is_unset { "values of it are not set" } else { "its input columns are not known" };
            self.skipped.insert(Producer::Stage(index));
            self.diagnostics.push(skipped("stage", stage.name, stage.name_span, why));
            return None;
        }
        let passes_others = !matches!(&self.asked[index], Some(Asked::BuiltIn(built_in)) if !built_in.passes_others());
        if Self::reads(edges, &self.open) && passes_others {
            self.open.insert(Producer::Stage(index));
        }
        let sides = self.sides(index)?;
        let asked = self.asked[index].as_ref()?;
        let (opened, transform) = match asked {
            Asked::Plugin(plugin) => {
                let declared = Self::declared(self.draft, self.wiring, index);
                self.beyond.insert(Producer::Stage(index), Beyond::none());
                let open_on = |request: &OpenRequest<'_>| plugin.plugin.open(request);
                let used = PluginUse::of_stage(stage);
                let opened = open(used, (plugin, open_on), &sides.first()?.schema, declared, self.diagnostics)?;
                (opened, Transform::Plugin(Arc::clone(&plugin.plugin)))
            }
            Asked::Broken => return None,
            Asked::BuiltIn(built_in) => (self.built_in(index, built_in, &sides)?, Transform::BuiltIn(built_in.clone())),
        };
        if !self.pass_updates(index, asked) {
            return None;
        }
        self.begin_updates(index, asked);
        let is_per_run = matches!(asked, Asked::BuiltIn(built_in) if built_in.is_per_run(self.draft.mode));
        if is_per_run || Self::reads(edges, &self.per_run) {
            self.per_run.insert(Producer::Stage(index));
        }
        self.unread_ports(stage, index, &*opened);
        self.schemas.insert(Producer::Stage(index), Outputs::Stage(Arc::clone(&opened)));
        let share = stage.spec.as_ref()?.max_reject_share;
        Some(CheckedStage {
            name: stage.name.into(),
            sides,
            transform,
            opened,
            max_reject_share: share.map_or(MAX_REJECT_SHARE, |share| share.0),
        })
    }

    /// What each side of a stage reads; `None` if one is broken or missing.
    fn sides(&mut self, index: usize) -> Option<Vec<CheckedSide>> {
        let (name, edges) = (self.draft.stages[index].name, &self.wiring.stage_inputs[index]);
        let count = match &self.asked[index] {
            Some(Asked::BuiltIn(built_in)) => built_in.sides(),
            _ => 1,
        };
        let sides: Vec<Option<CheckedSide>> = (0..count)
            .map(|side| {
                let edges: Vec<Edge> = edges.iter().filter(|edge| edge.side == side).cloned().collect();
                self.inputs(name, &edges).map(|(inputs, schema)| CheckedSide { inputs, schema })
            })
            .collect();
        sides.into_iter().collect()
    }

    /// A built-in stage on the columns that it gets, or `None` after what is wrong was reported.
    fn built_in(&mut self, index: usize, built_in: &BuiltIn, sides: &[CheckedSide]) -> Option<Arc<dyn OpenedStage>> {
        let (stage, edges) = (&self.draft.stages[index], &self.wiring.stage_inputs[index]);
        let are_there =
            |(side, columns): (usize, &CheckedSide)| built_in.names(side).iter().all(|name| columns.schema.index_of(name).is_ok());
        if Self::reads(edges, &self.open) && !sides.iter().enumerate().all(are_there) {
            self.skipped.insert(Producer::Stage(index));
            let note = skipped("stage", stage.name, stage.name_span, "nothing says which types the columns have that it names");
            self.diagnostics.push(note.help("write `schema` to check it and what follows"));
            return None;
        }
        let beyond_of = |side: usize| {
            let producers = edges.iter().filter(|edge| edge.side == side).filter_map(|edge| self.beyond.get(&edge.producer));
            producers.fold(Beyond::none(), Beyond::join)
        };
        let sides: Vec<SideColumns> = sides
            .iter()
            .enumerate()
            .map(|(side, columns)| SideColumns { schema: Arc::clone(&columns.schema), beyond: beyond_of(side) })
            .collect();
        let beyond = sides.iter().fold(Beyond::none(), |beyond, side| beyond.join(&side.beyond));
        self.beyond.insert(Producer::Stage(index), beyond.behind(built_in));
        let is_partial = Self::reads(edges, &self.partial);
        if is_partial && built_in.passes_others() {
            self.partial.insert(Producer::Stage(index));
        }
        let hidden = self.hidden(index, built_in);
        let picked = Self::declared(self.draft, self.wiring, index).picked;
        let unread = sides.first().map(|side| self.readers().unread(index, &side.schema)).unwrap_or_default();
        let (mode, ends, limits) = (self.draft.mode, self.draft.ends(), self.limits);
        let around = Around { picked, is_partial, hidden: &hidden, unread: &unread, mode, ends, limits };
        built_in.open(stage, &sides, around, self.diagnostics)
    }

    /// The columns that a source adds because a stage names them, and that neither the file nor a stage behind asks for.
    fn hidden(&self, index: usize, built_in: &BuiltIn) -> Vec<String> {
        let behind = self.readers().demand(Producer::Stage(index));
        let is_asked = |name: &str| {
            behind.needs.iter().any(|(field, _)| field.name() == name)
                || behind.names.iter().any(|asked| asked == name)
                || self.draft.sources.iter().filter_map(|source| source.spec.as_ref()).any(|spec| names_column(spec, name))
        };
        built_in.names(0).into_iter().filter(|name| is_reserved(name) && !is_asked(name)).map(str::to_owned).collect()
    }

    /// The inputs of a node and the one schema that they have; `None` if one of them is broken or missing.
    fn inputs(&mut self, name: &str, edges: &[Edge]) -> Option<(Vec<Input>, SchemaRef)> {
        let resolved: Vec<Option<(Input, SchemaRef)>> = edges.iter().map(|edge| self.input(edge)).collect();
        let resolved = resolved.into_iter().collect::<Option<Vec<_>>>()?;
        let (_, schema) = resolved.first()?.clone();
        let first_span = edges.first()?.span;
        let mut same = true;
        // What may have more columns than the check knows may differ or not.
        let compared = if Self::reads(edges, &self.open) { 1 } else { resolved.len() };
        for ((_, other), edge) in resolved.iter().zip(edges).take(compared).skip(1) {
            if let Some(difference) = difference(&schema, other) {
                let message = format!("the inputs of `{name}` have different columns: {difference}");
                let diagnostic = Diagnostic::error("input-mismatch", message).at(edge.span);
                self.diagnostics.push(diagnostic.related(first_span, "differs from this"));
                same = false;
            }
        }
        same.then(|| (resolved.into_iter().map(|(input, _)| input).collect(), schema))
    }

    fn input(&mut self, edge: &Edge) -> Option<(Input, SchemaRef)> {
        let opened = match (self.schemas.get(&edge.producer)?, edge.producer) {
            (Outputs::Source(schema), Producer::Source(index)) => return Some((Input::Source(index), Arc::clone(schema))),
            (Outputs::Stage(opened), _) => Arc::clone(opened),
            (Outputs::Source(_), Producer::Stage(_)) => return None,
        };
        let Producer::Stage(index) = edge.producer else { return None };
        let ports = opened.ports();
        let port = match &edge.port {
            Some(name) => ports.iter().position(|port| *port.name == **name),
            None if ports.len() == 1 => Some(0),
            None => ports.iter().position(|port| &*port.name == "out"),
        };
        if let Some(port) = port {
            return Some((Input::Stage(*self.positions.get(&index)?, port), Arc::clone(&ports[port].schema)));
        }
        let stage = self.draft.stages[index].name;
        let names: Vec<String> = ports.iter().map(|port| format!("{stage}.{}", port.name)).collect();
        let diagnostic = match &edge.port {
            Some(name) => {
                let near = nearest(name, ports.iter().map(|port| &*port.name)).map(|near| format!("{stage}.{near}"));
                let message = format!("the plugin of `{stage}` has no port `{}`", shorten(name, 60));
                Diagnostic::error("port", message).suggest(near)
            }
            None => Diagnostic::error("port", format!("`{stage}` has several ports: name one")),
        };
        self.diagnostics.push(diagnostic.at(edge.span).allowed(names.join(", ")));
        None
    }

    /// The file's declarations about the columns of the source that a stage reads.
    fn declared(draft: &'a Draft<'a>, wiring: &Wiring, stage: usize) -> DeclaredColumns<'a> {
        let source = wiring.stage_inputs[stage].iter().find_map(|edge| match edge.producer {
            Producer::Source(source) => Some(&draft.sources[source]),
            Producer::Stage(_) => None,
        });
        let node = |key| source.and_then(|source| source.node.get(key));
        DeclaredColumns { types: node("schema"), picked: node("columns") }
    }

    fn unread_ports(&mut self, stage: &Declared<'_, StageSpec>, index: usize, opened: &dyn OpenedStage) {
        let ports = opened.ports();
        if ports.len() < 2 {
            return;
        }
        let edges = self.wiring.stage_inputs.iter().chain(&self.wiring.sink_inputs).flatten();
        let read: Vec<&str> =
            edges.filter(|edge| edge.producer == Producer::Stage(index)).map(|edge| edge.port.as_deref().unwrap_or("out")).collect();
        // A node reads from a port that does not exist: the intended one is suggested there.
        if read.iter().any(|name| ports.iter().all(|port| &*port.name != *name)) {
            return;
        }
        for port in ports {
            if !read.contains(&&*port.name) {
                let message = format!("nothing reads from the port `{}.{}`: its rows go nowhere", stage.name, port.name);
                self.diagnostics.push(Diagnostic::warning("unused-port", message).at(stage.name_span));
            }
        }
    }
}

/// What a keyed stage may hold in each lane, for what all of them may hold together. Half of it is for what a lane collects, and half for what is
/// sealed and handed over.
fn limits(draft: &Draft<'_>, asked: &[Option<Asked>]) -> Limits {
    let memory = draft.state.memory.map_or(STATE_MEMORY_BYTES, |Size(bytes)| usize::try_from(bytes).unwrap_or(usize::MAX));
    let sides = asked.iter().map(|asked| match asked {
        Some(Asked::BuiltIn(built_in)) if built_in.is_keyed() => built_in.sides(),
        _ => 0,
    });
    let keyed: usize = sides.sum();
    let lanes = draft.lanes.map_or_else(default_lanes, usize::from);
    let share = memory / keyed.max(1) / lanes.max(1) / 2;
    Limits { memory_bytes: share, run_memory_bytes: share }
}

/// Whether the file asks for a column of a source by its name.
fn names_column(spec: &SourceSpec, name: &str) -> bool {
    let typed = spec.schema.iter().flat_map(|columns| &columns.0).any(|column| column.name == name);
    typed || spec.columns.iter().flatten().any(|picked| picked == name)
}

fn engine_mode(mode: Mode) -> wasmill_engine::Mode {
    match mode {
        Mode::Batch => wasmill_engine::Mode::Batch,
        Mode::Stream => wasmill_engine::Mode::Stream,
    }
}

/// The first difference of two schemas, in words.
fn difference(first: &Schema, second: &Schema) -> Option<String> {
    for (index, field) in first.fields().iter().enumerate() {
        let name = shorten(field.name(), 80);
        let Ok(other) = second.field_with_name(field.name()) else { return Some(format!("`{name}` is missing here")) };
        if other.data_type() != field.data_type() {
            return Some(format!("`{name}` is {} here, not {}", Written(other.data_type()), Written(field.data_type())));
        }
        if second.fields().get(index).is_some_and(|at| at.name() != field.name()) {
            return Some(format!("`{name}` is at another position"));
        }
        if other.is_nullable() != field.is_nullable() {
            return Some(format!("`{name}` may hold nulls in only one of them"));
        }
    }
    let extra = second.fields().iter().find(|field| first.field_with_name(field.name()).is_err())?;
    Some(format!("`{}` is only here", shorten(extra.name(), 80)))
}
