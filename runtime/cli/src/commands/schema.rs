//! `wasmill schema`.

use clap::Args;

use crate::spec::{json_schema, json_schema_for_editors};

/// Prints the JSON Schema of pipeline files or of schedules, for editors
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wasmill schema > pipeline.schema.json\n  wasmill schema --schedule > schedule.schema.json\n\n\
    and as the first line of a pipeline file, for editors with the YAML language server:\n  \
    # yaml-language-server: $schema=pipeline.schema.json")]
pub struct Schema {
    /// Prints the reference page instead, in Markdown
    #[arg(long)]
    markdown: bool,
    /// Prints that of the files of `wasmill schedule`
    #[cfg(feature = "schedule")]
    #[arg(long, conflicts_with = "markdown")]
    schedule: bool,
}

impl Schema {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        #[cfg(feature = "schedule")]
        if self.schedule {
            return super::print(&format!("{:#}\n", crate::schedule::json_schema()));
        }
        match self.markdown {
            true => super::print(&crate::reference::markdown(&json_schema())),
            false => super::print(&format!("{:#}\n", json_schema_for_editors())),
        }
    }
}
