//! Repeatable randomness: a value depends on the seed, its purpose and a number, and on no value before it.

/// What a sequence of values is for; each has its own.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    Disorder = 1,
    FirstName,
    LastName,
    Card,
    City,
    State,
    Item,
    Description,
    InitialBid,
    Reserve,
    Expires,
    IsHotSeller,
    Seller,
    Category,
    IsHotAuction,
    Auction,
    IsHotBidder,
    Bidder,
    Price,
    Channel,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64.
const fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A sequence of random values that can be entered anywhere.
#[derive(Debug, Clone, Copy)]
pub struct Draw(u64);

impl Draw {
    /// The sequence of a seed and a purpose.
    pub const fn new(seed: u64, purpose: Purpose) -> Self {
        Self(mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(GOLDEN.wrapping_mul(purpose as u64))))
    }

    /// Its value at a number.
    pub const fn at(self, number: u64) -> u64 {
        mix(self.0.wrapping_add(number.wrapping_mul(GOLDEN)))
    }

    /// A number from 0 to `bound - 1`; 0 if the bound is 0.
    pub const fn below(self, number: u64, bound: u64) -> u64 {
        ((self.at(number) as u128 * bound as u128) >> 64) as u64
    }

    /// A number from 0 up to, but not including, 1.
    pub fn unit(self, number: u64) -> f64 {
        (self.at(number) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of the items. There must be one.
    pub const fn pick<T: Copy>(self, number: u64, items: &[T]) -> T {
        items[self.below(number, items.len() as u64) as usize]
    }
}
