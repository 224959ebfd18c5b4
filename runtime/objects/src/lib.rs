//! Objects in S3 and in stores with its API.
//!
//! One client serves the tables of `delta`, the checkpoints of a pipeline and the objects of
//! sources and sinks: a [`Bucket`], with one retry policy and conditional puts. The outcome of an
//! attempt whose response was lost is determined by reading before any retry.
//!
//! The client is the feature `aws`. Without it there is no [`Bucket`], and opening one is an error.
//! Configurations and addresses exist in every build, so every binary reads a pipeline file the
//! same way.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod codes;
mod config;
mod plain;
mod uri;

#[cfg(feature = "aws")]
mod bucket;
#[cfg(feature = "aws")]
mod client;
#[cfg(feature = "aws")]
mod depot;
#[cfg(feature = "aws")]
mod examine;
#[cfg(feature = "aws")]
mod failure;
#[cfg(feature = "aws")]
mod folder_list;
#[cfg(feature = "aws")]
mod health;
#[cfg(feature = "aws")]
mod kernel_store;
#[cfg(feature = "aws")]
mod listing;
#[cfg(feature = "aws")]
mod notes;
#[cfg(feature = "aws")]
mod object;
#[cfg(feature = "aws")]
mod request;
#[cfg(feature = "aws")]
mod state;
#[cfg(feature = "aws")]
mod upload;
#[cfg(not(feature = "aws"))]
mod without_client;

pub use config::S3Config;
pub use plain::{Completion, Object, Put, RetryTime, Upload, UploadEpoch, Use};
pub use uri::{S3Uri, longest_folder};
pub use wasmill_connect::Secret;
pub use wasmill_connect::aws::AssumeRole;

#[cfg(not(feature = "aws"))]
pub use without_client::{Bucket, Failure, ObjectWriter, UploadNotes, Uploading, examine, failed, open_state};
#[cfg(feature = "aws")]
pub use {
    bucket::{AT_ONCE, Bucket},
    examine::examine,
    failure::{Failure, Kind, failed},
    folder_list::FolderList,
    notes::UploadNotes,
    object::When,
    state::{S3State, open_state},
    upload::{ObjectWriter, Uploading, gone},
};
