//! Finds everything that is wrong with a pipeline before anything is touched.

mod addresses;
mod built_in;
mod checked;
mod columns;
mod connections;
mod connector_keys;
mod connectors;
mod demand;
mod draft;
mod flow;
mod held;
pub(crate) mod load;
mod of_connector;
mod open;
mod outline;
mod places;
mod policy;
pub(crate) mod secrets;
pub(crate) mod shape;
mod source_columns;
mod stages;
mod unasked;
mod wiring;

use std::path::{Path, PathBuf};

use arrow_schema::Field;

pub use built_in::BuiltIn;
pub use checked::{Checked, CheckedSide, CheckedSink, CheckedSource, CheckedStage, Transform};
pub use connectors::{
    AnyConnectors, BuiltConnectors, Connectors, ForgivingConnectors, OfflineConnectors, ReachableConnectors, WithoutSinks,
};
#[cfg(feature = "schedule")]
pub(crate) use load::read_text;
pub use outline::{NamedConnector, Outline};
#[cfg(feature = "schedule")]
pub(crate) use secrets::hide_secrets;
#[cfg(feature = "schedule")]
pub(crate) use shape::{Shape, Spot, join};
pub use source_columns::SourceSchema;
pub use wasmill_connect::registry::{Extent, SourceColumns};

use crate::diagnostics::Diagnostics;
use crate::document::{Redactor, SourceFiles, World};
use crate::plugins::PluginCatalog;
use crate::spec::{Mode, json_schema};

/// The default folder of checkpoints, if neither the file nor the command line sets it.
const DEFAULT_STATE: &str = ".wasmill/state";

/// What to check.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The pipeline file.
    pub path: &'a Path,
    /// The `--set` arguments, in order.
    pub sets: &'a [String],
    /// The value of `--mode`.
    pub mode: Option<Mode>,
    /// The value of `--drain`.
    pub drain: bool,
    /// The value of `--state`.
    pub state: Option<PathBuf>,
    /// Columns that occurred while the pipeline ran and that the samples of sources did not have.
    pub new_columns: &'a NewColumns,
}

/// Columns that are added to those of samples, each with the name of its source.
pub type NewColumns = Vec<(String, Field)>;

/// The connectors and plugins to query.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Finds plugins.
    pub plugins: &'a dyn PluginCatalog,
    /// Examines sources and sinks.
    pub connectors: &'a dyn Connectors,
    /// Fills in `${…}`.
    pub world: &'a dyn World,
}

/// What was found.
pub struct Report {
    /// All findings, in the order of the text.
    pub diagnostics: Diagnostics,
    /// The texts that findings point into.
    pub files: SourceFiles,
    /// What must not be shown.
    pub redactor: Redactor,
    /// The pipeline, if it has no errors.
    pub pipeline: Option<Checked>,
}

/// Checks a pipeline.
pub fn check(request: &Request<'_>, surroundings: Surroundings<'_>) -> Report {
    check_with(request, surroundings, Redactor::default())
}

/// Checks a pipeline. Secret values are added to the redactor meanwhile, so that a log can omit
/// them from the start.
pub fn check_with(request: &Request<'_>, surroundings: Surroundings<'_>, redactor: Redactor) -> Report {
    let mut report = Report { diagnostics: Diagnostics::default(), files: SourceFiles::default(), redactor, pipeline: None };
    report.pipeline = run(request, surroundings, &mut report);
    report.diagnostics.sort();
    if report.diagnostics.has_errors() {
        report.pipeline = None;
    }
    report
}

fn run(request: &Request<'_>, surroundings: Surroundings<'_>, report: &mut Report) -> Option<Checked> {
    let Report { diagnostics, files, redactor, .. } = report;
    let schema = json_schema();
    let mut tree = load::load(request.path, request.sets, surroundings.world, files, redactor, diagnostics)?;
    let used = connections::resolve(&mut tree, diagnostics);
    connections::report_unused(&tree, &used, diagnostics);
    draft::complete_connectors(&mut tree, &schema);
    let draft = draft::draft(&tree, &schema, request, diagnostics)?;
    let wiring = wiring::wire(&draft, diagnostics);
    policy::check(&draft, &tree, diagnostics);
    let mut secrets = secrets::Secrets { files, redactor, diagnostics };
    let connectors = draft.sources.iter().map(|source| source.node).chain(draft.sinks.iter().map(|sink| sink.node));
    connectors.chain(draft.dead_letters.iter().map(|sink| sink.node)).for_each(|node| secrets.connector(node));
    let asked = stages::ask(&draft, surroundings.plugins, files, redactor, diagnostics);
    let flowed = flow::flow(&draft, &wiring, &asked, (surroundings.connectors, request.new_columns), diagnostics);
    let checked = flow::assemble(request, &draft, flowed, redactor)?;
    held::check(&draft, &checked, surroundings.connectors, diagnostics);
    Some(checked)
}
