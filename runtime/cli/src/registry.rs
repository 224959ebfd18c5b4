//! The connectors of this binary.

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
    kafka = "kafka",
    kinesis = "kinesis",
    delta = "delta",
    postgres = "postgres",
    console = "console",
}

/// The connectors that are built in.
pub fn connectors() -> &'static [&'static Connector] {
    BUILT_IN
}

/// Whether a name is that of a connector of Wasmill which this binary lacks.
pub fn is_left_out(name: &str) -> bool {
    KNOWN.contains(&name) && connectors().iter().all(|connector| connector.name != name)
}

/// The names of connectors that this binary lacks.
pub fn left_out() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().copied().filter(|name| is_left_out(name))
}
