//! The history of a schedule as a table.

use comfy_table::{Cell, ContentArrangement, Table, presets};
use wasmill_schedule::{Entry, Moment};

use super::words::{ended_in_words, took, why_in_words};

/// One line of the table.
struct Row {
    job: String,
    due: String,
    begun: String,
    took: String,
    attempt: String,
    rows: String,
    result: String,
}

/// The runs and the skipped times of a history, the latest last, at most so many. Times are in UTC.
pub fn history_table(entries: &[Entry], limit: usize) -> String {
    let mut rows: Vec<Row> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        rows.extend(row(entry, &entries[index + 1..]));
    }
    if rows.is_empty() {
        return "nothing has happened yet\n".to_owned();
    }
    let left_out = rows.len().saturating_sub(limit);
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["job", "due (UTC)", "begun (UTC)", "took", "attempt", "records", "result"]);
    for row in rows.into_iter().skip(left_out) {
        table.add_row([row.job, row.due, row.begun, row.took, row.attempt, row.rows, row.result].map(Cell::new));
    }
    let more = if left_out > 0 { format!("{left_out} older lines are left out; `--limit` shows more\n") } else { String::new() };
    format!("{table}\n{more}")
}

/// The line of an entry, which is that of its end where it has one.
fn row(entry: &Entry, later: &[Entry]) -> Option<Row> {
    let clock = |moment: Moment| moment.format("%Y-%m-%d %H:%M").to_string();
    match entry {
        Entry::Known { .. } | Entry::Ended { .. } => None,
        Entry::Skipped { job, first, last, count, why, .. } => {
            let due = if first == last { clock(*first) } else { format!("{} to {}", clock(*first), clock(*last)) };
            let result =
                if *count == 1 { format!("skipped: {}", why_in_words(*why)) } else { format!("{count} skipped: {}", why_in_words(*why)) };
            let nothing = String::new;
            Some(Row { job: job.clone(), due, begun: nothing(), took: nothing(), attempt: nothing(), rows: nothing(), result })
        }
        Entry::Started { job, at, attempt, log } => {
            let ended = later
                .iter()
                .find(|entry| matches!(entry, Entry::Ended { job: other, attempt: ended, .. } if other == job && ended == attempt));
            let (took, rows, result) = match ended {
                Some(Entry::Ended { outcome, seconds, rows, error, .. }) => {
                    let error = error.as_ref().map(|error| format!(": {error} (log: {log})")).unwrap_or_default();
                    let rows = rows.map(|rows| rows.to_string()).unwrap_or_default();
                    (took(*seconds), rows, format!("{}{error}", ended_in_words(*outcome)))
                }
                _ => (String::new(), String::new(), format!("runs, or its scheduler is gone (log: {log})")),
            };
            let due = if attempt.by_hand { "by hand".to_owned() } else { clock(attempt.scheduled) };
            Some(Row { job: job.clone(), due, begun: clock(*at), took, attempt: attempt.attempt.to_string(), rows, result })
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmill_schedule::{Attempt, Outcome, Skipped};

    use super::*;

    #[test]
    fn each_attempt_has_a_line_with_its_end() {
        let at = |second| Moment::from_timestamp(second, 0).unwrap();
        let attempt = |attempt| Attempt { scheduled: at(7200), attempt, by_hand: false };
        let started = |number, second| Entry::Started {
            job: "load".into(),
            at: at(second),
            attempt: attempt(number),
            log: format!("jobs/load/{number}.log"),
        };
        let entries = [
            Entry::Known { job: "load".into(), at: at(0), times: "0 * * * * UTC".into() },
            Entry::Skipped { job: "load".into(), at: at(7200), first: at(3600), last: at(3600), count: 1, why: Skipped::Missed },
            started(1, 7200),
            Entry::Ended {
                job: "load".into(),
                at: at(7205),
                attempt: attempt(1),
                outcome: Outcome::Failed { status: 5 },
                seconds: 5.0,
                rows: None,
                error: Some("no disk".into()),
            },
            started(2, 7300),
        ];
        let table = history_table(&entries, 10);
        for part in ["skipped: no scheduler was running", "failed (environment, exit status 5): no disk", "runs, or", "5.0s"] {
            let words: Vec<&str> = part.split(' ').collect();
            assert!(words.iter().all(|word| table.contains(word)), "{part}\n{table}");
        }
        assert!(history_table(&entries, 1).contains("2 older lines are left out"));
        assert_eq!(history_table(&[], 1), "nothing has happened yet\n");
    }
}
