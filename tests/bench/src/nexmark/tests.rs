//! The generator keeps its promises: the same events for every reader, in the published proportions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use wasmill_engine::{Mode, Progress, Read, Source};

use super::columns::Table;
use super::events::{BEGINNING, DISORDER, FIRST_CATEGORY, FIRST_ID};
use super::source::NexmarkSource;
use super::{Events, FilesFormat, PER_SECOND, SEED, Stream, write_files};

const COUNT: u64 = 100_000;

fn events(seed: u64) -> Events {
    Events::new(Stream { seed, per_second: PER_SECOND })
}

fn all(table: Table, seed: u64, count: u64) -> RecordBatch {
    table.batch(&events(seed), 0..table.rows(count), &table.schema()).unwrap()
}

fn source(table: Table, count: u64) -> Box<dyn Source> {
    Box::new(NexmarkSource::new("events", table, events(SEED), count, table.schema(), Mode::Batch))
}

fn numbers(batch: &RecordBatch, name: &str) -> Vec<i64> {
    batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().values().to_vec()
}

fn times(batch: &RecordBatch, name: &str) -> Vec<i64> {
    batch.column_by_name(name).unwrap().as_primitive::<TimestampMicrosecondType>().values().to_vec()
}

/// The share of the values for which something is true.
fn share(values: &[i64], is: impl Fn(i64) -> bool) -> f64 {
    values.iter().filter(|value| is(**value)).count() as f64 / values.len() as f64
}

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 0.01, "{found} is not about {expected}");
}

#[test]
fn the_source_holds_the_contract() {
    for table in Table::ALL {
        let splits = wasmill_contract::check_source(|| source(table, 9_777));
        let rows: usize = splits.values().map(Vec::len).sum();
        assert_eq!(rows as u64, table.rows(9_777), "{table}");
    }
}

#[test]
fn a_split_has_the_same_rows_however_many_events_there_are() {
    let first = |count| {
        let mut source = source(Table::Bid, count);
        let split = source.discover(&Progress::new()).unwrap().splits.remove(0);
        let Read::Batch(read) = source.opener().open(&split).unwrap().read(8_192).unwrap() else { panic!("a batch") };
        read.batch.records
    };
    assert_eq!(first(20_000), first(500_000));
    assert_eq!(first(20_000), all(Table::Bid, SEED, 8_900), "a block of bids is a batch");
}

#[test]
fn files_hold_the_rows_of_the_source_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    write_files(&events(SEED), 20_000, folder.path(), FilesFormat::Parquet).unwrap();
    for table in Table::ALL {
        let path: PathBuf = folder.path().join(format!("{table}.parquet"));
        let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap();
        let read: Vec<RecordBatch> = reader.with_batch_size(1 << 20).build().unwrap().map(Result::unwrap).collect();
        let expected = all(table, SEED, 20_000);
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].columns(), expected.columns(), "{table}");
    }
    write_files(&events(SEED), 50, folder.path(), FilesFormat::Jsonl).unwrap();
    let bids = std::fs::read_to_string(folder.path().join("bid.jsonl")).unwrap();
    assert_eq!(bids.lines().count(), 46);
}

#[test]
fn columns_do_not_depend_on_those_that_are_asked_for_and_another_seed_gives_others() {
    let bids = all(Table::Bid, SEED, 5_000);
    let two = Arc::new(Table::Bid.schema().project(&[5, 0]).unwrap());
    assert_eq!(Table::Bid.batch(&events(SEED), 0..4_600, &two).unwrap(), bids.project(&[5, 0]).unwrap());
    assert_eq!(bids, all(Table::Bid, SEED, 5_000));
    for column in ["auction", "bidder", "price"] {
        assert_ne!(numbers(&bids, column), numbers(&all(Table::Bid, SEED + 1, 5_000), column), "{column}");
    }
}

#[test]
fn of_fifty_events_one_is_a_person_three_are_auctions_and_the_others_bids() {
    assert_eq!(Table::ALL.map(|table| table.rows(COUNT)), [2_000, 6_000, 92_000]);
    assert_eq!(Table::ALL.map(|table| table.rows(53)), [2, 5, 46]);
    let mut numbers: Vec<u64> = Table::ALL.iter().flat_map(|table| table.events(0..table.rows(1_003))).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..1_003).collect::<Vec<_>>(), "each event is a row of one table");
    assert_eq!(Table::Bid.events(45..47), [49, 54]);
    assert_eq!(Table::Auction.events(5..7), [53, 101]);
}

#[test]
fn half_of_the_bids_are_hot_and_three_quarters_of_sellers_and_bidders() {
    let (bids, auctions) = (all(Table::Bid, SEED, COUNT), all(Table::Auction, SEED, COUNT));
    // One in a hundred of the others meets the hot one by chance.
    assert_near(share(&numbers(&bids, "auction"), |auction| auction % 100 == 0), 0.505);
    assert_near(share(&numbers(&bids, "bidder"), |bidder| bidder % 100 == 1), 0.7525);
    assert_near(share(&numbers(&auctions, "seller"), |seller| seller % 100 == 0), 0.7525);
    for category in 0..5 {
        let category = (FIRST_CATEGORY + category).cast_signed();
        assert!((share(&numbers(&auctions, "category"), |other| other == category) - 0.2).abs() < 0.02, "{category}");
    }
    let prices = numbers(&bids, "price");
    assert_near(share(&prices, |price| price < 10_000), 1.0 / 3.0);
    assert!(prices.iter().all(|price| (100..=100_000_000).contains(price)));
}

#[test]
fn bids_go_to_auctions_and_persons_that_are_there_or_about_to_be() {
    let bids = all(Table::Bid, SEED, COUNT);
    let (auctions, bidders) = (numbers(&bids, "auction"), numbers(&bids, "bidder"));
    for (row, event) in Table::Bid.events(0..bids.num_rows() as u64).into_iter().enumerate() {
        let latest = |table: Table| (FIRST_ID + table.rows(event)).cast_signed() - 1;
        let (auction, person) = (latest(Table::Auction), latest(Table::Person));
        assert!((auction - 99..=auction + 10).contains(&auctions[row]), "event {event}: {} of {auction}", auctions[row]);
        assert!((person - 999..=person + 10).contains(&bidders[row]), "event {event}: {} of {person}", bidders[row]);
    }
    let ids = numbers(&all(Table::Person, SEED, COUNT), "id");
    assert_eq!(ids, (1_000..3_000).collect::<Vec<_>>());
}

#[test]
fn times_increase_but_for_a_bounded_disorder_and_auctions_close() {
    let bids = all(Table::Bid, SEED, COUNT);
    let found = times(&bids, "date_time");
    let mut offsets = BTreeSet::new();
    for (time, event) in found.iter().zip(Table::Bid.events(0..found.len() as u64)) {
        let early = BEGINNING + event.cast_signed() * 100 - time;
        assert!((0..=DISORDER.cast_signed()).contains(&early), "event {event} is {early} µs early");
        offsets.insert((early / 10_000).min(4));
    }
    assert_eq!(offsets.len(), 5, "all of the disorder is used");
    assert!(found.windows(2).any(|pair| pair[0] > pair[1]));
    let auctions = all(Table::Auction, SEED, COUNT);
    let open: Vec<i64> = times(&auctions, "expires").iter().zip(times(&auctions, "date_time")).map(|(end, begin)| end - begin).collect();
    let longest = events(SEED).longest().cast_signed();
    assert!(open.iter().all(|open| (1_000..longest + 1_000).contains(open)));
    assert_near(open.iter().sum::<i64>() as f64 / open.len() as f64 / longest as f64, 0.503);
}
