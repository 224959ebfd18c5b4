//! The commands, one file each.

mod check;
mod checked;
pub mod codes;
mod compile_plugin;
mod completions;
#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "delta")]
mod diff;
mod doctor;
#[cfg(feature = "emulator")]
mod emulate;
mod env_file;
mod explain;
#[cfg(feature = "gateway")]
mod gateway;
mod health;
mod init;
mod list;
mod pipeline_arguments;
mod plan;
#[cfg(all(feature = "emulator", feature = "mysql"))]
mod playback;
mod plugin;
#[cfg(all(feature = "emulator", feature = "mysql", feature = "http"))]
mod posting;
mod report;
mod run;
#[cfg(feature = "schedule")]
mod schedule;
mod schema;
mod state;
#[cfg(feature = "kinesis")]
mod streams;
#[cfg(feature = "delta")]
mod table;
#[cfg(feature = "delta")]
mod table_arguments;
#[cfg(feature = "kafka")]
mod topics;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
pub use pipeline_arguments::{DrainArgument, PipelineArguments};
use wasmill_connect::registry::Connector;

use crate::document::Redactor;

/// What is on the command line.
#[derive(Debug, Parser)]
#[command(name = "wasmill", version, about, after_help = crate::exit::HELP, disable_help_subcommand = true)]
pub struct Arguments {
    /// Sets environment variables from a file of lines `NAME=value`. Those that are set already win, and those of earlier files. May be given more than once
    #[arg(long = "env-file", global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    env_files: Vec<std::path::PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    Run(run::Run),
    Check(check::Check),
    Plan(plan::Plan),
    Doctor(doctor::Doctor),
    Report(report::Report),
    Health(health::Health),
    #[cfg(feature = "schedule")]
    Schedule(schedule::Schedule),
    State(state::State),
    #[cfg(feature = "kinesis")]
    Streams(streams::Streams),
    #[cfg(feature = "kafka")]
    Topics(topics::TopicsCommand),
    #[cfg(feature = "delta")]
    Diff(diff::Diff),
    #[cfg(feature = "delta")]
    Table(table::Table),
    #[cfg(feature = "emulator")]
    Emulate(emulate::Emulate),
    #[cfg(feature = "gateway")]
    Gateway(gateway::Gateway),
    Explain(explain::Explain),
    List(list::List),
    Plugin(plugin::Plugin),
    Schema(schema::Schema),
    Completions(completions::Completions),
    #[command(name = crate::plugins::COMPILE_COMMAND, hide = true)]
    CompilePlugin(compile_plugin::CompilePlugin),
}

impl Arguments {
    /// The pipeline that `wasmill run` would run; `None` for other commands.
    #[cfg(feature = "schedule")]
    pub(crate) fn pipeline_to_run(&self) -> Option<PipelineArguments> {
        match &self.command {
            Command::Run(command) => Some(command.arguments()),
            _ => None,
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    run(Arguments::parse())
}

/// Runs a command line, without the program's name, with connectors beside the built-in ones: for programs with connectors of their own. To be called once
/// per process. Plugins can't be compiled in it, because they are compiled by another process of the same program.
pub fn main_with(connectors: &[&'static Connector], arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    if !crate::registry::add(connectors) {
        eprintln!("error: connectors can't be added to a command line that has run");
        return ExitCode::from(crate::exit::BUG);
    }
    run(Arguments::parse_from(std::iter::once("wasmill".into()).chain(arguments)))
}

fn run(arguments: Arguments) -> ExitCode {
    for path in &arguments.env_files {
        if let Err(error) = env_file::load(path) {
            return ExitCode::from(checked::fail(&error, &Redactor::default(), false));
        }
    }
    let status = match arguments.command {
        Command::Init(command) => command.run(),
        #[cfg(feature = "demo")]
        Command::Demo(command) => command.run(),
        Command::Run(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Plan(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Health(command) => command.run(),
        #[cfg(feature = "schedule")]
        Command::Schedule(command) => command.run(),
        Command::State(command) => command.run(),
        #[cfg(feature = "kinesis")]
        Command::Streams(command) => command.run(),
        #[cfg(feature = "kafka")]
        Command::Topics(command) => command.run(),
        #[cfg(feature = "delta")]
        Command::Diff(command) => command.run(),
        #[cfg(feature = "delta")]
        Command::Table(command) => command.run(),
        #[cfg(feature = "emulator")]
        Command::Emulate(command) => command.run(),
        #[cfg(feature = "gateway")]
        Command::Gateway(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::List(command) => command.run(),
        Command::Plugin(command) => command.run(),
        Command::CompilePlugin(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Completions(command) => command.run(),
    };
    ExitCode::from(status)
}

/// Writes to standard output what came from anywhere: nothing in it steers the terminal.
fn print(text: &str) -> u8 {
    print_as_it_is(&crate::terminal::harmless(text))
}

/// Writes text, with colours if any, to standard output. A reader that closes early (`| head`) is
/// not an error.
fn print_as_it_is(text: &str) -> u8 {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => crate::exit::OK,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => crate::exit::OK,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: cannot write to standard output: {error}");
            crate::exit::ENVIRONMENT
        }
    }
}
