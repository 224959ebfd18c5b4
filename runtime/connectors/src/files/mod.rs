//! Files on a disk.

mod examine;
pub mod sink;
pub mod source;

pub use examine::examine_source;
