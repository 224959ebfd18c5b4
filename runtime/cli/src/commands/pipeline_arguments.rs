//! The arguments of every command that reads a pipeline file.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::check::{NewColumns, Request};
use crate::plugins::{HostedPlugins, PluginFolders};
use crate::spec::Mode;

/// A pipeline file and what is laid over it.
#[derive(Debug, Clone, Args)]
pub struct PipelineArguments {
    /// The pipeline file
    #[arg(value_name = "PIPELINE", value_hint = clap::ValueHint::FilePath)]
    pub path: PathBuf,
    /// Overrides a value of the file; the value is YAML. May be given more than once
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub sets: Vec<String>,
    /// Whether the pipeline ends with its input; overrides the file
    #[arg(long, value_enum)]
    pub mode: Option<ModeArgument>,
    /// The folder of the checkpoints, or s3://bucket/prefix; overrides the file
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub state: Option<PathBuf>,
    /// A folder of plugins, searched before those of $WASMILL_PLUGINS, plugins/, target/wasm32-wasip2/plugin/ and the plugins installed with wasmill. May be given more than once
    #[arg(long = "plugins", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub plugins: Vec<PathBuf>,
    /// The value of `--drain`, for the commands that have it.
    #[arg(skip)]
    pub drain: bool,
}

/// `--drain`, of the commands that run a pipeline or say how it would run.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct DrainArgument {
    /// Ends a stream: it reads up to the ends that its sources have at the start, then closes all windows and emits what waits for the end
    ///
    /// Until then it runs as a stream: epochs by time, state, watermarks. SIGTERM stops it before the end, and nothing closes early: the next run with --drain resumes.
    #[arg(long)]
    drain: bool,
}

/// `--mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeArgument {
    /// Reads what is there, commits, ends
    Batch,
    /// Runs until it is stopped
    Stream,
}

impl PipelineArguments {
    /// A pipeline file as it is.
    pub fn of(path: PathBuf) -> Self {
        Self { path, sets: Vec::new(), mode: None, state: None, plugins: Vec::new(), drain: false }
    }

    /// The same with the value of `--drain`.
    #[must_use]
    pub fn with(&self, DrainArgument { drain }: DrainArgument) -> Self {
        Self { drain, ..self.clone() }
    }

    /// What to check.
    pub fn request(&self) -> Request<'_> {
        static NONE: NewColumns = NewColumns::new();
        self.request_with(&NONE)
    }

    /// What to check, with columns that came up while it ran.
    pub fn request_with<'a>(&'a self, new_columns: &'a NewColumns) -> Request<'a> {
        let mode = self.mode.map(|mode| match mode {
            ModeArgument::Batch => Mode::Batch,
            ModeArgument::Stream => Mode::Stream,
        });
        Request { path: &self.path, sets: &self.sets, mode, drain: self.drain, state: self.state.clone(), new_columns }
    }

    /// The plugin folders, and the host that runs the plugins.
    ///
    /// # Errors
    /// The host can't be set up on this machine.
    pub fn catalog(&self) -> wasmill_engine::Result<HostedPlugins> {
        HostedPlugins::new(PluginFolders::from_environment(&self.plugins))
    }
}
