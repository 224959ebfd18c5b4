//! What stands between source and sink in the matrix, and the rows that have to come out of it.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Value, json};

use crate::support::{cleaned, expected};

/// The stages behind the plugin `clean-pin`, in which all posts of the matrix are cleaned.
pub trait Stages {
    /// As the matrix calls them.
    const NAME: &'static str;
    /// In YAML; `clean_pins` stands before them.
    const YAML: &'static str;
    /// The stage that feeds the sink.
    const LAST: &'static str = "result";
    /// The columns in which no two rows of the sink are equal.
    const KEY: &'static [&'static str] = &["ind"];
    /// Whether they bring rows of a key together. Then epochs are small, so that states have many files, and each start has another number of lanes.
    const ARE_KEYED: bool = true;
    /// As many posts before each start as they need for files to come together, windows to close, and rows to meet.
    const POSTS: u64 = 800;
    /// Whether later rows replace those of their keys.
    const REPLACE: bool = false;

    /// Of the posts that have been there, some that arrive again with new ones.
    fn again(_: &Range<u64>) -> Vec<u64> {
        Vec::new()
    }

    /// The rows that the posts below a number come to, in any order.
    fn rows(posts: u64) -> Vec<Value>;

    /// Fails if the table is anything else. With `may_repeat`, equal rows may be there more than once.
    fn check(posts: u64, table: &[Value], may_repeat: bool) {
        let (mut expected, mut found) = (counted(&Self::rows(posts)), counted(table));
        if may_repeat {
            found.values_mut().for_each(|count| *count = 1);
        }
        // What is in both is left out.
        expected.retain(|row, count| found.get(row).is_none_or(|there| there != count) || found.remove(row).is_none());
        let first = |rows: &BTreeMap<String, u32>| rows.iter().take(3).map(|(row, count)| format!("\n{count} x {row}")).collect::<String>();
        assert!(
            expected.is_empty() && found.is_empty(),
            "{}: of {} rows, {} are not there as often as expected:{}\nand {} are there otherwise:{}",
            Self::NAME,
            table.len(),
            expected.len(),
            first(&expected),
            found.len(),
            first(&found)
        );
    }
}

/// How often each row is there, in a form that does not depend on who has read it.
fn counted(rows: &[Value]) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for row in rows {
        let columns = row.as_object().unwrap_or_else(|| panic!("no row: {row}")).iter().filter(|(_, value)| !value.is_null());
        let columns: BTreeMap<&String, Value> = columns.map(|(name, value)| (name, plain(name, value))).collect();
        *counts.entry(json!(columns).to_string()).or_default() += 1;
    }
    counts
}

/// A value as all readers give it: numbers as floats, and times as microseconds.
fn plain(name: &str, value: &Value) -> Value {
    let micros = || if name.starts_with("window_") { value.as_str().map(micros) } else { None };
    micros().or_else(|| value.as_f64()).map_or_else(|| value.clone(), Value::from)
}

/// A time of the first day of 1970, in microseconds. Posts have no other: a hundred to a second.
fn micros(text: &str) -> f64 {
    let part = |range: Range<usize>| text.get(range).and_then(|digits| digits.parse::<u32>().ok());
    let is_whole = ["Z", "+00:00"].contains(&text.get(19..).unwrap_or_default());
    let seconds = || Some(part(11..13)? * 3600 + part(14..16)? * 60 + part(17..19)?);
    let seconds = seconds().filter(|_| is_whole && text.starts_with("1970-01-01"));
    f64::from(seconds.unwrap_or_else(|| panic!("no full second of the first day: {text}"))) * 1e6
}

/// None: what the plugin has cleaned.
pub struct Cleaned;

impl Stages for Cleaned {
    const NAME: &'static str = "cleaned";
    const YAML: &'static str = "";
    const LAST: &'static str = "clean_pins";
    const ARE_KEYED: bool = false;
    const POSTS: u64 = u64::MAX;

    fn rows(posts: u64) -> Vec<Value> {
        expected(0..posts).table.into_iter().map(cleaned).collect()
    }

    /// Value by value, as they were written.
    fn check(posts: u64, table: &[Value], _: bool) {
        expected(0..posts).check_table(table);
    }
}

/// Duplicates, in the same epoch and many epochs later, are dropped.
pub struct Deduplicated;

impl Stages for Deduplicated {
    const NAME: &'static str = "dedup";
    const YAML: &'static str = "
  result: { from: clean_pins, dedup: { by: [ind] } }";

    fn again(posts: &Range<u64>) -> Vec<u64> {
        let before = posts.start.saturating_sub(1_000)..posts.start;
        let just_so = posts.start..posts.start + (posts.end - posts.start) / 2;
        let some = [before, just_so].into_iter().flat_map(|numbers| numbers.step_by(7));
        some.filter(|number| expected(*number..*number + 1).dead.is_empty()).collect()
    }

    fn rows(posts: u64) -> Vec<Value> {
        Cleaned::rows(posts)
    }
}

/// Every post meets another one of its hundred, or none if that one is rejected.
pub struct Joined;

impl Stages for Joined {
    const NAME: &'static str = "join";
    const YAML: &'static str = r#"
  timed:
    from: clean_pins
    select:
      ind: ind
      unique_id: unique_id
      title: title
      description: description
      follower_count: follower_count
      poster_name: poster_name
      tag_list: tag_list
      is_image_or_video: is_image_or_video
      image_src: image_src
      save_location: save_location
      category: category
      time: to_timestamp_millis(ind * 10)
  partners:
    from: timed
    select: { of: ind - ind % 100 + (ind + 37) % 100, partner: unique_id, partner_followers: follower_count, partner_time: time }
  pairs:
    join: { left: timed, right: partners, on: { ind: of }, how: left, within: 2s, time: { left: time, right: partner_time } }
  result: { from: pairs, drop: [time, partner_time] }"#;

    fn rows(posts: u64) -> Vec<Value> {
        let good = expected(0..posts).table;
        let row = |&number: &u64| {
            let partner = number - number % 100 + (number % 100 + 63) % 100;
            let mut row = cleaned(number);
            if good.contains(&partner) {
                row["partner"] = format!("id-{partner}").into();
                row["partner_followers"] = cleaned(partner)["follower_count"].clone();
            }
            row
        };
        good.iter().map(row).collect()
    }
}

const WINDOW_KEY: &[&str] = &["poster_name", "category", "window_start", "window_end"];

/// The windows of a second, each with a hundred posts.
fn windows(posts: u64) -> Vec<Value> {
    let mut groups: BTreeMap<(u64, String), Vec<u64>> = BTreeMap::new();
    for number in expected(0..posts).table {
        groups.entry((number / 100, cleaned(number)["poster_name"].as_str().unwrap().to_owned())).or_default().push(number);
    }
    let row = |((second, poster), numbers): ((u64, String), Vec<u64>)| {
        let mut followers: Vec<u64> = numbers.iter().map(|number| cleaned(*number)["follower_count"].as_u64().unwrap()).collect();
        followers.sort_unstable();
        let middle = followers[(followers.len() - 1) / 2] + followers[followers.len() / 2];
        json!({
            "poster_name": poster,
            "category": "art",
            "window_start": second * 1_000_000,
            "window_end": (second + 1) * 1_000_000,
            "unique_id": numbers.iter().map(|number| format!("id-{number}")).max(),
            "posts": numbers.len(),
            "followers": followers.iter().sum::<u64>(),
            "median": middle as f64 / 2.0,
        })
    };
    groups.into_iter().map(row).collect()
}

/// Windows that are emitted once they are closed.
pub struct Aggregated;

impl Stages for Aggregated {
    const NAME: &'static str = "aggregate";
    const YAML: &'static str = r#"
  timed:
    from: clean_pins
    select:
      { unique_id: unique_id, poster_name: poster_name, category: category, follower_count: follower_count, time: to_timestamp_millis(ind * 10) }
  result:
    from: timed
    aggregate:
      by: [poster_name, category]
      window: { tumbling: 1s, time: time }
      compute: { unique_id: max(unique_id), posts: count(*), followers: sum(follower_count), median: median(follower_count) }"#;
    const KEY: &'static [&'static str] = WINDOW_KEY;

    fn rows(posts: u64) -> Vec<Value> {
        windows(posts)
    }
}

/// The same windows, emitted after every epoch in which they got rows.
pub struct Running;

impl Stages for Running {
    const NAME: &'static str = "running";
    const YAML: &'static str = r#"
  timed:
    from: clean_pins
    select:
      { unique_id: unique_id, poster_name: poster_name, category: category, follower_count: follower_count, time: to_timestamp_millis(ind * 10) }
  result:
    from: timed
    aggregate:
      by: [poster_name, category]
      window: { tumbling: 1s, time: time }
      compute: { unique_id: max(unique_id), posts: count(*), followers: sum(follower_count), median: median(follower_count) }
      emit: every_epoch"#;
    const KEY: &'static [&'static str] = WINDOW_KEY;
    const REPLACE: bool = true;

    fn rows(posts: u64) -> Vec<Value> {
        windows(posts)
    }
}

/// One behind the other: duplicates are dropped, every post meets itself, and windows count the pairs.
pub struct Chained;

impl Stages for Chained {
    const NAME: &'static str = "chain";
    const YAML: &'static str = r#"
  timed:
    from: clean_pins
    select:
      { ind: ind, unique_id: unique_id, poster_name: poster_name, category: category, time: to_timestamp_millis(ind * 10) }
  counted:
    from: clean_pins
    select: { of: ind, followers: follower_count, at: to_timestamp_millis(ind * 10) }
  once: { from: [timed, timed_again], dedup: { by: [ind], time: time, within: 10s } }
  timed_again: { from: timed, filter: ind % 3 <> 1 }
  pairs: { join: { left: once, right: counted, on: { ind: of }, within: 2s, time: { left: time, right: at } } }
  result:
    from: pairs
    aggregate:
      by: [poster_name, category]
      window: { tumbling: 1s, time: time }
      compute: { unique_id: max(unique_id), posts: count(*), followers: sum(followers), median: median(followers) }"#;
    const KEY: &'static [&'static str] = WINDOW_KEY;

    fn rows(posts: u64) -> Vec<Value> {
        windows(posts)
    }
}
