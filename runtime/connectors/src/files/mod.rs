//! Files on a disk.

pub mod sink;
pub mod source;
