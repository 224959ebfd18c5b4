//! Lets the columns flow: what sources are asked for, what they give, what stages make of it, what sinks get.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use wasmill_connect::registry::{SinkConnector, SourceConnector, Writes};
use wasmill_connect::{LateColumns, Sampling};
use wasmill_engine::{EpochPolicy, Input, dead_letter_schema};
use wasmill_formats::reading::{AsJson, Reading, without_reading};

use super::built_in::{self, Beyond};
use super::columns;
use super::demand::{Demand, Readers};
use super::draft::{Declared, Draft};
use super::open::{DeclaredColumns, open};
use super::places::{check_inputs, with_places};
use super::stages::Asked;
use super::wiring::{Edge, Producer, Wiring};
use super::{
    Checked, CheckedSink, CheckedSource, CheckedStage, Connectors, Extent, NewColumns, Request, SourceColumns, SourceSchema, Transform,
};
use crate::diagnostics::{Diagnostic, Diagnostics, nearest, shorten};
use crate::document::Redactor;
use crate::plugins::OpenedStage;
use crate::spec::{Columns, Mode, SourceSpec, StageSpec, Written};

/// The share of rejects that stops a pipeline, where the file does not say.
const MAX_REJECT_SHARE: f64 = 0.1;

/// What flowed.
pub struct Flowed {
    sources: Vec<Option<CheckedSource>>,
    stages: Vec<Option<CheckedStage>>,
    sinks: Vec<Option<CheckedSink>>,
}

/// Lets the columns flow, and reports where they don't fit.
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
        diagnostics,
        schemas: HashMap::new(),
        beyond: HashMap::new(),
        positions: HashMap::new(),
    };
    let sources = (0..draft.sources.len()).map(|index| run.source(index)).collect();
    let stages = wiring.order.iter().map(|&index| run.stage(index)).collect();
    let sinks = (0..draft.sinks.len()).map(|index| run.sink(index)).collect();
    if let Some(sink) = &draft.dead_letters
        && let Some(spec) = &sink.spec
    {
        run.fits(sink, &*spec.connector, spec.connector_name, &dead_letter_schema());
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
    let written = draft.state.as_ref().map(PathBuf::from);
    let state = request.state.clone().or(written).unwrap_or_else(|| PathBuf::from(super::DEFAULT_STATE));
    Some(Checked {
        name: name.to_owned(),
        mode: engine_mode(draft.mode),
        lanes: draft.lanes.map(usize::from),
        batch_rows: draft.batch_rows as usize,
        epoch: EpochPolicy { every: draft.epoch.every.0, rows: draft.epoch.rows, whole_run: overwrite },
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
    /// What each node that was reached gives: the one schema of a source, the ports of a stage.
    schemas: HashMap<Producer, Outputs>,
    /// What each of them could give besides.
    beyond: HashMap<Producer, Beyond>,
    /// Where each stage of the draft stands in the order.
    positions: HashMap<usize, usize>,
}

enum Outputs {
    Source(SchemaRef),
    Stage(Arc<dyn OpenedStage>),
}

impl<'a> Run<'a, '_> {
    fn source(&mut self, index: usize) -> Option<CheckedSource> {
        let source = &self.draft.sources[index];
        let spec = source.spec.as_ref()?;
        let connector = Arc::clone(&spec.connector);
        let columns = self.columns(index, source, spec)?;
        let found = match self.connectors.source_schema(source.name, &*connector, &columns, engine_mode(self.draft.mode)) {
            Ok(found) => found,
            Err(error) => {
                self.diagnostics.push(of_connector(source, spec.connector_name, &error));
                return None;
            }
        };
        if !found.untyped.is_empty() {
            columns::untyped(source, &*connector, &found, self.diagnostics);
            return None;
        }
        let (schema, late) = self.late_columns(index, &columns, &found);
        columns::check(source, &*connector, (&columns, &found), self.connectors, self.diagnostics);
        let (schema, left_out) = self.without_left_out(index, schema);
        let beyond = self.beyond(index, (&*connector, &columns, &schema), &left_out);
        self.beyond.insert(Producer::Source(index), beyond);
        self.schemas.insert(Producer::Source(index), Outputs::Source(without_reading(&schema)));
        let max_reject_share = spec.max_reject_share.map_or(MAX_REJECT_SHARE, |share| share.0);
        let sampling = Sampling { columns: columns::sampled_names(&*connector, &columns, &schema), late, left_out };
        Some(CheckedSource { name: source.name.into(), connector, columns, sampling, schema, max_reject_share })
    }

    fn readers(&self) -> Readers<'a> {
        Readers { wiring: self.wiring, asked: self.asked }
    }

    /// The columns of a source but for those that every stage that reads it leaves out, and these.
    fn without_left_out(&self, index: usize, schema: SchemaRef) -> (SchemaRef, Vec<String>) {
        let left_out = self.readers().left_out(index, &schema);
        if left_out.is_empty() {
            return (schema, left_out);
        }
        let kept = schema.fields().iter().filter(|field| !left_out.contains(field.name())).cloned().collect::<Vec<_>>();
        (Arc::new(Schema::new_with_metadata(kept, schema.metadata().clone())), left_out)
    }

    /// What a source has besides the columns that it is asked for, as far as a built-in stage wants to know.
    fn beyond(
        &self,
        index: usize,
        (connector, columns, schema): (&dyn SourceConnector, &SourceColumns, &Schema),
        left_out: &[String],
    ) -> Beyond {
        if columns.extent != Extent::Needed {
            return Beyond { names: left_out.to_vec(), is_certain: true };
        }
        if !self.readers().has_built_in(Producer::Source(index)) {
            return Beyond::none();
        }
        let others = |names: Vec<String>| names.into_iter().filter(|name| schema.index_of(name).is_err()).collect();
        match self.connectors.survey(connector) {
            Ok(Some(survey)) => Beyond { names: others(survey.columns), is_certain: survey.is_complete },
            _ => {
                let whole = SourceColumns { extent: Extent::All, ..columns.clone() };
                let known = self.connectors.source_schema(self.draft.sources[index].name, connector, &whole, engine_mode(self.draft.mode));
                let names = known.map(|known| known.schema.fields().iter().map(|field| field.name().clone()).collect());
                names.map_or_else(|_| Beyond::default(), |names| Beyond { names: others(names), is_certain: true })
            }
        }
    }

    /// The columns of a source with those that came up after its sample, and what is to be done about others that come up.
    fn late_columns(&self, index: usize, columns: &SourceColumns, found: &SourceSchema) -> (SchemaRef, LateColumns) {
        let schema = Arc::clone(&found.schema);
        if columns.extent != Extent::All {
            return (schema, LateColumns::Ignore);
        }
        let behind = self.readers().sinks_behind(Producer::Source(index));
        let grows = behind.into_iter().any(|sink| self.draft.sinks[sink].spec.as_ref().is_some_and(|spec| spec.connector.adds_columns()));
        let new = self.new_columns.iter().filter(|(source, _)| source == self.draft.sources[index].name);
        let new = new.filter(|(_, field)| schema.index_of(field.name()).is_err()).map(|(_, field)| Arc::new(field.clone()));
        let schema = Arc::new(Schema::new(schema.fields().iter().cloned().chain(new).collect::<Vec<_>>()));
        (schema, if grows || found.is_partial { LateColumns::Fail } else { LateColumns::Report })
    }

    /// What to ask of a source; `None` when that can't be known because a reader of it is broken.
    fn columns(&mut self, index: usize, source: &Declared<'_, SourceSpec>, spec: &SourceSpec) -> Option<SourceColumns> {
        let Demand { needs, is_all, is_whole } = self.readers().demand(Producer::Source(index));
        let declared = spec.schema.as_ref().map_or_else(|| Arc::new(Schema::empty()), Columns::to_arrow);
        let one = |field: &Field| Schema::new(vec![field.clone()]);
        let declared = needs.iter().fold(declared, |declared, (field, _)| with_json_of(&declared, &one(field)));
        let needed = self.needed(source, needs, &declared).filter(|_| is_whole);
        let extent = match &spec.columns {
            Some(names) => Extent::Picked(self.picked(index, source, names, &declared)?),
            None if is_all => Extent::All,
            None => Extent::Needed,
        };
        let needed = needed?;
        let typed = Arc::new(Schema::new(declared.fields().iter().chain(needed.fields()).cloned().collect::<Vec<_>>()));
        let typed = with_places(&typed, index, self.draft, self.wiring);
        let needed = Arc::new(Schema::new(typed.fields().iter().skip(declared.fields().len()).cloned().collect::<Vec<_>>()));
        Some(SourceColumns { declared, needed, extent })
    }

    /// The columns that `columns` picks, and those that a sink wants to know a record's place; `None` if there is something wrong with them.
    fn picked(&mut self, index: usize, source: &Declared<'_, SourceSpec>, names: &[String], declared: &Schema) -> Option<Vec<String>> {
        let places = with_places(&Arc::new(Schema::empty()), index, self.draft, self.wiring);
        let places = places.fields().iter().map(|field| field.name()).filter(|name| !names.contains(name));
        columns::check_picked(source, names, declared, self.diagnostics).then(|| names.iter().chain(places).cloned().collect())
    }

    /// The columns that stages need and `schema` does not name; `None` when two of them need one with different types.
    fn needed(&mut self, source: &Declared<'_, SourceSpec>, needs: Vec<(Field, usize)>, declared: &Schema) -> Option<SchemaRef> {
        let mut fields: Vec<(Field, usize)> = Vec::new();
        let mut whole = true;
        for (field, stage) in needs.into_iter().filter(|(field, _)| declared.field_with_name(field.name()).is_err()) {
            match fields.iter_mut().find(|(known, _)| known.name() == field.name()) {
                None => fields.push((field, stage)),
                Some((known, _)) if known.data_type() == field.data_type() => {
                    let nullable = known.is_nullable() && field.is_nullable();
                    let json = Reading::of(known).json.or(Reading::of(&field).json);
                    *known = Reading { json, ..Reading::of(known) }.on(known.clone().with_nullable(nullable));
                }
                Some((known, first)) => {
                    let (first, second) = (&self.draft.stages[*first], &self.draft.stages[stage]);
                    let message = format!(
                        "`{}` and `{}` need the column `{}` of `{}` with different types: {} and {}",
                        first.name,
                        second.name,
                        shorten(field.name(), 80),
                        source.name,
                        Written(known.data_type()),
                        Written(field.data_type())
                    );
                    let diagnostic = Diagnostic::error("column-conflict", message).at(second.name_span);
                    self.diagnostics.push(diagnostic.related(first.name_span, "the other one"));
                    whole = false;
                }
            }
        }
        whole.then(|| Arc::new(Schema::new(fields.into_iter().map(|(field, _)| field).collect::<Vec<_>>())))
    }

    fn stage(&mut self, index: usize) -> Option<CheckedStage> {
        let stage = &self.draft.stages[index];
        self.positions.insert(index, self.positions.len());
        let (inputs, schema) = self.inputs(stage.name, &self.wiring.stage_inputs[index])?;
        let asked = self.asked[index].as_ref()?;
        let (opened, transform) = match asked {
            Asked::Plugin(plugin) => {
                let declared = Self::declared(self.draft, self.wiring, index);
                self.beyond.insert(Producer::Stage(index), Beyond::none());
                (open(stage, plugin, &schema, declared, self.diagnostics)?, Transform::Plugin(Arc::clone(&plugin.plugin)))
            }
            Asked::BuiltIn(change) => {
                let producers = self.wiring.stage_inputs[index].iter().filter_map(|edge| self.beyond.get(&edge.producer));
                let beyond = producers.fold(Beyond::none(), Beyond::join);
                self.beyond.insert(Producer::Stage(index), beyond.behind(change));
                (built_in::open(stage, change, (&schema, &beyond), self.diagnostics)?, Transform::BuiltIn(change.clone()))
            }
        };
        self.unread_ports(stage, index, &*opened);
        self.schemas.insert(Producer::Stage(index), Outputs::Stage(Arc::clone(&opened)));
        let share = stage.spec.as_ref()?.max_reject_share;
        Some(CheckedStage {
            name: stage.name.into(),
            inputs,
            input_schema: schema,
            transform,
            opened,
            max_reject_share: share.map_or(MAX_REJECT_SHARE, |share| share.0),
        })
    }

    fn sink(&mut self, index: usize) -> Option<CheckedSink> {
        let sink = &self.draft.sinks[index];
        if !check_inputs(sink, &self.wiring.sink_inputs[index], self.draft, self.diagnostics) {
            return None;
        }
        let (inputs, schema) = self.inputs(sink.name, &self.wiring.sink_inputs[index])?;
        let spec = sink.spec.as_ref()?;
        let connector = Arc::clone(&spec.connector);
        let fits = self.fits(sink, &*connector, spec.connector_name, &schema);
        fits.then(|| CheckedSink { name: sink.name.into(), connector, inputs, schema })
    }

    /// Whether a sink takes these columns; why not is reported.
    fn fits<T>(&mut self, sink: &Declared<'_, T>, connector: &dyn SinkConnector, name: &str, schema: &SchemaRef) -> bool {
        let differences = match self.connectors.check_sink(connector, schema) {
            Ok(differences) => differences,
            Err(error) => {
                self.diagnostics.push(of_connector(sink, name, &error));
                return false;
            }
        };
        let place = sink.node.get(name).and_then(|node| node.get("uri").or_else(|| node.get("table")));
        let span = place.map_or(sink.name_span, |node| node.span);
        if !differences.is_empty() {
            let message = format!("`{}` does not fit the table that is there", sink.name);
            let lines: Vec<String> = differences.iter().map(|difference| shorten(difference, 300)).collect();
            let diagnostic = Diagnostic::error("table-differs", message).at(span).help(lines.join("\n"));
            self.diagnostics.push(diagnostic.help(connector.remedy()));
        }
        differences.is_empty()
    }

    /// The inputs of a node and the one schema that they have; `None` if one of them is broken or missing.
    fn inputs(&mut self, name: &str, edges: &[Edge]) -> Option<(Vec<Input>, SchemaRef)> {
        let resolved: Vec<Option<(Input, SchemaRef)>> = edges.iter().map(|edge| self.input(edge)).collect();
        let resolved = resolved.into_iter().collect::<Option<Vec<_>>>()?;
        let (_, schema) = resolved.first()?.clone();
        let first_span = edges.first()?.span;
        let mut same = true;
        for ((_, other), edge) in resolved.iter().zip(edges).skip(1) {
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
            None => Diagnostic::error("port", format!("`{stage}` has several ports: say which")),
        };
        self.diagnostics.push(diagnostic.at(edge.span).allowed(names.join(", ")));
        None
    }

    /// What the file says about the columns of the source that a stage reads.
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
        // Somebody reads from a port that is not there: which one was meant is said there.
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

/// Text columns of a declared schema take arrays and objects as JSON where a plugin asks for it.
fn with_json_of(declared: &SchemaRef, needs: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| {
        let wanted = needs.field_with_name(field.name()).map(|need| Reading::of(need).json).unwrap_or_default();
        let reading = Reading::of(field);
        match *field.data_type() == DataType::Utf8 && wanted != AsJson::No {
            true => Arc::new(Reading { json: reading.json.or(wanted), ..reading }.on(field.as_ref().clone())),
            false => Arc::clone(field),
        }
    };
    Arc::new(Schema::new(declared.fields().iter().map(field).collect::<Vec<_>>()))
}

/// What a connector's error says, in the shape of a finding, at the key that it blames.
fn of_connector<T>(declared: &Declared<'_, T>, connector: &str, error: &wasmill_engine::Error) -> Diagnostic {
    let text = error.to_string();
    let entry = declared.node.entry(connector);
    let mut span = entry.map_or(declared.name_span, |entry| entry.key_span);
    let mut node = entry.map(|entry| &entry.node);
    // A key that is not there has a default: what it belongs to is blamed.
    for key in error.key_path() {
        let Some(entry) = node.and_then(|node| node.entry(key)) else { break };
        span = entry.key_span;
        node = Some(&entry.node);
    }
    let code = error.kind().map_or("connector", |code| code.name);
    let diagnostic = Diagnostic::error("connector", format!("`{}`: {}", declared.name, shorten(&text, 1000))).class(error.class());
    let diagnostic = Diagnostic { code, ..diagnostic.at(span) };
    error.hint_text().into_iter().fold(diagnostic, |diagnostic, hint| diagnostic.help(hint))
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
            return Some(format!("`{name}` stands in another place"));
        }
        if other.is_nullable() != field.is_nullable() {
            return Some(format!("`{name}` may hold nulls in only one of them"));
        }
    }
    let extra = second.fields().iter().find(|field| first.field_with_name(field.name()).is_err())?;
    Some(format!("`{}` is only here", shorten(extra.name(), 80)))
}
