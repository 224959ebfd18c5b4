//! What a plugin writes: bounded lines, safe to display, kept for a fault that may follow.

use std::collections::VecDeque;
use std::sync::Arc;

use wasmill_boundary::text::{MAX_LINE_BYTES, printable};

/// The level of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogLevel {
    /// For people who look into the plugin.
    Debug,
    /// The normal course of things, and what a plugin writes to standard output and error.
    Info,
    /// Something that someone should look at.
    Warn,
    /// Something that went wrong.
    Error,
}

/// A line that a plugin wrote, without control characters and bounded in length.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LogLine<'a> {
    /// The plugin's name.
    pub plugin: &'a str,
    /// How urgent it is.
    pub level: LogLevel,
    /// The line.
    pub text: &'a str,
}

/// Where lines go.
pub(crate) type LogSink = Arc<dyn Fn(LogLine<'_>) + Send + Sync>;

/// Sends lines to the crate `tracing`, under the target `wasmill::plugin`.
pub(crate) fn to_tracing(line: LogLine<'_>) {
    let LogLine { plugin, level, text } = line;
    match level {
        LogLevel::Debug => tracing::debug!(target: "wasmill::plugin", plugin, "{text}"),
        LogLevel::Info => tracing::info!(target: "wasmill::plugin", plugin, "{text}"),
        LogLevel::Warn => tracing::warn!(target: "wasmill::plugin", plugin, "{text}"),
        LogLevel::Error => tracing::error!(target: "wasmill::plugin", plugin, "{text}"),
    }
}

/// What a line costs besides its text: the time, the level and the name that the pipeline's log adds to it.
const LINE_BYTES: usize = 64;

/// How many of the dropped lines are kept after all.
const TAIL_LINES: usize = 4;

/// The log of one instance. What one call writes is bounded, and every call has the whole bound.
pub(crate) struct Log {
    plugin: Arc<str>,
    sink: LogSink,
    max_bytes: usize,
    bytes: usize,
    lines: Vec<String>,
    /// The last lines of those that were dropped: a panic's message comes last.
    tail: VecDeque<String>,
    dropped: u64,
    /// What was written to standard output and error since the last line feed.
    partial: Vec<u8>,
}

impl Log {
    pub fn new(plugin: Arc<str>, sink: LogSink, max_bytes: usize) -> Self {
        Self { plugin, sink, max_bytes, bytes: 0, lines: Vec::new(), tail: VecDeque::new(), dropped: 0, partial: Vec::new() }
    }

    /// Clears what the last call wrote.
    pub fn begin_call(&mut self) {
        self.bytes = 0;
        self.lines.clear();
        self.tail.clear();
        self.dropped = 0;
        self.partial.clear();
    }

    /// Adds a line by the contract's `log` function.
    pub fn line(&mut self, level: LogLevel, text: &str) {
        let line = printable(text, MAX_LINE_BYTES);
        let cost = line.len() + LINE_BYTES;
        if self.dropped > 0 || self.bytes.saturating_add(cost) > self.max_bytes {
            self.dropped += 1;
            if self.tail.len() == TAIL_LINES {
                self.tail.pop_front();
            }
            self.tail.push_back(line);
            return;
        }
        self.bytes += cost;
        (self.sink)(LogLine { plugin: &self.plugin, level, text: &line });
        self.lines.push(line);
    }

    /// Takes bytes written to standard output or error; lines end with a line feed.
    pub fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = MAX_LINE_BYTES.saturating_sub(self.partial.len());
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            self.partial.extend_from_slice(&text[..text.len().min(room)]);
            if text.len() != piece.len() {
                self.flush();
            }
        }
    }

    /// Ends the unfinished line.
    fn flush(&mut self) {
        let partial = std::mem::take(&mut self.partial);
        self.line(LogLevel::Info, &String::from_utf8_lossy(&partial));
    }

    /// Ends a call: the lines that it wrote. Past the bound only their number and the last few of them are there.
    pub fn end_call(&mut self) -> Vec<String> {
        if !self.partial.is_empty() {
            self.flush();
        }
        let mut lines = std::mem::take(&mut self.lines);
        if self.dropped > 0 {
            let note = format!("({} more lines were dropped)", self.dropped.saturating_sub(self.tail.len() as u64));
            (self.sink)(LogLine { plugin: &self.plugin, level: LogLevel::Warn, text: &note });
            lines.push(note);
            lines.extend(self.tail.drain(..));
            self.dropped = 0;
        }
        lines
    }
}

/// The last output of a plugin before it trapped: the message of a Rust panic, or else its last
/// line.
pub(crate) fn last_words(lines: &[String]) -> Option<String> {
    let panic = lines.iter().rposition(|line| line.contains("panicked at "));
    match panic {
        Some(index) => {
            let place = lines[index].split_once("panicked at ").map_or("", |(_, place)| place).trim_end_matches(':');
            let message = lines.get(index + 1).map_or("", String::as_str);
            // An allocation that failed, or a note how to get a backtrace, is not the panic's message.
            Some(if message.is_empty() || message.starts_with("note: ") {
                format!("panicked at {place}")
            } else {
                format!("panicked at {place}: {message}")
            })
        }
        None => lines.iter().rev().find(|line| !line.trim().is_empty()).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_past_the_bound_are_counted() {
        let mut log = Log::new("p".into(), Arc::new(to_tracing), 2 * LINE_BYTES + 8);
        log.write(b"12345\n123\n12345678\n1234567\n123456\n12345\n1234\n");
        assert_eq!(log.end_call(), ["12345", "123", "(1 more lines were dropped)", "1234567", "123456", "12345", "1234"]);
        log.begin_call();
        log.write(b"anew\n");
        assert_eq!(log.end_call(), ["anew"]);
    }

    #[test]
    fn empty_lines_pass_no_bound() {
        let mut log = Log::new("p".into(), Arc::new(to_tracing), 10 * LINE_BYTES);
        log.write(&[b'\n'; 100_000]);
        (0..100_000).for_each(|_| log.line(LogLevel::Info, ""));
        let lines = log.end_call();
        assert_eq!(lines.len(), 10 + 1 + TAIL_LINES);
        assert_eq!(lines[10], "(199986 more lines were dropped)");
    }

    #[test]
    fn a_panic_is_found_among_the_lines() {
        let lines = ["thread 'main' panicked at src/lib.rs:7:9:".to_owned(), "no such pin".to_owned(), "note: run with".to_owned()];
        assert_eq!(last_words(&lines).as_deref(), Some("panicked at src/lib.rs:7:9: no such pin"));
    }
}
