//! Objects in S3 and in stores that speak its language.
//!
//! One client serves the tables of `delta`, the checkpoints of a pipeline and the objects of sources and sinks: a [`Bucket`], with one
//! retry policy and conditional puts. What an attempt did whose answer was lost is found out by reading before anything is tried again.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bucket;
mod client;
mod config;
mod depot;
pub mod examine;
mod failure;
mod folder_list;
mod health;
mod kernel_store;
mod listing;
mod notes;
mod object;
mod request;
mod state;
mod upload;
mod uri;

pub use bucket::{AT_ONCE, Bucket, Put};
pub use config::S3Config;
pub use failure::{Failure, Kind, failed};
pub use kernel_store::KernelStore;
pub use notes::{UploadEpoch, UploadNotes};
pub use object::{Object, When};
pub use request::Patience;
pub use state::S3State;
pub use upload::{Completion, ObjectWriter, Upload, Uploading, gone};
pub use uri::{S3Uri, longest_folder};
pub use wasmill_connect::Secret;
pub use wasmill_connect::aws::AssumeRole;
