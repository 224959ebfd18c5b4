//! The connectors of this binary.

use std::sync::OnceLock;

use wasmill_connect::registry::Connector;

/// Lists connectors by the names of their crates, which are those of their features and of their keys in pipeline files.
macro_rules! connectors {
    ($($connector:ident = $feature:literal),* $(,)?) => {
        /// The built-in connectors, in the order of the documentation.
        static BUILT_IN: &[&Connector] = &[$(#[cfg(feature = $feature)] &$connector::CONNECTOR),*];
        /// The names of all that there are.
        const KNOWN: &[&str] = &[$($feature),*];
    };
}

connectors! {
    files = "files",
    s3 = "s3",
    emulator = "emulator",
    http = "http",
    kafka = "kafka",
    kinesis = "kinesis",
    delta = "delta",
    mysql = "mysql",
    postgres = "postgres",
    console = "console",
}

/// The connectors of this process, in the order of the documentation.
static ALL: OnceLock<Vec<&'static Connector>> = OnceLock::new();

/// The connectors that are built in, and those that the program has added.
pub fn connectors() -> &'static [&'static Connector] {
    ALL.get_or_init(|| BUILT_IN.to_vec())
}

/// Adds connectors behind the built-in ones, for the rest of this process. False if it is too late: the connectors were listed or added before.
#[must_use]
pub fn add(more: &[&'static Connector]) -> bool {
    ALL.set(BUILT_IN.iter().chain(more).copied().collect()).is_ok()
}

/// Whether a name is that of a connector of Wasmill which this binary lacks.
pub fn is_left_out(name: &str) -> bool {
    KNOWN.contains(&name) && connectors().iter().all(|connector| connector.name != name)
}

/// The names of connectors that this binary lacks.
pub fn left_out() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().copied().filter(|name| is_left_out(name))
}
