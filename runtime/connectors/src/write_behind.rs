//! Files whose bytes go to the disk while more of them are written, so that little is left to wait for when they have to be durable.

pub(crate) use wasmill_engine::disk::WriteBehind;
