//! Made-up posts: good ones, ones that the plugin rejects, and lines that are no JSON, all recognisable by their number.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use serde_json::{Value, json};

/// Posts by number. Every 50th is a broken line, and of the others every 20th has a follower count that is no number.
pub struct Pins(pub Range<u64>);

/// Posts that arrive together: new ones, and behind them some that have been there before.
pub struct Arrival {
    pub new: Range<u64>,
    pub again: Vec<u64>,
}

impl Arrival {
    /// The number of each post, in order.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.new.clone().chain(self.again.iter().copied())
    }

    /// As JSON lines.
    pub fn lines(&self) -> String {
        let again = self.again.iter().map(|&number| Pins(number..number + 1).lines());
        Pins(self.new.clone()).lines() + &again.collect::<String>()
    }
}

/// What has to come out of posts: numbers in the table, numbers in the dead letters.
pub struct Expected {
    pub table: BTreeSet<u64>,
    pub dead: BTreeSet<u64>,
}

/// Whether the line of a post is broken.
pub fn is_broken(number: u64) -> bool {
    number % 50 == 49
}

fn is_rejected(number: u64) -> bool {
    is_broken(number) || number % 20 == 13
}

/// What has to come out of the posts with these numbers.
pub fn expected(numbers: Range<u64>) -> Expected {
    let (dead, table) = numbers.partition(|number| is_rejected(*number));
    Expected { table, dead }
}

impl Expected {
    /// Each of them is there once as a whole row, and nothing else is. Places of dead letters are checked by the test of the source.
    pub fn check(&self, table: &[Value], dead: &[Value]) {
        self.check_table(table);
        self.check_dead(dead);
    }

    /// The same for the table alone.
    pub fn check_table(&self, table: &[Value]) {
        same_numbers("the table", &self.table, table.iter().map(row_number));
        let different: Vec<_> = table.iter().filter(|row| !is_row(row)).map(|row| (row, cleaned(row_number(row)))).collect();
        assert!(different.is_empty(), "{} rows of the table are others than expected: {:#?}", different.len(), different.first());
    }

    /// The same for the dead letters alone.
    pub fn check_dead(&self, dead: &[Value]) {
        self.check_dead_of(dead, is_dead_line);
    }

    /// The same where the source does not give records as lines: `is_dead` says whether a dead letter is that of a post.
    pub fn check_dead_of(&self, dead: &[Value], is_dead: impl Fn(u64, &Value) -> bool) {
        same_numbers("the dead letters", &self.dead, dead.iter().map(dead_number));
        let different: Vec<_> = dead.iter().filter_map(|row| Some((row, wrong_dead_letter(row, &is_dead)?))).collect();
        assert!(different.is_empty(), "{} dead letters are others than expected: {:#?}", different.len(), different.first());
    }
}

fn same_numbers(place: &str, expected: &BTreeSet<u64>, found: impl Iterator<Item = u64>) {
    let mut found: Vec<u64> = found.collect();
    found.sort_unstable();
    let there: BTreeSet<u64> = found.iter().copied().collect();
    let missing: Vec<_> = expected.difference(&there).collect();
    let foreign: Vec<_> = there.difference(expected).collect();
    let twice: Vec<_> = found.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    let wrong = format!("missing: {missing:?}, foreign: {foreign:?}, there again: {twice:?}");
    assert!(found.iter().eq(expected), "of {} rows in {place}, {wrong}", found.len());
}

/// The number of a post by its row in the table.
pub fn row_number(row: &Value) -> u64 {
    row["ind"].as_u64().unwrap_or_else(|| panic!("no index: {row}"))
}

/// The number of a post by its dead letter: from the original record.
pub fn dead_number(row: &Value) -> u64 {
    let record = row["record"].as_str().unwrap_or_else(|| panic!("no record: {row}"));
    let number = record.split('#').nth(1).unwrap_or_else(|| panic!("not a post: {record}"));
    number.parse().unwrap_or_else(|_| panic!("not a post: {record}"))
}

/// A post's row in the table, as the plugin `clean-pin` makes it.
pub fn cleaned(number: u64) -> Value {
    json!({
        "ind": number,
        "unique_id": format!("id-{number}"),
        "title": format!("Title {number}"),
        "description": format!("Made up, #{number}#"),
        "follower_count": number % 900 * 1_000,
        "poster_name": format!("Poster {}", number % 7),
        "tag_list": "a,b,c",
        "is_image_or_video": "image",
        "image_src": format!("https://example.org/{number}.jpg"),
        "save_location": "/data/art",
        "category": "art",
    })
}

fn is_row(row: &Value) -> bool {
    *row == cleaned(row_number(row))
}

/// The columns of dead letters, and whether they are there in each of these.
const DEAD_LETTER: [(&str, Option<bool>); 12] = [
    ("time", Some(true)),
    ("pipeline", Some(true)),
    ("source", Some(true)),
    ("partition", Some(true)),
    ("position", Some(true)),
    ("stage", None),
    ("plugin", None),
    ("code", Some(true)),
    ("column", None),
    ("message", Some(true)),
    ("record", Some(true)),
    ("record_base64", Some(false)),
];

/// What is wrong with a dead letter, if anything.
fn wrong_dead_letter(row: &Value, is_dead: impl Fn(u64, &Value) -> bool) -> Option<String> {
    let number = dead_number(row);
    let unknown = row.as_object()?.keys().find(|name| DEAD_LETTER.iter().all(|(known, _)| known != name));
    if let Some(name) = unknown {
        return Some(format!("a column `{name}`"));
    }
    if let Some((name, _)) = DEAD_LETTER.iter().find(|(name, is_there)| is_there.is_some_and(|is_there| row[name].is_null() == is_there)) {
        return Some(format!("the column `{name}`"));
    }
    (!is_dead(number, row)).then(|| format!("its record is {}", Pins(number..number + 1).lines()))
}

/// Whether a dead letter is that of the post with this number, and its record the line of the post.
pub fn is_dead_line(number: u64, row: &Value) -> bool {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let is_fine = match is_broken(number) {
        true => text("code") == "malformed-json" && text("column") == "title" && row["stage"].is_null() && row["plugin"].is_null(),
        false => is_refused_by_plugin(row),
    };
    is_fine && text("record") == Pins(number..number + 1).lines().trim_end()
}

/// Whether the plugin has set a post aside that has many followers.
pub fn is_refused_by_plugin(row: &Value) -> bool {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let digest = text("plugin").strip_prefix("clean-pin@sha256:").unwrap_or_default();
    text("code") == "bad-number"
        && text("stage") == "clean_pins"
        && text("column") == "follower_count"
        && text("message").contains("many")
        && digest.len() == 64
}

impl Pins {
    /// As JSON lines.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for number in self.0.clone() {
            if is_broken(number) {
                writeln!(text, "{{\"index\": {number}, \"title\": \"broken #{number}#").unwrap();
                continue;
            }
            let followers = if is_rejected(number) { "many".to_owned() } else { format!("{}k", number % 900) };
            writeln!(
                text,
                r#"{{"index":{number},"unique_id":"id-{number}","title":"Title {number}","description":"Made up, #{number}#","poster_name":"Poster {}","follower_count":"{followers}","tag_list":"a,b,c","is_image_or_video":"image","image_src":"https://example.org/{number}.jpg","downloaded":1,"save_location":"Local save in /data/art","category":"art"}}"#,
                number % 7
            )
            .unwrap();
        }
        text
    }
}
