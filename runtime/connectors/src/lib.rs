//! placeholder

pub mod emulator;
