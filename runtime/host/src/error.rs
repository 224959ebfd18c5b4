//! The errors of this library, by who has to act.

use std::fmt;

use wasmill_error::Code;

use crate::codes;

/// Why a plugin could not be loaded, opened or called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The file is not a plugin that this host can run: it is not WebAssembly, a core module,
    /// another contract version, an import that the host doesn't offer.
    #[error("{name} is not a plugin that can run here: {message}")]
    NotAPlugin {
        /// The file or the name that was given.
        name: String,
        /// What is wrong with it and what to do.
        message: String,
    },
    /// The file is not the one that was pinned. It was not parsed.
    #[error("{name} has the digest {found}, and {pinned} is pinned")]
    OtherDigest {
        /// The file.
        name: String,
        /// The pinned SHA-256, in lower-case hexadecimal.
        pinned: String,
        /// The SHA-256 of the file.
        found: String,
    },
    /// The plugin works and refuses its configuration or its input.
    #[error("{plugin}: {message}")]
    Refusal {
        /// The plugin's name.
        plugin: String,
        /// What is wrong and what to do about it.
        message: String,
        /// The part of the configuration to blame, as a JSON Pointer.
        config_path: Option<String>,
        /// The input column to blame.
        column: Option<String>,
    },
    /// The plugin crashed, exceeded a limit or returned invalid output.
    #[error("{plugin} failed in {phase}: {message}")]
    Fault {
        /// The plugin's name.
        plugin: String,
        /// The call that it failed in.
        phase: Phase,
        /// What kind of failure it was.
        kind: FaultKind,
        /// What happened, with the plugin's last output if there is any.
        message: String,
        /// The lines that it logged during the call.
        log: Vec<String>,
    },
    /// The call was cancelled by a [`Canceller`](crate::Canceller).
    #[error("a call of {plugin} was cancelled")]
    Cancelled {
        /// The plugin's name.
        plugin: String,
    },
    /// The world outside failed: a file, a folder, a permission, the compiling process.
    #[error("{message}")]
    Environment {
        /// What could not be done, and to what.
        message: String,
        /// The error underneath.
        #[source]
        source: Option<std::io::Error>,
    },
    /// The host itself is wrong. Please report it.
    #[error("the plugin host is at fault: {message}")]
    Bug {
        /// What must not happen.
        message: String,
    },
}

impl HostError {
    /// The kind of error, of those that a plugin or the machine is to blame for while a pipeline runs.
    pub fn code(&self) -> Option<&'static Code> {
        match self {
            Self::NotAPlugin { .. } | Self::OtherDigest { .. } | Self::Cancelled { .. } | Self::Bug { .. } => None,
            Self::Refusal { .. } => Some(codes::REFUSAL),
            Self::Fault { kind, .. } => Some(kind.code()),
            Self::Environment { .. } => Some(codes::SETUP),
        }
    }

    pub(crate) fn not_a_plugin(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::NotAPlugin { name: name.into(), message: message.into() }
    }

    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self::Environment { message: message.into(), source: None }
    }

    /// `what` names the operation and its object: `"read plugin.wasm"`.
    pub(crate) fn io(what: impl fmt::Display, source: std::io::Error) -> Self {
        Self::Environment { message: format!("cannot {what}: {source}"), source: Some(source) }
    }

    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::Bug { message: message.into() }
    }
}

/// The call that a plugin was in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Before the first call: start functions and the setting up of memories and tables.
    Initialisation,
    /// `describe`.
    Describe,
    /// `prepare`.
    Prepare,
    /// `open`.
    Open,
    /// `process` of a transform.
    Process,
    /// `update` of an aggregate.
    Update,
    /// `merge` of an aggregate.
    Merge,
    /// `take-state` of an aggregate.
    TakeState,
    /// `finish` of an aggregate.
    Finish,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initialisation => "initialisation",
            Self::Describe => "describe",
            Self::Prepare => "prepare",
            Self::Open => "open",
            Self::Process => "process",
            Self::Update => "update",
            Self::Merge => "merge",
            Self::TakeState => "take-state",
            Self::Finish => "finish",
        })
    }
}

/// What kind of failure a fault was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// WebAssembly trapped: a panic, an `unreachable`, an access out of bounds.
    Trap,
    /// The call took longer than its deadline.
    Deadline,
    /// More memory was requested than the limit allows.
    Memory,
    /// More table elements were requested than the limit allows.
    Table,
    /// The call stack was exhausted.
    Stack,
    /// The answer is larger than the limit allows.
    Output,
    /// The answer breaks the contract: invalid bytes, a wrong schema, a row counted twice.
    Answer,
    /// The plugin requested something that a sandbox doesn't have: a file, the network, to wait, to
    /// exit.
    Forbidden,
    /// The plugin refused to process a batch.
    Refused,
    /// The plugin contradicts an earlier result.
    Unstable,
    /// The plugin relies on something of a later version of the contract that this host does not know.
    Unsupported,
}

impl FaultKind {
    fn code(self) -> &'static Code {
        match self {
            Self::Trap => codes::TRAP,
            Self::Deadline => codes::DEADLINE,
            Self::Memory | Self::Table => codes::MEMORY,
            Self::Stack => codes::STACK,
            Self::Output => codes::OUTPUT,
            Self::Answer => codes::ANSWER,
            Self::Forbidden => codes::FORBIDDEN,
            Self::Refused => codes::REFUSED_BATCH,
            Self::Unstable => codes::UNSTABLE,
            Self::Unsupported => codes::UNSUPPORTED,
        }
    }
}

/// A mistake in a plugin's configuration, found by the plugin's own JSON Schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The place in the configuration, as a JSON Pointer; empty for the whole.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

/// A failed call, before the plugin's name is attached.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub phase: Phase,
    pub kind: FaultKind,
    pub message: String,
    pub log: Vec<String>,
    /// Nothing failed: the call was not wanted any more.
    pub cancelled: bool,
}

impl Fault {
    pub fn new(phase: Phase, kind: FaultKind, message: impl Into<String>) -> Self {
        Self { phase, kind, message: message.into(), log: Vec::new(), cancelled: false }
    }

    /// An answer that breaks the contract.
    pub fn answer(phase: Phase, message: impl Into<String>) -> Self {
        Self::new(phase, FaultKind::Answer, message)
    }

    pub fn of(self, plugin: &str) -> HostError {
        if self.cancelled {
            return HostError::Cancelled { plugin: plugin.to_owned() };
        }
        HostError::Fault { plugin: plugin.to_owned(), phase: self.phase, kind: self.kind, message: self.message, log: self.log }
    }
}
