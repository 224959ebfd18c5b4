//! Files on a disk.

pub mod source;
