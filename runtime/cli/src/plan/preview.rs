//! A checked pipeline as a preview: every sink is the console, and nothing outside is changed.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use arrow_schema::Schema;
use console::{ConsoleConfig, ConsoleSink};
use wasmill_connect::registry::SinkConnector;
use wasmill_engine::{Error, Plan, Result, Sink, SinkNode, dead_letter_schema};

use super::{DEAD_LETTERS, build_with};
use crate::check::Checked;

/// The most rows that a console displays of each sink.
const MAX_ROWS: u64 = 10_000;

/// A preview of a checked pipeline that ends after this many source records. Rows of each sink, and
/// rejects, go to standard output under the sink's name. No sink is built, so none is contacted;
/// progress is not reported to the sources.
///
/// # Errors
/// A source that can't be built.
pub fn preview(mut checked: Checked, limit: u64) -> Result<Plan> {
    let config = ConsoleConfig { rows: limit.clamp(1, MAX_ROWS) };
    // A preview displays any number of rejects.
    checked.sources.iter_mut().for_each(|source| source.max_reject_share = 1.0);
    checked.stages.iter_mut().for_each(|stage| stage.max_reject_share = 1.0);
    (checked.limit, checked.lanes, checked.epoch.whole_run) = (Some(limit), Some(1), false);
    // Also where the pipeline has no sink for them.
    checked.dead_letters = None;
    let redactor = checked.redactor.clone();
    let titled = |name: &str, connector: &dyn SinkConnector, schema: &Schema| {
        shown(redactor.clean(&format!("{name} ({})", connector.describe())), &config, schema)
    };
    // What a state holds is not previewed: a run of its own may have it.
    let state = tempfile::tempdir().map_err(|error| Error::io("create a temporary folder", error))?;
    let mut plan = build_with(&checked, Some(state.path()), &titled)?;
    let (sink, schema) = (shown(DEAD_LETTERS.to_owned(), &config, &dead_letter_schema())?, dead_letter_schema());
    plan.dead_letters = Some(SinkNode { name: DEAD_LETTERS.into(), sink, inputs: Vec::new(), schema });
    plan.is_rehearsal = true;
    Ok(plan)
}

fn shown(title: String, config: &ConsoleConfig, schema: &Schema) -> Result<Arc<dyn Sink>> {
    let width = io::stdout().is_terminal().then(terminal_size::terminal_size).flatten().map(|(width, _)| width.0);
    let output = Titled { title: Some(title), output: io::stdout() };
    Ok(Arc::new(ConsoleSink::new(config, schema, width, Box::new(output))?))
}

/// Standard output, with a title before the first text.
struct Titled {
    title: Option<String>,
    output: io::Stdout,
}

impl Write for Titled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(title) = self.title.take() {
            writeln!(self.output, "\n{}", crate::terminal::harmless(&title))?;
        }
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
