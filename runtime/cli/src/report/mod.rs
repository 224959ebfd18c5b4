//! A pipeline as a page: its last run, what its sinks hold now, and what was rejected.
//!
//! Everything is read back from where the pipeline wrote it, by the sources of the same connectors. Nothing is changed.

mod chart;
mod page;
mod profile;
mod rejects;
mod table;

use wasmill_connect::registry::Writes;
use wasmill_engine::Result;

pub use self::page::page;
pub use self::profile::{ColumnProfile, Kept, TableProfile};
pub use self::rejects::{RejectKind, Rejects};
use crate::check::Checked;
use crate::run::RunFacts;

/// Everything that a page shows.
pub struct Report {
    /// The pipeline's name.
    pub pipeline: String,
    /// `batch` or `stream`.
    pub mode: &'static str,
    /// When the report was made, by RFC 3339.
    pub made: String,
    /// The last run; `None`: there was none.
    pub run: Option<RunFacts>,
    /// Sources, stages and sinks in words.
    pub nodes: Vec<NodeInWords>,
    /// What each sink holds.
    pub tables: Vec<SinkTable>,
    /// What the dead letters hold; `None`: there are none, or they can't be read back.
    pub rejects: Option<std::result::Result<Rejects, String>>,
}

/// A node of the pipeline.
pub struct NodeInWords {
    /// `source`, `stage`, `sink` or `dead letters`.
    pub kind: &'static str,
    /// Its name in the file.
    pub name: String,
    /// Its connector and place, or what it does.
    pub what: String,
}

/// A sink and what was found there.
pub struct SinkTable {
    /// Its name in the file.
    pub name: String,
    /// Its connector and place.
    pub what: String,
    /// The rows and columns; or why they are not shown.
    pub found: std::result::Result<TableProfile, String>,
}

/// Reads back what a pipeline wrote. A place that can't be read is named as such and does not spoil the rest.
///
/// # Errors
/// The temporary folder can't be written.
pub fn report(checked: &Checked, run: Option<RunFacts>) -> Result<Report> {
    let clean = |text: String| checked.redactor.clean(&text);
    let mut tables = Vec::new();
    // What was displayed is nowhere any more.
    for sink in checked.sinks.iter().filter(|sink| sink.connector.writes() != Writes::Show) {
        let found = match sink.connector.reads_back() {
            Some(source) => table::profile(&sink.name, source, &sink.schema).map_err(|error| clean(error.to_string())),
            None => Err("its rows can't be read back from there".to_owned()),
        };
        tables.push(SinkTable { name: sink.name.to_string(), what: clean(sink.connector.describe()), found });
    }
    let rejects = checked.dead_letters.as_ref().and_then(|connector| connector.reads_back());
    let rejects = rejects.map(|source| table::rejects(source).map_err(|error| clean(error.to_string())));
    Ok(Report {
        pipeline: checked.name.clone(),
        mode: match checked.mode {
            wasmill_engine::Mode::Batch => "batch",
            wasmill_engine::Mode::Stream => "stream",
        },
        made: humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
        run,
        nodes: nodes(checked),
        tables,
        rejects,
    })
}

fn nodes(checked: &Checked) -> Vec<NodeInWords> {
    let clean = |text: String| checked.redactor.clean(&text);
    let sources = checked.sources.iter().map(|source| NodeInWords {
        kind: "source",
        name: source.name.to_string(),
        what: clean(source.connector.describe()),
    });
    let stages = checked.stages.iter().map(|stage| NodeInWords {
        kind: "stage",
        name: stage.name.to_string(),
        what: match &stage.transform {
            crate::check::Transform::Plugin(plugin) => format!("plugin {}", plugin.name()),
            crate::check::Transform::BuiltIn(stage) => stage.describe(),
        },
    });
    let sinks =
        checked.sinks.iter().map(|sink| NodeInWords { kind: "sink", name: sink.name.to_string(), what: clean(sink.connector.describe()) });
    let dead_letters = checked.dead_letters.iter().map(|connector| NodeInWords {
        kind: "dead letters",
        name: crate::plan::DEAD_LETTERS.to_owned(),
        what: clean(connector.describe()),
    });
    sources.chain(stages).chain(sinks).chain(dead_letters).collect()
}
