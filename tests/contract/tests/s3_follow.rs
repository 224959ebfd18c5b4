//! The source `s3` in stream mode on a real store: what it finds, and how soon.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod store;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_schema::{DataType, Field, Schema};
use store::Prefix;
use wasmill_engine::{Mode, Progress, Source};
use wasmill_s3::source::{S3Source, S3SourceConfig};

fn source(prefix: &Prefix, uri: &str, follow: &str) -> S3Source {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    // What is found is not found by listing everything.
    let times = S3SourceConfig { follow: Some(follow.into()), relist: Some("1h".into()), ..S3SourceConfig::default() };
    let config = S3SourceConfig { uri: wasmill_reading::Paths::One(prefix.uri(uri)), connection: store::config(), ..times };
    S3Source::new("pins", config, schema, Mode::Stream).unwrap()
}

/// Looks until so many objects are found, within a bound: their names below the prefix, and how long it took.
fn look(source: &mut S3Source, prefix: &Prefix, wanted: usize) -> (BTreeSet<String>, Duration) {
    let (begun, mut found) = (Instant::now(), BTreeSet::new());
    while found.len() < wanted {
        let discovery = source.discover(&Progress::new()).unwrap();
        assert!(!discovery.complete);
        let names = discovery.splits.iter().map(|split| split.id.strip_prefix(&prefix.uri("")).unwrap().to_owned());
        for name in names {
            assert!(found.insert(name.clone()), "{name} is handed out again");
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{} of {wanted} objects were found: {found:?}", found.len());
        std::thread::sleep(Duration::from_millis(10));
    }
    (found, begun.elapsed())
}

/// Puts objects, many at once.
fn put(prefix: &Prefix, names: &[String]) {
    for names in names.chunks(64) {
        let put = futures::future::join_all(names.iter().map(|name| prefix.put_object(name, "{\"id\":1}\n")));
        prefix.wait(put);
    }
}

fn objects_are_found_wherever_their_keys_lie() {
    let prefix = Prefix::new();
    prefix.put("in/5.jsonl", "{\"id\":5}\n");
    let mut source = source(&prefix, "in/", "100ms");
    assert_eq!(look(&mut source, &prefix, 1).0.into_iter().collect::<Vec<_>>(), ["in/5.jsonl"]);
    let names = ["in/1.jsonl", "in/6.jsonl", "in/a b+%25/2.jsonl"];
    put(&prefix, &names.map(str::to_owned));
    assert_eq!(look(&mut source, &prefix, 3).0.into_iter().collect::<Vec<_>>(), names);
}

/// A page may end behind any of them.
fn keys_that_xml_can_not_hold_are_listed_to_the_end() {
    let prefix = Prefix::new();
    let name = |folder: usize, object: usize| match folder % 3 {
        0 => format!("in/f{folder:02}\u{1}x/o{object:03}\u{2}\u{1f}y.json"),
        1 => format!("in/f{folder:02}\u{7f} /o{object:03} \u{10}.json"),
        _ => format!("in/f{folder:02}\u{1}/o{object:03}\u{1}"),
    };
    let names = |objects: std::ops::Range<usize>| -> Vec<String> {
        objects.flat_map(|object| (0..30).map(move |folder| name(folder, object))).collect()
    };
    let all = names(0..68);
    put(&prefix, &all);
    // A list of everything, a thousand keys a page.
    let mut source = source(&prefix, "in/*/*", "1s").with_page(10);
    assert_eq!(look(&mut source, &prefix, all.len()).0, all.into_iter().collect());
    // Lists of folders, ten names a page.
    for object in 68..70 {
        let new = names(object..object + 1);
        put(&prefix, &new);
        assert_eq!(look(&mut source, &prefix, new.len()).0, new.into_iter().collect());
    }
}

/// The layout of Kafka Connect: partitions that grow side by side, and one that comes later between them. A request lists ten objects, so
/// that to list everything would take more of them than to ask each folder.
fn a_hundred_folders_that_grow_side_by_side_are_seen_at_the_next_look() {
    let prefix = Prefix::new();
    let name = |partition: usize, object: usize| format!("topics/pin/partition={partition:03}/pin+{partition:03}+{object:010}.json");
    let row = |object: usize| (0..100).map(|partition| name(partition * 2, object)).collect::<Vec<_>>();
    (0..12).for_each(|object| put(&prefix, &row(object)));
    prefix.put("topics/pin/_temporary/x.json", "{}");
    let mut source = source(&prefix, "topics/pin/*/*.json", "1s").with_page(10);
    assert_eq!(look(&mut source, &prefix, 1_200).0.len(), 1_200);
    for object in 12..15 {
        let mut names = row(object);
        // A partition that is new, between the others.
        names.push(name(object * 2 + 1, 0));
        put(&prefix, &names);
        let (found, took) = look(&mut source, &prefix, names.len());
        assert_eq!(found, names.into_iter().collect());
        assert!(took < Duration::from_secs(15), "a look a second finds them: {took:?}");
    }
}

store::on_each_store![
    objects_are_found_wherever_their_keys_lie,
    keys_that_xml_can_not_hold_are_listed_to_the_end,
    a_hundred_folders_that_grow_side_by_side_are_seen_at_the_next_look,
];
