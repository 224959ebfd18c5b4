//! What an aggregate computes: expressions in SQL and plugins, as one.

use std::sync::Arc;

use arrow_schema::{Field, Schema};
use serde_json::Value;
use wasmill_keyed::{Aggregate, Combined, Part, Renamed, ResultColumn};

#[cfg(feature = "sql")]
use super::super::sql::Written;
use super::super::{Around, Reported, SideColumns, check_name};
use super::of_stage;
use crate::check::draft::Declared;
use crate::check::open::{DeclaredColumns, open};
use crate::check::stages::{AskedPlugin, Asking, PluginUse, Role};
use crate::diagnostics::Diagnostics;
use crate::document::{Node, Span};
use crate::plugins::{AggregateIdentity, OpenRequest};
use crate::spec::{AggregatePlugin, Computation, Computations, StageSpec};

/// The computations of a stage, in the order in which they were written.
#[derive(Clone)]
pub struct Computed(Vec<One>);

#[derive(Clone)]
struct One {
    /// The column of the result.
    name: String,
    work: Work,
}

#[derive(Clone)]
enum Work {
    #[cfg(feature = "sql")]
    Sql(Box<Written<wasmill_sql::ParsedAggregate>>),
    Plugin(Arc<AskedPlugin>),
}

/// All computations on the columns of the input.
pub struct Planned {
    /// As one.
    pub aggregate: Arc<dyn Aggregate>,
    /// The columns of the input that it gets.
    pub columns: Vec<usize>,
    /// What its state depends on.
    pub fingerprint: Value,
}

/// Some of the computations, which are opened together.
struct Opened {
    part: Part,
    fingerprint: Value,
    /// Which of the computations give its columns, in order.
    results: Vec<usize>,
}

impl Work {
    fn plugin(&self) -> Option<&AskedPlugin> {
        match self {
            Self::Plugin(plugin) => Some(plugin),
            #[cfg(feature = "sql")]
            Self::Sql(_) => None,
        }
    }
}

impl Computed {
    /// Parses expressions and queries plugins. What is wrong with them was reported.
    pub fn new(
        stage: &Declared<'_, StageSpec>,
        computations: &Computations,
        node: &Node,
        asking: &mut Asking<'_>,
    ) -> Result<Self, Reported> {
        let mut all = Vec::with_capacity(computations.0.len());
        for (name, computation) in &computations.0 {
            let entry = node.entry(name);
            let key = entry.map_or(stage.name_span, |entry| entry.key_span);
            let is_named = check_name(name, key, asking.diagnostics);
            let at = entry.map_or(node, |entry| &entry.node);
            let work = match computation {
                Computation::Sql(text) => expression(text, at, asking),
                Computation::Plugin(plugin) => ask(stage, (name, plugin), (at, key), asking),
            };
            all.push(work.filter(|_| is_named).map(|work| One { name: name.clone(), work }));
        }
        all.into_iter().collect::<Option<Vec<_>>>().map(Self).ok_or(Reported)
    }

    /// The columns that expressions name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|one| match &one.work {
            #[cfg(feature = "sql")]
            Work::Sql(written) => written.parsed.columns().iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
            Work::Plugin(_) => Vec::new(),
        })
    }

    /// The columns that plugins need.
    pub fn needs(&self) -> impl Iterator<Item = &Field> {
        self.plugins().flat_map(|(_, plugin)| plugin.needs.columns.fields().iter().map(AsRef::as_ref))
    }

    fn plugins(&self) -> impl Iterator<Item = (usize, &AskedPlugin)> {
        self.0.iter().enumerate().flat_map(|(index, one)| one.work.plugin().map(|plugin| (index, plugin)))
    }

    /// As the plan shows it.
    pub fn describe(&self) -> String {
        let one = |one: &One| match &one.work {
            #[cfg(feature = "sql")]
            Work::Sql(written) => format!("{}: {}", one.name, written.shown()),
            Work::Plugin(asked) => format!("{}: {}@sha256:{}", one.name, asked.plugin.name(), asked.plugin.digest()),
        };
        self.0.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// All of them on the columns of the input, or `None` after what is wrong was reported. `is_replaced`: later results of a key replace
    /// earlier ones.
    pub fn open(
        &self,
        stage: &Declared<'_, StageSpec>,
        (side, is_replaced): (&SideColumns, bool),
        around: Around<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Planned> {
        // Plugins come first: the first part is called once for each batch, the others twice.
        let plugins: Vec<Option<Opened>> =
            self.plugins().map(|(index, plugin)| self.open_plugin((index, plugin), stage, side, diagnostics)).collect();
        let expressions = self.open_expressions(stage, side, around, diagnostics);
        let opened: Vec<Opened> = plugins.into_iter().chain(expressions).collect::<Option<_>>()?;
        self.together(opened, is_replaced).map_err(|error| diagnostics.push(of_stage(stage.name, &error, stage.name_span))).ok()
    }

    fn open_plugin(
        &self,
        (index, asked): (usize, &AskedPlugin),
        stage: &Declared<'_, StageSpec>,
        side: &SideColumns,
        diagnostics: &mut Diagnostics,
    ) -> Option<Opened> {
        let name = &self.0.get(index)?.name;
        let node = stage.node.get("aggregate")?.get("compute")?.entry(name)?;
        let used = plugin_use(stage, (name, &node.node), node.key_span);
        // Of the stage's columns it gets those that it needs.
        let is_needed = |field: &&Arc<Field>| asked.needs.columns.index_of(field.name()).is_ok();
        let open_on = |request: &OpenRequest<'_>| {
            let needed = Schema::new(request.input.fields().iter().filter(is_needed).cloned().collect::<Vec<_>>());
            asked.plugin.open_aggregate(&OpenRequest { input: Arc::new(needed), ..*request })
        };
        let declared = DeclaredColumns { types: None, picked: None };
        let opened = open(used, (asked, open_on), &side.schema, declared, diagnostics)?;
        let AggregateIdentity { plugin, state_version, config } = opened.identity();
        let fingerprint = serde_json::json!({ "plugin": plugin, "state_version": state_version, "config": config });
        let columns = side.schema.fields().iter().enumerate().filter(|(_, field)| is_needed(field)).map(|(index, _)| index).collect();
        let part = Part { aggregate: opened.aggregate(), columns, name: name.as_str().into() };
        Some(Opened { part, fingerprint, results: vec![index] })
    }

    /// The expressions are computed together; none: nothing.
    #[cfg(feature = "sql")]
    fn open_expressions(
        &self,
        stage: &Declared<'_, StageSpec>,
        side: &SideColumns,
        around: Around<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Option<Opened>> {
        let written = |one: &'_ One| match &one.work {
            Work::Sql(written) => Some((one.name.clone(), (**written).clone())),
            Work::Plugin(_) => None,
        };
        let all: Vec<(usize, (String, Written<wasmill_sql::ParsedAggregate>))> =
            self.0.iter().enumerate().filter_map(|(index, one)| Some((index, written(one)?))).collect();
        if all.is_empty() {
            return None;
        }
        let columns = (&side.schema, &side.beyond);
        let found: Vec<bool> =
            all.iter().map(|(_, (_, written))| written.finds_its_columns(stage.name, columns, around, diagnostics)).collect();
        let parsed: Vec<(String, wasmill_sql::ParsedAggregate)> = all
            .iter()
            .zip(&found)
            .filter(|(_, found)| **found)
            .map(|((_, (name, written)), _)| (name.clone(), written.parsed.clone()))
            .collect();
        let aggregates = match wasmill_sql::Aggregates::new(&parsed, &side.schema) {
            Ok(aggregates) => aggregates,
            Err(problems) => {
                for (column, problem) in problems {
                    if let Some((_, (_, written))) = all.iter().find(|(_, (name, _))| *name == column) {
                        written.report(&[problem], diagnostics);
                    }
                }
                return Some(None);
            }
        };
        if !found.iter().all(|found| *found) {
            return Some(None);
        }
        let texts: serde_json::Map<String, Value> =
            parsed.iter().map(|(name, parsed)| (name.clone(), Value::from(parsed.text().trim()))).collect();
        let fingerprint = serde_json::json!({ "sql": texts, "version": wasmill_sql::AGGREGATE_STATE_VERSION });
        let part = Part { columns: aggregates.columns().to_vec(), aggregate: Arc::new(aggregates), name: "sql".into() };
        Some(Some(Opened { part, fingerprint, results: all.iter().map(|(index, _)| *index).collect() }))
    }

    #[cfg(not(feature = "sql"))]
    fn open_expressions(&self, _: &Declared<'_, StageSpec>, _: &SideColumns, _: Around<'_>, _: &mut Diagnostics) -> Option<Option<Opened>> {
        None
    }

    /// One aggregate of all parts, whose columns are called and ordered as they were written.
    fn together(&self, opened: Vec<Opened>, is_replaced: bool) -> wasmill_keyed::Result<Planned> {
        let columns = match opened.as_slice() {
            [only] => only.part.columns.clone(),
            several => {
                let mut columns: Vec<usize> = several.iter().flat_map(|opened| opened.part.columns.iter().copied()).collect();
                columns.sort_unstable();
                columns.dedup();
                columns
            }
        };
        let fingerprint = opened.iter().map(|opened| opened.fingerprint.clone()).collect();
        let mut results: Vec<(usize, ResultColumn)> = Vec::new();
        let mut parts = Vec::with_capacity(opened.len());
        for Opened { part, results: written, .. } in opened {
            let output = part.aggregate.output_schema();
            for (place, field) in output.fields().iter().enumerate() {
                let index = written.get(place).or(written.last()).copied().unwrap_or_default();
                // A single result is called like its computation; several have names of their own.
                let name = if output.fields().len() > written.len() { field.name() } else { &self.0[index].name };
                results.push((index, ResultColumn { index: results.len(), name: name.clone() }));
            }
            let places = part.columns.iter().filter_map(|column| columns.iter().position(|other| other == column)).collect();
            parts.push(Part { columns: places, ..part });
        }
        results.sort_by_key(|(index, column)| (*index, column.index));
        let one: Arc<dyn Aggregate> = match <[Part; 1]>::try_from(parts) {
            Ok([only]) => only.aggregate,
            Err(parts) => Arc::new(Combined::new(parts)?),
        };
        let results: Vec<ResultColumn> = results.into_iter().map(|(_, column)| column).collect();
        let renamed = Renamed::new(one, &results)?.replaced_by_key(is_replaced);
        Ok(Planned { aggregate: Arc::new(renamed), columns, fingerprint })
    }
}

#[cfg(feature = "sql")]
fn expression(text: &str, node: &Node, asking: &mut Asking<'_>) -> Option<Work> {
    super::super::sql::parse_one(text, wasmill_sql::ParsedAggregate::new, node, asking).map(|written| Work::Sql(Box::new(written)))
}

#[cfg(not(feature = "sql"))]
fn expression(_: &str, node: &Node, asking: &mut Asking<'_>) -> Option<Work> {
    let message = "this wasmill was built without the feature `sql`, which computes expressions";
    asking.diagnostics.push(crate::diagnostics::Diagnostic::error("sql-unsupported", message).at(node.span));
    None
}

fn ask(
    stage: &Declared<'_, StageSpec>,
    (name, plugin): (&str, &AggregatePlugin),
    (node, key): (&Node, Span),
    asking: &mut Asking<'_>,
) -> Option<Work> {
    let bounds = crate::plugins::StageBounds::new(&plugin.limits, plugin.on_fault, plugin.max_faults);
    let used = PluginUse { bounds: Some(&bounds), ..plugin_use(stage, (name, node), key) };
    asking.plugin(used).map(|asked| Work::Plugin(Arc::new(asked)))
}

fn plugin_use<'a>(stage: &Declared<'a, StageSpec>, (name, node): (&'a str, &'a Node), key: Span) -> PluginUse<'a> {
    PluginUse { name, name_span: key, node, role: Role::Aggregate, ..PluginUse::of_stage(stage) }
}
