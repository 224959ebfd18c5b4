//! The log of the process: standard error, without secrets.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;

use crate::document::Redactor;
use crate::terminal::harmless;

/// Sets the log levels: `warn` (the default), `info`, `debug`, or by target as in
/// `warn,wasmill=debug`.
const VARIABLE: &str = "WASMILL_LOG";

/// Sends the log to standard error. Values that the redactor has, now or later, are removed from
/// every line.
pub fn install(redactor: Redactor) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new("warn"));
    let writer = move || Redacted { redactor: redactor.clone(), line: Vec::new() };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false).with_target(false);
    // Only a second call could fail, and then the first one's subscriber is used.
    let _ = subscriber.try_init();
}

/// One line of the log, held back until it is whole, so that a secret is never cut in two.
struct Redacted {
    redactor: Redactor,
    line: Vec<u8>,
}

impl Write for Redacted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        io::stderr().write_all(harmless(&self.redactor.clean(&String::from_utf8_lossy(&line))).as_bytes())
    }
}

impl Drop for Redacted {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}
