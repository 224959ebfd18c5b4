//! The settings of the WebAssembly engine: the one place that decides which machine code plugins
//! become.

use wasmtime::{Config, Engine, OptLevel};

use crate::error::HostError;

/// The part of a thread's stack that a plugin may use. Threads of Rust's standard library have 2 MiB.
const STACK_BYTES: usize = 512 << 10;

/// Creates the engine. `stack_bytes` does not affect compiled code; everything else here does.
pub(crate) fn engine(stack_bytes: Option<usize>) -> Result<Engine, HostError> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.max_wasm_stack(stack_bytes.unwrap_or(STACK_BYTES));
    config.cranelift_opt_level(OptLevel::Speed);
    // The same input gives the same output on every machine. These are the two places where
    // WebAssembly leaves results open.
    config.cranelift_nan_canonicalization(true);
    config.wasm_relaxed_simd(false);
    // A plugin runs in one thread. Without shared memory it cannot wait forever either. (The
    // `threads` feature of wasmtime is not even built in.)
    config.wasm_memory64(false);
    config.wasm_component_model(true);
    // Faults are reported by the plugin's own message and the trap; addresses of frames help
    // nobody.
    config.wasm_backtrace_max_frames(None);
    Engine::new(&config).map_err(|error| HostError::environment(format!("cannot set up WebAssembly on this machine: {error:#}")))
}
