//! Files in a folder.

pub mod sink;
