//! Objects in S3 and in stores that speak its language.
//!
//! One client serves the tables of `delta`, the checkpoints of a pipeline and the objects of sources and sinks: a [`Bucket`], with one
//! retry policy and conditional puts. What an attempt did whose answer was lost is found out by reading before anything is tried again.

mod bucket;
mod config;
mod credentials;
pub mod examine;
mod failure;
mod health;
mod listing;
pub mod sink;
pub mod source;
mod state;
mod upload;
mod uri;

pub(crate) use bucket::{Bucket, Patience, Put};
pub use config::S3Config;
pub(crate) use failure::{failed, failed_elsewhere};
pub(crate) use listing::PendingUpload;

pub use crate::aws::AssumeRole;
pub use crate::secret::Secret;
pub use state::S3State;
pub(crate) use upload::{Completion, ObjectWriter, Upload, Uploading};
pub use uri::S3Uri;
