//! The threads of asynchronous clients: one small set a process, however many tables and buckets there are.

use std::sync::OnceLock;

use tokio::runtime::{Handle, Runtime};
use wasmill_engine::codes::THREADS;
use wasmill_engine::{Error, Result};

/// The threads. There are two, because the Delta kernel reads the rows of a checkpoint while it
/// writes it, and a single thread would wait for itself forever.
pub fn handle() -> Result<Handle> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let built = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(8).thread_name("clients").enable_all().build()
    });
    let runtime = built
        .as_ref()
        .map_err(|error| Error::environment(format!("cannot start the threads of asynchronous clients: {error}")).code(THREADS))?;
    Ok(runtime.handle().clone())
}
