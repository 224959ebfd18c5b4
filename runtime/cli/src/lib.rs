//! The command line of Wasmill: a pipeline file becomes a checked pipeline, a plan, a run.
//!
//! * [`document`]: YAML as a tree that knows where everything was written.
//! * [`spec`]: what the file may say, as types; the JSON Schema and the reference page come from them.
//! * [`registry`]: the connectors of this binary.
//! * [`check`]: everything that is wrong, at once; the result is a [`check::Checked`].
//! * [`plugins`]: plugins as the check sees them.
//! * [`diagnostics`]: findings, for people and for programs.
//! * [`plan`]: from a checked pipeline to the engine's plan.
//! * [`run`]: what a run shows, and how it is stopped.
//! * [`terminal`]: texts from outside, made fit to be shown.
//! * [`commands`]: one file per command.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod check;
pub mod commands;
pub mod diagnostics;
pub mod document;
pub mod exit;
pub mod logging;
pub mod plan;
pub mod plugins;
pub mod reference;
pub mod registry;
pub mod run;
pub mod spec;
pub mod terminal;

pub use commands::main;
