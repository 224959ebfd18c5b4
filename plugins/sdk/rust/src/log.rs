//! Lines for the pipeline's log: the only output of a plugin besides its answers.

#[cfg(target_family = "wasm")]
use crate::bindings::wasmill::plugin::logging;

macro_rules! levels {
    ($($(#[$doc:meta])* $name:ident $level:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(message: impl AsRef<str>) {
            #[cfg(target_family = "wasm")]
            logging::log(logging::Level::$level, message.as_ref());
            // Natively, in tests, the log is the test's own output.
            #[cfg(not(target_family = "wasm"))]
            eprintln!("{}: {}", stringify!($name), message.as_ref());
        }
    )*};
}

levels! {
    /// Writes a line for debugging the plugin.
    debug Debug;
    /// Writes a line about normal operation.
    info Info;
    /// Writes a line about something that deserves attention.
    warn Warn;
    /// Writes a line about something that went wrong.
    error Error;
}
