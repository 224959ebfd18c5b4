//! From WebAssembly to machine code: in this process, or in a child that is killed when it takes too long.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use wasmill_boundary::text::printable;
use wasmtime::Engine;

use crate::artifact;
use crate::error::HostError;

/// Where plugins are compiled.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum CompileWith {
    /// In this process, without a time limit: for plugins that are trusted not to be built for slow
    /// compiling.
    #[default]
    ThisProcess,
    /// In a child process that runs [`compile_child`] and is killed when it exceeds its time.
    Child {
        /// The program to start.
        program: PathBuf,
        /// Its first arguments; the paths of the plugin and of the file to write follow.
        args: Vec<OsString>,
    },
}

/// How much memory and processor time the compiling child may take.
const CHILD_MEMORY_BYTES: u64 = 4 << 30;
const CHILD_CPU_SECONDS: u64 = 300;
const CHILD_FILE_BYTES: u64 = 1 << 30;

/// The exit status of a compiling child if the plugin, not the machine, is at fault. Its standard
/// error has the reason.
pub const COMPILE_REFUSED_STATUS: i32 = 65;

/// The body of the compiling child: reads the plugin `wasm`, compiles it with the host's settings,
/// and writes machine code to `output`. It first limits its own process, so call it from a process
/// that does nothing else.
///
/// # Errors
/// [`HostError::NotAPlugin`] where the plugin is not a valid component. Exit with
/// [`COMPILE_REFUSED_STATUS`] then, so that the parent can distinguish it, and print only the
/// error's message. [`HostError::Environment`] for files and limits.
pub fn compile_child(wasm: &Path, output: &Path) -> Result<(), HostError> {
    for (resource, most) in
        [(Resource::As, CHILD_MEMORY_BYTES), (Resource::Cpu, CHILD_CPU_SECONDS), (Resource::Fsize, CHILD_FILE_BYTES), (Resource::Core, 0)]
    {
        // A lower limit that is set already stays: it can't be raised, and was set on purpose.
        let most = getrlimit(resource).maximum.map_or(most, |limit| limit.min(most));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|error| HostError::io("limit the compiling process", error.into()))?;
    }
    let bytes = artifact::read(wasm)?;
    let name = wasm.display().to_string();
    artifact::check(&name, &bytes)?;
    let compiled = here(&crate::engine::engine(None)?, &name, &bytes)?;
    std::fs::write(output, compiled).map_err(|error| HostError::io(format!("write {}", output.display()), error))
}

/// Compiles in this process.
pub(crate) fn here(engine: &Engine, name: &str, wasm: &[u8]) -> Result<Vec<u8>, HostError> {
    engine.precompile_component(wasm).map_err(|error| {
        let reason = printable(&format!("{error:#}"), 1000);
        if error.chain().any(|cause| cause.is::<std::io::Error>()) {
            return HostError::environment(format!("cannot compile {name}: {reason}"));
        }
        HostError::not_a_plugin(name, format!("it is not a valid component: {reason}"))
    })
}

/// Compiles in a child process.
pub(crate) fn in_child(program: &Path, args: &[OsString], timeout: Duration, name: &str, wasm: &[u8]) -> Result<Vec<u8>, HostError> {
    let io = |source| HostError::io(format!("compile {name} with {}", program.display()), source);
    let folder = tempfile::Builder::new().prefix("wasmill-compile-").tempdir().map_err(io)?;
    let (input, output, errors) = (folder.path().join("plugin.wasm"), folder.path().join("plugin.cwasm"), folder.path().join("errors"));
    std::fs::File::create(&input).and_then(|mut file| file.write_all(wasm)).map_err(io)?;
    let stderr = std::fs::File::create(&errors).map_err(io)?;
    let mut child = Command::new(program)
        .args(args)
        .arg(&input)
        .arg(&output)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .map_err(io)?;
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(1);
    let status = loop {
        if let Some(status) = child.try_wait().map_err(io)? {
            break status;
        }
        if Instant::now() >= deadline {
            // It may have ended by itself just now; either way it must be waited for.
            let _ = child.kill();
            let _ = child.wait();
            return Err(HostError::not_a_plugin(name, format!("compiling it takes more than {} s", timeout.as_secs_f32())));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    if status.success() {
        return std::fs::read(&output).map_err(io);
    }
    let said = printable(std::fs::read_to_string(&errors).unwrap_or_default().trim_end(), 1000);
    if status.code() == Some(COMPILE_REFUSED_STATUS) {
        // The child has the plugin under another name.
        let reason = said.split_once("can run here: ").map_or(said.as_str(), |(_, reason)| reason);
        return Err(HostError::not_a_plugin(name, reason));
    }
    if status.signal() == Some(Signal::XCPU.as_raw()) {
        return Err(HostError::not_a_plugin(name, format!("compiling it takes more than {CHILD_CPU_SECONDS} s of processor time")));
    }
    Err(child_failed(name, status, &said))
}

/// A child that ended without reporting on the plugin failed by itself: the plugin must not be
/// blamed.
fn child_failed(name: &str, status: ExitStatus, said: &str) -> HostError {
    // Rust aborts where memory is denied; Linux kills the largest process when the machine runs out
    // of memory.
    let killed = status.signal() == Some(Signal::KILL.as_raw());
    let refused = status.signal() == Some(Signal::ABORT.as_raw()) && said.contains("memory allocation of");
    let help = if killed || refused {
        format!(
            ". It ran out of memory, or was killed. It may take {} GiB; see that it gets them, or compile on a larger machine",
            CHILD_MEMORY_BYTES >> 30
        )
    } else {
        String::new()
    };
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    HostError::environment(format!("the process that compiles {name} failed ({status}){said}{help}"))
}
