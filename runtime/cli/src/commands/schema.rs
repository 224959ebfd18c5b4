//! `wasmill schema`.

use clap::Args;

use crate::spec::{json_schema, json_schema_for_editors};

/// Prints the JSON Schema of pipeline files, for editors
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wasmill schema > pipeline.schema.json\n\n\
    and as the first line of a pipeline file, for editors with the YAML language server:\n  \
    # yaml-language-server: $schema=pipeline.schema.json")]
pub struct Schema {
    /// Prints the reference page instead, in Markdown
    #[arg(long)]
    markdown: bool,
}

impl Schema {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        match self.markdown {
            true => super::print(&crate::reference::markdown(&json_schema())),
            false => super::print(&format!("{:#}\n", json_schema_for_editors())),
        }
    }
}
