//! What dead letters hold, by the reason of each.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use wasmill_engine::{Error, Result};

use super::table::Gathering;

/// So many records are shown of each kind.
const EXAMPLES: usize = 3;
/// So many kinds are counted apart; codes are few, but they come from plugins.
const MAX_KINDS: usize = 1_000;

/// The dead letters of a pipeline, all runs together.
#[derive(Debug, Clone, Default)]
pub struct Rejects {
    /// By stage, code and column, in that order.
    pub kinds: Vec<RejectKind>,
    /// Those of kinds beyond the first thousand.
    pub others: u64,
}

/// Dead letters of one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectKind {
    /// The stage that rejected them; `None`: the source did.
    pub stage: Option<String>,
    /// The code.
    pub code: String,
    /// The column that is blamed.
    pub column: Option<String>,
    /// How many.
    pub count: u64,
    /// Some of them.
    pub examples: Vec<RejectExample>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectExample {
    /// What is wrong with it.
    pub message: String,
    /// Where it was read: source, partition and position.
    pub place: String,
    /// The record.
    pub record: String,
}

impl Rejects {
    /// How many there are.
    pub fn total(&self) -> u64 {
        self.others + self.kinds.iter().map(|kind| kind.count).sum::<u64>()
    }

    fn add(&mut self, reject: RejectKind) {
        fn key(kind: &RejectKind) -> (&Option<String>, &String, &Option<String>) {
            (&kind.stage, &kind.code, &kind.column)
        }
        match self.kinds.binary_search_by(|kind| key(kind).cmp(&key(&reject))) {
            Ok(at) => {
                let kind = &mut self.kinds[at];
                kind.count += reject.count;
                let missing = EXAMPLES.saturating_sub(kind.examples.len());
                kind.examples.extend(reject.examples.into_iter().take(missing));
            }
            Err(_) if self.kinds.len() >= MAX_KINDS => self.others += reject.count,
            Err(at) => self.kinds.insert(at, reject),
        }
    }
}

impl Gathering for Rejects {
    fn take(&mut self, records: &RecordBatch) -> Result<()> {
        let missing = |name: &str| Error::environment(format!("the dead letters have no column `{name}` of its type"));
        let text = |name: &str| {
            let column = records.column_by_name(name).and_then(|column| column.as_string_opt::<i32>().cloned());
            column.ok_or_else(|| missing(name))
        };
        let names = ["stage", "code", "column", "message", "source", "partition", "record", "record_base64"];
        let [stage, code, column, message, source, partition, record, base64] = names.map(text);
        let (stage, code, column, message) = (stage?, code?, column?, message?);
        let (source, partition, record, base64) = (source?, partition?, record?, base64?);
        let position = records.column_by_name("position").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let position = position.ok_or_else(|| missing("position"))?;
        for row in 0..records.num_rows() {
            let of = |column: &arrow_array::StringArray| column.is_valid(row).then(|| column.value(row).to_owned());
            let example = RejectExample {
                message: of(&message).unwrap_or_default(),
                place: format!("{} {}:{}", source.value(row), partition.value(row), position.value(row)),
                record: of(&record).or_else(|| of(&base64).map(|text| format!("base64 {text}"))).unwrap_or_default(),
            };
            let code = of(&code).unwrap_or_default();
            self.add(RejectKind { stage: of(&stage), code, column: of(&column), count: 1, examples: vec![example] });
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.others += other.others;
        other.kinds.into_iter().for_each(|kind| self.add(kind));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_counted_whole_and_shown_by_a_few_records() {
        let reject = |code: &str, message: &str| RejectKind {
            stage: Some("clean".into()),
            code: code.into(),
            column: None,
            count: 1,
            examples: vec![RejectExample { message: message.into(), place: "pins a:1".into(), record: "{}".into() }],
        };
        let mut all = Rejects::default();
        (0..5).for_each(|number| all.add(reject("bad-number", &number.to_string())));
        let mut other = Rejects::default();
        other.add(reject("bad-date", "x"));
        other.add(reject("bad-number", "y"));
        all.merge(other).unwrap();
        let counts: Vec<_> = all.kinds.iter().map(|kind| (kind.code.as_str(), kind.count, kind.examples.len())).collect();
        assert_eq!(counts, [("bad-date", 1, 1), ("bad-number", 6, EXAMPLES)]);
        (0..MAX_KINDS + 5).for_each(|number| all.add(reject(&format!("code-{number}"), "")));
        assert_eq!((all.kinds.len(), all.total()), (MAX_KINDS, 7 + MAX_KINDS as u64 + 5));
    }
}
