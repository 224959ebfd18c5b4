//! Objects in S3 and in stores that speak its language.
//!
//! One client serves the tables of `delta`, the checkpoints of a pipeline and the objects of sources and sinks: a [`Bucket`], with one
//! retry policy and conditional puts. What an attempt did whose answer was lost is found out by reading before anything is tried again.

mod bucket;
mod client;
mod config;
mod depot;
pub mod examine;
mod failure;
mod health;
mod listing;
mod notes;
mod object;
mod object_store;
mod request;
pub mod sink;
pub mod source;
mod state;
mod upload;
mod uri;

pub(crate) use bucket::{Bucket, Put};
pub use config::S3Config;
pub(crate) use failure::{Failure, failed};
pub(crate) use notes::{UploadEpoch, UploadNotes};
pub(crate) use object::Object;
pub(crate) use object_store::KernelStore;
pub(crate) use request::Patience;

pub use crate::aws::AssumeRole;
pub use crate::secret::Secret;
pub use state::S3State;
pub(crate) use upload::{Completion, ObjectWriter, Upload, Uploading};
pub use uri::S3Uri;
pub(crate) use uri::longest_folder;
