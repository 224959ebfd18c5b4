//! Decoding posts of 740 bytes, against arrow-json and a typed serde_json parse: `cargo bench -p wasmill-formats --bench decode`.
//!
//! Everything runs on one core in one process, in turns, and the fastest of many rounds counts. So
//! the ratios hold on a busy machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write;
use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use wasmill_formats::json::JsonDecoder;
use wasmill_formats::{RecordDecoder, Utf8Records};

const ROWS: usize = 8_192;
const ROUNDS: usize = 60;

/// A name and what to time.
type Case<'a> = (&'a str, Box<dyn FnMut() + 'a>);

fn main() {
    let good = posts(0);
    let bad = posts(10);
    println!("{ROWS} posts, {:.1} MB, mean {} bytes", good.len() as f64 / 1e6, good.len() / ROWS);
    let (all, seven) = (schema(12), schema(7));
    let mut cases: Vec<Case<'_>> = vec![
        ("arrow-json, 12 columns", Box::new(|| arrow_json(&good, &all))),
        ("serde_json, typed, no Arrow", Box::new(|| typed(&good))),
        ("wasmill, 12 columns", wasmill(&good, &all)),
        ("wasmill, 7 columns", wasmill(&good, &seven)),
        ("wasmill, 1 column", wasmill(&good, &schema(1))),
        ("wasmill, 12 columns, 10 % bad lines", wasmill(&bad, &all)),
    ];
    let mut best = vec![Duration::MAX; cases.len()];
    for _ in 0..ROUNDS {
        for ((_, run), best) in cases.iter_mut().zip(&mut best) {
            let start = Instant::now();
            run();
            *best = (*best).min(start.elapsed());
        }
    }
    for ((name, _), time) in cases.iter().zip(&best) {
        let (seconds, reference) = (time.as_secs_f64(), best[0].as_secs_f64());
        println!(
            "{name:38} {:6.2} ms  {:5.2} GB/s  {:4.2} of arrow-json",
            seconds * 1e3,
            good.len() as f64 / seconds / 1e9,
            seconds / reference
        );
    }
    println!("10 % bad lines take {:.2} times the time (goal: at most 1.5)", best[5].as_secs_f64() / best[2].as_secs_f64());
}

fn schema(columns: usize) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let mut fields = vec![
        Field::new("index", DataType::Int64, true),
        text("title"),
        text("description"),
        text("poster_name"),
        text("follower_count"),
        text("tag_list"),
        text("image_src"),
        text("unique_id"),
        text("is_image_or_video"),
        Field::new("downloaded", DataType::Int64, true),
        text("save_location"),
        text("category"),
    ];
    fields.truncate(columns);
    Arc::new(Schema::new(fields))
}

/// Posts of the usual shape; of a hundred lines `bad` are broken, each third of them in another way.
fn posts(bad: usize) -> String {
    let mut text = String::new();
    let words = ["autumn", "recipe", "caf\u{e9}", "drawing", "of the", "garden \u{2013}", "\\\"best\\\"", "vintage", "room", "D\u{ed}a"];
    let mut seed = 7usize;
    let mut phrase = |count: usize| {
        (0..count)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                words[(seed >> 33) % words.len()]
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    for row in 0..ROWS {
        let index = match row % 100 {
            place if place < bad && place % 3 == 0 => "\"no number\"".to_owned(),
            place if place < bad && place % 3 == 1 => "12, oops".to_owned(),
            _ => row.to_string(),
        };
        let end = if row % 100 < bad && row % 3 == 2 { "" } else { "}" };
        let _ = writeln!(
            text,
            "{{\"index\": {index}, \"unique_id\": \"55abcd28-bda1-4453-bbcd-{row:012}\", \"title\": \"{}\", \"description\": \"{}\", \
             \"poster_name\": \"{}\", \"follower_count\": \"{}k\", \"tag_list\": \"{}\", \"is_image_or_video\": \"image\", \
             \"image_src\": \"https://i.pinimg.com/originals/0c/37/fa/{row:032x}.jpg\", \"downloaded\": 1, \
             \"save_location\": \"Local save in /data/art\", \"category\": \"art\"{end}",
            phrase(7),
            phrase(23),
            phrase(2),
            row % 900,
            phrase(14),
        );
    }
    text
}

fn wasmill<'a>(text: &'a str, schema: &SchemaRef) -> Box<dyn FnMut() + 'a> {
    let mut decoder = JsonDecoder::new(schema.clone()).expect("the schema can be decoded");
    Box::new(move || {
        let mut start = 0;
        let records: Vec<Range<usize>> =
            memchr::memchr_iter(b'\n', text.as_bytes()).map(|end| std::mem::replace(&mut start, end + 1)..end).collect();
        let texts = Utf8Records::new(text.as_bytes());
        let mut rejects = Vec::new();
        for range in records {
            if let Err(bad) = texts.record(range).and_then(|record| decoder.push(record)) {
                rejects.push(bad);
            }
        }
        black_box((decoder.finish().expect("the columns fit"), rejects));
    })
}

fn arrow_json(text: &str, schema: &SchemaRef) {
    let mut decoder =
        arrow_json::ReaderBuilder::new(schema.clone()).with_batch_size(ROWS).build_decoder().expect("the schema can be decoded");
    decoder.decode(text.as_bytes()).expect("the text is good");
    black_box(decoder.flush().expect("the text is whole"));
}

#[derive(serde::Deserialize)]
#[allow(dead_code)]
struct Post<'a> {
    index: i64,
    unique_id: std::borrow::Cow<'a, str>,
    title: std::borrow::Cow<'a, str>,
    description: std::borrow::Cow<'a, str>,
    poster_name: std::borrow::Cow<'a, str>,
    follower_count: std::borrow::Cow<'a, str>,
    tag_list: std::borrow::Cow<'a, str>,
    is_image_or_video: std::borrow::Cow<'a, str>,
    image_src: std::borrow::Cow<'a, str>,
    downloaded: i64,
    save_location: std::borrow::Cow<'a, str>,
    category: std::borrow::Cow<'a, str>,
}

fn typed(text: &str) {
    for line in text.lines() {
        black_box(serde_json::from_str::<Post<'_>>(line).expect("the text is good"));
    }
}
