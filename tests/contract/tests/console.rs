//! What a console shows, and when.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use uuid::Uuid;
use wasmill_console::{ConsoleConfig, ConsoleSink};
use wasmill_engine::{CommitOutcome, Sink, Token, WriterContext};

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn batch(from: i64, count: usize) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + count as i64));
    let texts: ArrayRef = Arc::new(StringArray::from_iter((0..count).map(|n| (n % 2 == 0).then_some("a\x1b[2Jb"))));
    RecordBatch::try_from_iter([("ind", numbers), ("title", texts)]).unwrap()
}

fn token(epoch: u64) -> Token {
    Token { pipeline: "p".into(), sink: "s".into(), incarnation: Uuid::nil(), epoch, previous: epoch - 1 }
}

fn prepare(sink: &ConsoleSink, epoch: u64, lanes: &[RecordBatch]) -> serde_json::Value {
    let parts = lanes.iter().enumerate().map(|(lane, rows)| {
        let context =
            WriterContext { pipeline: "p".into(), sink: "s".into(), incarnation: Uuid::nil(), epoch, lane, schema: rows.schema() };
        let mut writer = sink.writer(context).unwrap();
        assert_eq!(writer.write(rows).unwrap(), []);
        writer.prepare().unwrap()
    });
    let parts = parts.collect();
    sink.prepare(&token(epoch), parts).unwrap()
}

#[test]
fn rows_are_shown_once_at_their_commit_and_the_rest_is_counted() {
    let screen = Screen::default();
    let config = ConsoleConfig { rows: 3 };
    let sink = ConsoleSink::new(&config, &batch(0, 1).schema(), Some(60), Box::new(screen.clone())).unwrap();
    let first = prepare(&sink, 1, &[batch(0, 1), batch(10, 1)]);
    assert_eq!(screen.text(), "");
    assert_eq!(sink.commit(&token(1), &first).unwrap(), CommitOutcome::Done);
    let expected = "\
┌───────────────────┐
│ ind   title       │
╞═══════════════════╡
│   0   a\\u{1b}[2Jb │
│  10   a\\u{1b}[2Jb │
└───────────────────┘
";
    assert_eq!(screen.text(), expected);
    assert_eq!(sink.commit(&token(1), &first).unwrap(), CommitOutcome::Already);
    let second = prepare(&sink, 2, &[batch(20, 2000), batch(30, 500)]);
    assert!(second.to_string().len() < 1000, "what is not shown is not kept");
    sink.commit(&token(2), &second).unwrap();
    let third = prepare(&sink, 3, &[batch(40, 5)]);
    sink.commit(&token(3), &third).unwrap();
    drop(sink);
    let rest = screen.text().split_off(expected.len());
    assert_eq!(rest.matches("│  20 ").count(), 1, "{rest}");
    assert!(!rest.contains("│  30 ") && rest.ends_with("┘\n… and 2,504 more rows\n"), "{rest}");
}

#[test]
fn a_run_that_fits_ends_without_a_word() {
    let screen = Screen::default();
    let sink = ConsoleSink::new(&ConsoleConfig::default(), &batch(0, 1).schema(), None, Box::new(screen.clone())).unwrap();
    let prepared = prepare(&sink, 1, &[batch(0, 2)]);
    sink.commit(&token(1), &prepared).unwrap();
    drop(sink);
    assert!(screen.text().ends_with("│   1   null        │\n└───────────────────┘\n"), "{}", screen.text());
}

#[test]
fn a_limit_that_memory_can_not_hold_is_refused() {
    let config = ConsoleConfig { rows: 1_000_000 };
    assert!(ConsoleSink::new(&config, &batch(0, 1).schema(), None, Box::new(std::io::sink())).is_err());
}
