//! The properties of a table that its writers honour.

use std::time::Duration;

use super::state::TableState;

/// Columns with statistics where a table does not configure them: the default of every Delta
/// writer.
const INDEXED_COLUMNS: u64 = 32;
/// How long expired entries of a log are kept where the table does not configure it: Delta's own
/// default.
const LOG_RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The columns of a table that get statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Indexed {
    /// The first ones, in the order of the schema. Fields of structs count one by one.
    First(u64),
    /// Those with these names, each by its path, and everything below them.
    Named(Vec<Vec<String>>),
}

/// A table's requirements on its writers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Properties {
    /// `delta.checkpointInterval`: versions between checkpoints; none where the table does not set
    /// it.
    pub checkpoint_interval: Option<u64>,
    /// `delta.dataSkippingNumIndexedCols` and `delta.dataSkippingStatsColumns`.
    pub indexed: Indexed,
    /// `delta.logRetentionDuration` and `delta.enableExpiredLogCleanup`: log entries older than
    /// this are removed with a checkpoint; none where they stay.
    pub log_retention: Option<Duration>,
}

impl Default for Properties {
    fn default() -> Self {
        Self { checkpoint_interval: None, indexed: Indexed::First(INDEXED_COLUMNS), log_retention: Some(LOG_RETENTION) }
    }
}

impl Properties {
    /// Those of a table. A value that can't be read counts as the default, but a retention that can't be read keeps everything.
    pub(crate) fn of(state: &TableState) -> Self {
        let checkpoint_interval = state.property("delta.checkpointInterval").and_then(|text| text.trim().parse().ok());
        let first = state.property("delta.dataSkippingNumIndexedCols").and_then(|text| text.trim().parse::<i64>().ok());
        let first = first.map_or(Some(INDEXED_COLUMNS), |first| if first == -1 { Some(u64::MAX) } else { first.try_into().ok() });
        let named = state.property("delta.dataSkippingStatsColumns").and_then(names);
        let cleans = state.property("delta.enableExpiredLogCleanup").is_none_or(|text| !text.trim().eq_ignore_ascii_case("false"));
        let retention = state.property("delta.logRetentionDuration").map_or(Some(LOG_RETENTION), interval);
        Self {
            checkpoint_interval: checkpoint_interval.filter(|interval| *interval > 0),
            indexed: named.map_or(Indexed::First(first.unwrap_or(INDEXED_COLUMNS)), Indexed::Named),
            log_retention: retention.filter(|_| cleans),
        }
    }

    /// The versions between checkpoints, of which a pipeline has an opinion too. One that never writes any keeps to that.
    pub(crate) fn checkpoint_every(&self, pipeline: u64) -> u64 {
        if pipeline == 0 { 0 } else { self.checkpoint_interval.unwrap_or(pipeline) }
    }
}

/// A list of columns, each with the names of the structs around it: `a, b.c, "with space"` as Delta quotes names, with backticks.
fn names(list: &str) -> Option<Vec<Vec<String>>> {
    let names = delta_kernel::expressions::ColumnName::parse_column_name_list(list).ok()?;
    Some(names.iter().map(|name| name.path().to_vec()).collect())
}

/// A duration as Delta's properties write it: `interval 30 days`, also of several parts and without
/// the first word. Delta rejects months and years, which have no fixed length.
fn interval(text: &str) -> Option<Duration> {
    let text = text.trim().to_lowercase();
    let mut words = text.split_whitespace().skip_while(|word| *word == "interval").peekable();
    words.peek()?;
    let mut total = Duration::ZERO;
    while let Some(number) = words.next() {
        let number: u64 = number.parse().ok()?;
        let part = match words.next()?.trim_end_matches('s') {
            "microsecond" => Duration::from_micros(number),
            "millisecond" => Duration::from_millis(number),
            unit => Duration::from_secs(number.checked_mul(match unit {
                "second" => 1,
                "minute" => 60,
                "hour" => 60 * 60,
                "day" => 24 * 60 * 60,
                "week" => 7 * 24 * 60 * 60,
                _ => return None,
            })?),
        };
        total = total.checked_add(part)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::super::state::{Marks, Metadata};
    use super::*;

    fn properties(list: &[(&str, &str)]) -> Properties {
        let mut metadata = Metadata::created(Uuid::nil(), 0, "{}", &[]);
        metadata.configuration = list.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        Properties::of(&TableState { version: 0, protocol: json!({}), metadata, marks: Marks::default() })
    }

    #[test]
    fn what_a_table_says_is_honoured() {
        assert_eq!(properties(&[]), Properties::default());
        let all = properties(&[
            ("delta.checkpointInterval", "10"),
            ("delta.dataSkippingNumIndexedCols", "2"),
            ("delta.logRetentionDuration", "interval 7 days"),
        ]);
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        assert_eq!(all, Properties { checkpoint_interval: Some(10), indexed: Indexed::First(2), log_retention: Some(week) });
        assert_eq!((all.checkpoint_every(100), all.checkpoint_every(0), Properties::default().checkpoint_every(100)), (10, 0, 100));
        assert_eq!(properties(&[("delta.dataSkippingNumIndexedCols", "-1")]).indexed, Indexed::First(u64::MAX));
        assert_eq!(properties(&[("delta.dataSkippingNumIndexedCols", "0")]).indexed, Indexed::First(0));
        let named = properties(&[("delta.dataSkippingStatsColumns", "a, b.c"), ("delta.dataSkippingNumIndexedCols", "2")]);
        assert_eq!(named.indexed, Indexed::Named(vec![vec!["a".into()], vec!["b".into(), "c".into()]]));
        assert_eq!(properties(&[("delta.enableExpiredLogCleanup", "false")]).log_retention, None);
    }

    #[test]
    fn what_can_not_be_read_does_no_harm() {
        let odd = properties(&[
            ("delta.checkpointInterval", "0"),
            ("delta.dataSkippingNumIndexedCols", "-7"),
            ("delta.logRetentionDuration", "interval 1 month"),
        ]);
        assert_eq!(odd, Properties { log_retention: None, ..Properties::default() });
    }

    #[test]
    fn intervals_are_read_as_delta_writes_them() {
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
        assert_eq!(interval("interval 30 days"), hours(30 * 24));
        assert_eq!(interval("INTERVAL 1 week 2 days 3 HOURS"), hours(9 * 24 + 3));
        assert_eq!(interval("12 hours"), hours(12));
        for refused in ["", "interval", "interval 1", "interval x days", "interval -1 days", "interval 1 year", "30"] {
            assert_eq!(interval(refused), None, "{refused}");
        }
    }
}
