//! Made-up posts: good ones, ones that the plugin rejects, and lines that are no JSON, all recognisable by their number.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

/// Posts by number. Every 50th is a broken line, and of the others every 20th has a follower count that is no number.
pub struct Pins(pub Range<u64>);

/// What has to come out of posts: numbers in the table, numbers in the dead letters.
pub struct Expected {
    pub table: BTreeSet<u64>,
    pub dead: BTreeSet<u64>,
}

fn is_broken(number: u64) -> bool {
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
    /// Each of them is there once, and nothing else is; `table` and `dead` are sorted.
    pub fn check(&self, table: &[u64], dead: &[u64]) {
        for (place, expected, found) in [("the table", &self.table, table), ("the dead letters", &self.dead, dead)] {
            let there: BTreeSet<u64> = found.iter().copied().collect();
            let missing: Vec<_> = expected.difference(&there).collect();
            let foreign: Vec<_> = there.difference(expected).collect();
            let twice: Vec<_> = found.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
            let wrong = format!("missing: {missing:?}, foreign: {foreign:?}, there again: {twice:?}");
            assert!(found.iter().eq(expected), "of {} rows in {place}, {wrong}", found.len());
        }
    }
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
