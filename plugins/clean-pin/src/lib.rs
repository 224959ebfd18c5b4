//! Cleans Pinterest posts: texts that mean null, follower counts, save locations, column names and order.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod columns;
mod config;
mod follower_count;

use wasmill_plugin::other_rows::{OtherRows, OtherTable, OtherTables};
use wasmill_plugin::prelude::*;
use wasmill_plugin::text::{TextRules, WrappedValues};

pub use config::{Column, Config, Kept};

/// The tables whose rows come along where several share a topic or file.
const OTHERS: &[OtherTable] = &[
    OtherTable { name: "places", columns: &["timestamp", "country"] },
    OtherTable { name: "users", columns: &["first_name", "last_name", "date_joined"] },
];

/// The plugin: the columns that it was configured to give, each with what is done to it.
pub struct CleanPin {
    index_column: String,
    columns: Vec<(Column, Work)>,
    save_location_prefix: String,
    split_tag_list: bool,
    /// Where rows of other tables are skipped.
    others: Option<OtherTables>,
}

/// What is done to a column.
enum Work {
    /// The host nulls the values that mean null. The plugin sees nulls, and what may be wrapped.
    Null(TextRules),
    /// Its values are built again.
    Rewrite(TextRules),
    /// Nothing: it is not even read.
    Pass,
}

impl Transform for CleanPin {
    type Config = Config;

    fn plan(config: Config, plan: &mut Plan) -> Result<Self, Refusal> {
        if config.index_column.is_empty() {
            return Err(Refusal::new("index_column names no column; leave it out for `index`").at_config("/index_column"));
        }
        plan.read(&config.index_column, DataType::Int64);
        plan.out().pass_as(&config.index_column, "ind");
        let kept = Column::ALL.into_iter().filter(|column| !config.drop.contains(column));
        let columns: Vec<_> = kept.map(|column| (column, Work::on(column, &config))).collect();
        for (column, work) in &columns {
            let name = column.name();
            match work {
                Work::Pass => plan.need(name, DataType::Utf8).out().pass(name),
                Work::Null(rules) => plan.peek(name, rules.suspects().iter().copied()).out().pass_except(name, rules.nulls()),
                Work::Rewrite(rules) => {
                    plan.want(rules.need(name), true).out().compute(name, columns::output_type(*column, config.split_tag_list))
                }
            };
        }
        if config.keep.contains(&Kept::Downloaded) {
            plan.need("downloaded", DataType::Int64).out().pass("downloaded");
        }
        Ok(Self {
            index_column: config.index_column,
            columns,
            save_location_prefix: config.save_location_prefix,
            split_tag_list: config.split_tag_list,
            others: (config.other_rows == OtherRows::Skip)
                .then(|| OtherTables::plan(Column::ALL.map(|column| (column.name(), DataType::Utf8)), OTHERS, plan)),
        })
    }

    fn process(&mut self, batch: &Batch, out: &mut Output<'_>) -> Result<(), Refusal> {
        let kept = self.others.as_ref().map_or(Ok(None), |others| others.kept(batch))?;
        self.reject_foreign_rows(batch, kept.as_ref(), out)?;
        for (column, work) in &self.columns {
            let name = column.name();
            match work {
                Work::Pass => {}
                Work::Null(rules) => rules.reject_wrapped(batch.utf8(name)?, name, out),
                Work::Rewrite(rules) => {
                    let texts = batch.utf8(name)?;
                    rules.reject_wrapped(texts, name, out);
                    self.rewrite(*column, rules, texts, out)?;
                }
            }
        }
        kept.map_or(Ok(()), |kept| out.only(kept))
    }
}

impl CleanPin {
    /// Rejects rows that are no posts: those of the other tables have no index, or only an index.
    fn reject_foreign_rows(&self, batch: &Batch, kept: Option<&BooleanBuffer>, out: &mut Output<'_>) -> Result<(), Refusal> {
        let is_kept = |row: &usize| kept.is_none_or(|kept| kept.value(*row));
        let index = batch.int64(&self.index_column)?;
        if let Some(nulls) = index.nulls().filter(|nulls| nulls.null_count() > 0) {
            for row in (0..batch.len()).filter(|&row| nulls.is_null(row)).filter(is_kept) {
                let message = format!("{} is null: the row is no post, or lost its identity", self.index_column);
                out.reject(row, Reject::new("missing-ind", message).at_column(&self.index_column));
            }
        }
        let read = self.columns.iter().filter(|(_, work)| !matches!(work, Work::Pass));
        let columns = read.map(|(column, _)| batch.utf8(column.name())).collect::<Result<Vec<_>, _>>()?;
        // Most batches have a column without nulls, and then there is nothing to scan.
        if columns.is_empty() || columns.iter().any(|column| column.null_count() == 0) {
            return Ok(());
        }
        for row in (0..batch.len()).filter(|&row| columns.iter().all(|column| column.is_null(row))).filter(is_kept) {
            out.reject(row, Reject::new("wrong-table", "the row has an index and no other value of a post: it belongs to another table"));
        }
        Ok(())
    }

    fn rewrite(&self, column: Column, rules: &TextRules, texts: &StringArray, out: &mut Output<'_>) -> Result<(), Refusal> {
        let name = column.name();
        match column {
            Column::FollowerCount => {
                let counts = columns::follower_counts(rules, texts, out);
                out.set(name, counts)
            }
            Column::TagList if self.split_tag_list => out.set(name, columns::tag_lists(rules, texts)),
            Column::SaveLocation => {
                let prefix = self.save_location_prefix.as_str();
                out.set(name, rules.rewritten(texts, |text| text.strip_prefix(prefix).unwrap_or(text))?)
            }
            _ => out.set(name, rules.rewritten(texts, |text| text)?),
        }
    }
}

impl Work {
    fn on(column: Column, config: &Config) -> Self {
        let rules = column.rules(config);
        let made_anew = match column {
            Column::FollowerCount => true,
            Column::TagList => config.split_tag_list,
            Column::SaveLocation => !config.save_location_prefix.is_empty(),
            _ => false,
        };
        if made_anew || config.wrapped_values == WrappedValues::Unwrap {
            Self::Rewrite(rules)
        } else if rules.change_nothing() {
            Self::Pass
        } else {
            Self::Null(rules)
        }
    }
}

wasmill_plugin::transform!(CleanPin, documentation = include_str!("../README.md"));
