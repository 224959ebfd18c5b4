//! `wasmill plugin`.

mod inspect;
mod locate;
mod test;

use clap::{Args, Subcommand};

/// Inspects and tests plugins
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wasmill plugin inspect clean-pin\n  wasmill plugin test plugins/clean-pin")]
pub struct Plugin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::Inspect),
    Test(test::Test),
}

impl Plugin {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        match self.command {
            Command::Inspect(command) => command.run(),
            Command::Test(command) => command.run(),
        }
    }
}

/// Prints an error. Returns the exit status.
fn failed(status: u8, message: &str) -> u8 {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("error: {}\n", crate::terminal::harmless(message)).as_bytes());
    status
}
