//! The hidden command that compiles a plugin: the host starts it in a process of its own, which it can kill.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use wasmill_host::{COMPILE_REFUSED_STATUS, HostError, compile_child};

use crate::exit;

/// Compiles a plugin to machine code
#[derive(Debug, Args)]
pub struct CompilePlugin {
    wasm: PathBuf,
    output: PathBuf,
}

impl CompilePlugin {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        match compile_child(&self.wasm, &self.output) {
            Ok(()) => exit::OK,
            Err(HostError::NotAPlugin { message, .. }) => {
                let _ = writeln!(std::io::stderr(), "{message}");
                u8::try_from(COMPILE_REFUSED_STATUS).unwrap_or(exit::BUG)
            }
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "{error}");
                exit::ENVIRONMENT
            }
        }
    }
}
