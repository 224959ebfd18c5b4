//! The threads of servers: their own, so that a busy gateway does not delay the clients of pipelines.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};
use wasmill_engine::codes::THREADS;
use wasmill_engine::{Error, Result};

/// Requests that wait for a client that blocks, at most.
const BLOCKING_THREADS: usize = 64;

/// The threads: one per core for requests, and some for what blocks.
///
/// # Errors
/// They can't be started.
pub fn handle() -> Result<Handle> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let built = RUNTIME
        .get_or_init(|| Builder::new_multi_thread().max_blocking_threads(BLOCKING_THREADS).thread_name("gateway").enable_all().build());
    let runtime =
        built.as_ref().map_err(|error| Error::environment(format!("cannot start the threads of a server: {error}")).code(THREADS))?;
    Ok(runtime.handle().clone())
}
