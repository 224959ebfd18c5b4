//! What the host keeps per WebAssembly instance: its limits, its log, its deterministic randomness.

use wasmtime::{ResourceLimiter, UpdateDeadline};

use crate::cancel::{Cancelled, Canceller};
use crate::limits::Limits;
use crate::log::Log;

/// The data of a store.
pub(crate) struct StoreData {
    pub log: Log,
    pub canceller: Canceller,
    /// How many ticks of the clock the call may still take.
    pub ticks: u64,
    pub limiter: Limiter,
    pub random: Random,
}

impl StoreData {
    /// What a tick of the clock means to a call.
    pub fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        if self.canceller.is_cancelled() {
            return Err(Cancelled.into());
        }
        self.ticks = self.ticks.saturating_sub(1);
        Ok(if self.ticks == 0 { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) })
    }
}

/// Counts memory and tables of an instance. A refused growth traps instead of returning -1: it is a breach, and few guests handle it well.
#[derive(Debug)]
pub(crate) struct Limiter {
    max_memory_bytes: u64,
    memory_bytes: u64,
    max_table_elements: u64,
    table_elements: u64,
}

/// A bound was passed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Breach {
    #[error("it requested {asked} bytes of memory; its limit is {limit}")]
    Memory { asked: u64, limit: u64 },
    #[error("it requested a table of {asked} elements; its limit is {limit}")]
    Table { asked: u64, limit: u64 },
}

impl Limiter {
    pub fn new(limits: &Limits) -> Self {
        Self { max_memory_bytes: limits.memory_bytes, memory_bytes: 0, max_table_elements: limits.table_elements, table_elements: 0 }
    }

    /// What the instance holds.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let asked = self.memory_bytes.saturating_add(desired.saturating_sub(current) as u64);
        if asked > self.max_memory_bytes {
            return Err(Breach::Memory { asked, limit: self.max_memory_bytes }.into());
        }
        self.memory_bytes = asked;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let asked = self.table_elements.saturating_add(desired.saturating_sub(current) as u64);
        if asked > self.max_table_elements {
            return Err(Breach::Table { asked, limit: self.max_table_elements }.into());
        }
        self.table_elements = asked;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn memories(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_INSTANCES
    }
}

/// The most core instances, memories and tables of one component. A Python plugin has some twenty.
const MAX_INSTANCES: usize = 256;

/// Deterministic randomness: SplitMix64 from a fixed seed, reset for every call so that a result
/// never depends on earlier batches.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    const SEED: u64 = 0x5741_534d_494c_4c00;

    pub fn new() -> Self {
        Self(Self::SEED)
    }

    pub fn begin_call(&mut self) {
        self.0 = Self::SEED;
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length.next_multiple_of(8));
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}
