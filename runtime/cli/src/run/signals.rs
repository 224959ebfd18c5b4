//! SIGINT and SIGTERM: the first finishes the epoch, the second ends the process at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use wasmill_engine::{Error, Result, StopSignal};

/// The exit status of a process that a second signal ended: 128 + SIGINT, by the convention of
/// shells.
const STOPPED_AT_ONCE: i32 = 130;

/// A stop signal that SIGINT and SIGTERM set.
///
/// # Errors
/// The handlers can't be installed.
pub fn stop_on_signals() -> Result<StopSignal> {
    let stop = StopSignal::new();
    for signal in [SIGINT, SIGTERM] {
        // The order matters: the shutdown reads the flag before the same signal sets it.
        signal_hook::flag::register_conditional_shutdown(signal, STOPPED_AT_ONCE, stop.flag())
            .and_then(|_| signal_hook::flag::register(signal, stop.flag()))
            .map_err(|error| Error::io("listen for signals", error))?;
    }
    Ok(stop)
}
