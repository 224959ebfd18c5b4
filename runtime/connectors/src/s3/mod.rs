//! Objects in S3 and in stores that speak its language: as a source and as a sink.

pub mod sink;
pub mod source;
