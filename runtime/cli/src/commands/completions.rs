//! `wasmill completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Prints the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wasmill completions bash > ~/.local/share/bash-completion/completions/wasmill")]
pub struct Completions {
    /// The shell
    #[arg(required_unless_present = "markdown")]
    shell: Option<Shell>,
    /// Prints the reference page of all commands instead, in Markdown
    #[arg(long, conflicts_with = "shell")]
    markdown: bool,
}

impl Completions {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        let Some(shell) = self.shell else {
            return super::print(&crate::reference::commands_markdown(super::Arguments::command()));
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut super::Arguments::command(), "wasmill", &mut script);
        super::print_as_it_is(&String::from_utf8_lossy(&script))
    }
}
