//! The cases next to the plugin on its component, as it is shipped, in the host that pipelines use.
#![allow(clippy::panic)]

wasmill_plugin_test::cases!();
