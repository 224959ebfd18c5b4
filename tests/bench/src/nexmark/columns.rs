//! The events of one kind as rows: their columns, and which event each row is.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::{Draw, Purpose};
use super::events::{AUCTIONS, BIDS, CYCLE, Events, FIRST_ID, PERSONS};
use super::texts::{CHANNELS, CITIES, FIRST_NAMES, LAST_NAMES, STATES, THINGS, WORDS};

/// A kind of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// Who sells and bids.
    Person,
    /// What is sold.
    Auction,
    /// What is offered for it.
    Bid,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Person, Self::Auction, Self::Bid];

    /// Its name in pipelines and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Auction => "auction",
            Self::Bid => "bid",
        }
    }

    /// How many of [`CYCLE`] events it has.
    pub const fn per_cycle(self) -> u64 {
        match self {
            Self::Person => PERSONS,
            Self::Auction => AUCTIONS,
            Self::Bid => BIDS,
        }
    }

    /// How many events of a cycle come before its own.
    const fn first_of_cycle(self) -> u64 {
        match self {
            Self::Person => 0,
            Self::Auction => PERSONS,
            Self::Bid => PERSONS + AUCTIONS,
        }
    }

    /// The numbers of the events that rows are. Rows count from 0.
    pub fn events(self, rows: Range<u64>) -> Vec<u64> {
        let (per_cycle, first) = (self.per_cycle(), self.first_of_cycle());
        let (mut cycle, mut place) = (rows.start / per_cycle * CYCLE + first, rows.start % per_cycle);
        let next = |_| {
            let event = cycle + place;
            place += 1;
            if place == per_cycle {
                (cycle, place) = (cycle + CYCLE, 0);
            }
            event
        };
        rows.map(next).collect()
    }

    /// How many rows it has among so many events.
    pub fn rows(self, events: u64) -> u64 {
        events / CYCLE * self.per_cycle() + (events % CYCLE).saturating_sub(self.first_of_cycle()).min(self.per_cycle())
    }

    /// Its columns. Money is in cents.
    pub fn schema(self) -> SchemaRef {
        let (number, text) = (DataType::Int64, DataType::Utf8);
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let columns = match self {
            Self::Person => vec![
                ("id", number),
                ("name", text.clone()),
                ("email", text.clone()),
                ("credit_card", text.clone()),
                ("city", text.clone()),
                ("state", text),
                ("date_time", time),
            ],
            Self::Auction => vec![
                ("id", number.clone()),
                ("item", text.clone()),
                ("description", text),
                ("initial_bid", number.clone()),
                ("reserve", number.clone()),
                ("date_time", time.clone()),
                ("expires", time),
                ("seller", number.clone()),
                ("category", number),
            ],
            Self::Bid => vec![
                ("auction", number.clone()),
                ("bidder", number.clone()),
                ("price", number),
                ("channel", text.clone()),
                ("url", text),
                ("date_time", time),
            ],
        };
        Arc::new(Schema::new(columns.into_iter().map(|(name, kind)| Field::new(name, kind, false)).collect::<Vec<_>>()))
    }

    /// Rows of it, with these of its columns.
    ///
    /// # Errors
    /// A column that it does not have, or has in another type.
    pub fn batch(self, events: &Events, rows: Range<u64>, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let count = (rows.end - rows.start) as usize;
        let rows = Rows { table: self, stream: events, first: rows.start, events: self.events(rows) };
        let columns = schema.fields().iter().map(|field| rows.column(field.name())).collect::<Result<_, _>>()?;
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &RecordBatchOptions::new().with_row_count(Some(count)))
    }
}

/// The rows that columns are made of.
struct Rows<'e> {
    table: Table,
    stream: &'e Events,
    /// The number of the first row.
    first: u64,
    /// The event that each row is.
    events: Vec<u64>,
}

impl Rows<'_> {
    fn column(&self, name: &str) -> Result<ArrayRef, ArrowError> {
        match (self.table, name) {
            (_, "date_time") => Ok(self.times(|event| self.stream.time(event))),
            (Table::Person | Table::Auction, "id") => {
                let first = (FIRST_ID + self.first).cast_signed();
                Ok(Arc::new(Int64Array::from_iter_values((first..).take(self.events.len()))))
            }
            (Table::Person, _) => self.person(name),
            (Table::Auction, _) => self.auction(name),
            (Table::Bid, _) => self.bid(name),
        }
    }

    fn numbers(&self, value: impl Fn(u64) -> u64) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(self.events.iter().map(|event| value(*event).cast_signed())))
    }

    fn times(&self, value: impl Fn(u64) -> i64) -> ArrayRef {
        let times = TimestampMicrosecondArray::from_iter_values(self.events.iter().map(|event| value(*event)));
        Arc::new(times.with_timezone("UTC"))
    }

    fn texts<T: AsRef<str>>(&self, value: impl Fn(u64) -> T) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(self.events.iter().map(|event| value(*event))))
    }

    fn draw(&self, purpose: Purpose) -> Draw {
        Draw::new(self.stream.stream().seed, purpose)
    }

    fn missing(&self, name: &str) -> ArrowError {
        ArrowError::SchemaError(format!("the table {} has no column `{name}`", self.table))
    }

    fn person(&self, name: &str) -> Result<ArrayRef, ArrowError> {
        let (first, last) = (self.draw(Purpose::FirstName), self.draw(Purpose::LastName));
        let names = |event| (first.pick(event, FIRST_NAMES), last.pick(event, LAST_NAMES));
        Ok(match name {
            "name" => self.texts(|event| {
                let (first, last) = names(event);
                format!("{first} {last}")
            }),
            "email" => self.texts(|event| {
                let (first, last) = names(event);
                format!("{first}.{last}@mail.example").to_lowercase()
            }),
            "credit_card" => {
                let card = self.draw(Purpose::Card);
                self.texts(|event| format!("{:016}", card.below(event, 10_000_000_000_000_000)))
            }
            "city" => {
                let city = self.draw(Purpose::City);
                self.texts(|event| city.pick(event, CITIES))
            }
            "state" => {
                let state = self.draw(Purpose::State);
                self.texts(|event| state.pick(event, STATES))
            }
            _ => return Err(self.missing(name)),
        })
    }

    fn auction(&self, name: &str) -> Result<ArrayRef, ArrowError> {
        let initial = self.draw(Purpose::InitialBid);
        Ok(match name {
            "item" => {
                let item = self.draw(Purpose::Item);
                self.texts(|event| item.pick(event, THINGS))
            }
            "description" => {
                let (item, description) = (self.draw(Purpose::Item), self.draw(Purpose::Description));
                self.texts(|event| format!("a {}, {}", item.pick(event, THINGS), description.pick(event, WORDS)))
            }
            "initial_bid" => self.numbers(|event| price(initial, event)),
            "reserve" => {
                let above = self.draw(Purpose::Reserve);
                self.numbers(|event| price(initial, event) + price(above, event))
            }
            "expires" => self.times(|event| self.stream.expires(event)),
            "seller" => self.numbers(|event| self.stream.seller(event)),
            "category" => self.numbers(|event| self.stream.category(event)),
            _ => return Err(self.missing(name)),
        })
    }

    fn bid(&self, name: &str) -> Result<ArrayRef, ArrowError> {
        let channel = self.draw(Purpose::Channel);
        Ok(match name {
            "auction" => self.numbers(|event| self.stream.auction(event)),
            "bidder" => self.numbers(|event| self.stream.bidder(event)),
            "price" => {
                let draw = self.draw(Purpose::Price);
                self.numbers(|event| price(draw, event))
            }
            "channel" => self.texts(|event| channel.pick(event, CHANNELS)),
            "url" => self.texts(|event| format!("https://{}.example/{}", channel.pick(event, CHANNELS), self.stream.auction(event))),
            _ => return Err(self.missing(name)),
        })
    }
}

/// From 1.00 to 1,000,000.00, in cents: every order of magnitude is as likely as the next.
fn price(draw: Draw, event: u64) -> u64 {
    (10_f64.powf(draw.unit(event) * 6.0) * 100.0).round() as u64
}
