//! Chance that a seed repeats.

/// Numbers that a seed repeats.
pub struct Random(pub fastrand::Rng);

impl Random {
    /// The numbers of a seed.
    pub fn with_seed(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// The chance of `WASMILL_CRASH_SEED`, different for each name; without the variable, of this process. The seed is printed, so that a test that
    /// fails says how it is repeated.
    pub fn of(name: &str) -> Self {
        let seed = number_from_environment("WASMILL_CRASH_SEED", u64::from(std::process::id()));
        println!("{name}: WASMILL_CRASH_SEED={seed}");
        // FNV-1a: the standard library's hash may change with its version.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        Self::with_seed(hash ^ seed)
    }

    /// A number below another one.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.u64(..bound)
    }
}

/// The number in a variable, or another one where it is not set.
pub fn number_from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}
