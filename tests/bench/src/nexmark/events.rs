//! Which event is what, when it was, and to which person or auction it belongs.

use serde::{Deserialize, Serialize};

use super::draw::{Draw, Purpose};

/// Of so many events in a row …
pub const CYCLE: u64 = 50;
/// … the first is a person, …
pub const PERSONS: u64 = 1;
/// … the next three are auctions, …
pub const AUCTIONS: u64 = 3;
/// … and the others are bids.
pub const BIDS: u64 = CYCLE - PERSONS - AUCTIONS;

/// The least id of persons and auctions.
pub const FIRST_ID: u64 = 1_000;
/// The least category; there are five.
pub const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;

/// Midnight of 1 January 2026 in UTC, in microseconds since 1970.
pub const BEGINNING: i64 = 1_767_225_600_000_000;
/// How much earlier than its place in the stream an event may have been, in microseconds.
pub const DISORDER: u64 = 50_000;

/// One hot auction, seller and bidder among so many ids.
const HOT_EVERY: u64 = 100;
/// Bids that do not go to the hot auction go to one of so many latest ones.
const OPEN_AUCTIONS: u64 = 100;
/// Sellers and bidders that are not hot are among so many latest persons.
const ACTIVE_PERSONS: u64 = 1_000;
/// So many ids ahead may be named before their event comes.
const LEAD: u64 = 10;

/// The seed where none is given.
pub const SEED: u64 = 1;
/// Events per second of event time where nothing is given.
pub const PER_SECOND: u64 = 10_000;

/// What the events are generated from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Another seed gives other events.
    pub seed: u64,
    /// Events per second of event time, at least 1.
    pub per_second: u64,
}

/// The events of a stream. Their numbers count from 0.
#[derive(Debug, Clone, Copy)]
pub struct Events {
    stream: Stream,
    disorder: Draw,
    expires: Draw,
    is_hot_seller: Draw,
    seller: Draw,
    category: Draw,
    is_hot_auction: Draw,
    auction: Draw,
    is_hot_bidder: Draw,
    bidder: Draw,
}

impl Events {
    /// The events of this stream.
    pub const fn new(stream: Stream) -> Self {
        let seed = stream.seed;
        Self {
            stream,
            disorder: Draw::new(seed, Purpose::Disorder),
            expires: Draw::new(seed, Purpose::Expires),
            is_hot_seller: Draw::new(seed, Purpose::IsHotSeller),
            seller: Draw::new(seed, Purpose::Seller),
            category: Draw::new(seed, Purpose::Category),
            is_hot_auction: Draw::new(seed, Purpose::IsHotAuction),
            auction: Draw::new(seed, Purpose::Auction),
            is_hot_bidder: Draw::new(seed, Purpose::IsHotBidder),
            bidder: Draw::new(seed, Purpose::Bidder),
        }
    }

    /// What they are generated from.
    pub const fn stream(&self) -> Stream {
        self.stream
    }

    /// When an event was, in microseconds since 1970: at its turn, or up to [`DISORDER`] before it.
    pub const fn time(&self, event: u64) -> i64 {
        BEGINNING + self.offset(event).cast_signed() - self.disorder.below(event, DISORDER + 1).cast_signed()
    }

    /// How long behind the beginning the turn of an event is, in microseconds.
    const fn offset(&self, event: u64) -> u64 {
        event * 1_000_000 / self.stream.per_second
    }

    /// When the auction of an event closes. On average, it is open while [`OPEN_AUCTIONS`] others open.
    pub const fn expires(&self, event: u64) -> i64 {
        self.time(event) + 1_000 + self.expires.below(event, self.longest()).cast_signed()
    }

    /// No auction is open for longer, in microseconds, but for a millisecond.
    pub const fn longest(&self) -> u64 {
        2 * self.offset(OPEN_AUCTIONS * CYCLE / AUCTIONS)
    }

    /// Who sells in the auction of an event: three times of four the hot seller of the moment.
    pub const fn seller(&self, event: u64) -> u64 {
        let latest = event / CYCLE;
        if self.is_hot_seller.below(event, 4) > 0 { hot(latest) } else { FIRST_ID + recent(self.seller, event, latest, ACTIVE_PERSONS) }
    }

    /// The category of the auction of an event.
    pub const fn category(&self, event: u64) -> u64 {
        FIRST_CATEGORY + self.category.below(event, CATEGORIES)
    }

    /// The auction of a bid: every other time the hot auction of the moment.
    pub const fn auction(&self, event: u64) -> u64 {
        let latest = event / CYCLE * AUCTIONS + AUCTIONS - 1;
        if self.is_hot_auction.below(event, 2) > 0 { hot(latest) } else { FIRST_ID + recent(self.auction, event, latest, OPEN_AUCTIONS) }
    }

    /// Who bids: three times of four the hot bidder of the moment, who is the person behind the hot seller.
    pub const fn bidder(&self, event: u64) -> u64 {
        let latest = event / CYCLE;
        if self.is_hot_bidder.below(event, 4) > 0 { hot(latest) + 1 } else { FIRST_ID + recent(self.bidder, event, latest, ACTIVE_PERSONS) }
    }
}

/// The hot id while `latest` is the latest place among ids.
const fn hot(latest: u64) -> u64 {
    FIRST_ID + latest / HOT_EVERY * HOT_EVERY
}

/// A place among the `count` latest ones, or a little ahead.
const fn recent(draw: Draw, event: u64, latest: u64, count: u64) -> u64 {
    let count = if latest + 1 < count { latest + 1 } else { count };
    latest + 1 - count + draw.below(event, count + LEAD)
}
