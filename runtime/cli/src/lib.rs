//! The command line of Wasmill: a pipeline file becomes a checked pipeline, a plan, a run.
//!
//! * [`document`]: YAML as a tree whose nodes know where they were written.
//! * [`spec`]: the contents of the file as types; the JSON Schema and the reference page are
//!   generated from them.
//! * [`registry`]: the connectors of this binary.
//! * [`check`]: finds everything that is wrong, at once; the result is a [`check::Checked`].
//! * [`plugins`]: plugins as the check sees them.
//! * [`diagnostics`]: findings, for readers and for programs.
//! * [`plan`]: from a checked pipeline to the engine's plan.
//! * [`report`]: a pipeline as a page.
//! * [`run`]: how a run is displayed, watched and stopped.
//! * `gateway`: gateway files, and what lies behind their routes.
//! * `schedule`: the file of a schedule as types, and what is wrong with it.
//! * [`terminal`]: texts from outside, made safe to display.
//! * [`commands`]: one file per command.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod check;
pub mod commands;
pub mod diagnostics;
pub mod document;
pub mod exit;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod logging;
pub mod plan;
pub mod plugins;
pub mod reference;
pub mod registry;
pub mod report;
pub mod run;
#[cfg(feature = "schedule")]
pub mod schedule;
pub mod spec;
pub mod terminal;

pub use commands::{main, main_with};
