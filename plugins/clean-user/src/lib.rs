//! Cleans users: one name of two, the date they joined, column order.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod config;

use wasmill_plugin::arrow::array::builder::StringBuilder;
use wasmill_plugin::other_rows::{OtherRows, OtherTable, OtherTables};
use wasmill_plugin::prelude::*;
use wasmill_plugin::text::TextRules;
use wasmill_plugin::time;

pub use config::{Column, Config, Kept};

const NAMES: [&str; 2] = ["first_name", "last_name"];

/// The tables whose rows come along where several share a topic or file.
const OTHERS: &[OtherTable] =
    &[OtherTable { name: "posts", columns: &["unique_id", "category"] }, OtherTable { name: "places", columns: &["timestamp", "country"] }];

/// The plugin.
pub struct CleanUser {
    /// The rules of the two names, unless user_name is dropped.
    names: Option<TextRules>,
    name_separator: String,
    age: bool,
    date_joined: Option<TextRules>,
    /// Where rows of other tables are skipped.
    others: Option<OtherTables>,
}

impl Transform for CleanUser {
    type Config = Config;

    fn plan(config: Config, plan: &mut Plan) -> Result<Self, Refusal> {
        let wanted = |column| !config.drop.contains(&column);
        plan.read("ind", DataType::Int64).out().pass("ind");
        let names = wanted(Column::UserName).then(|| config.rules(&config.null_names));
        if let Some(rules) = &names {
            plan.want(rules.need(NAMES[0]), true).want(rules.need(NAMES[1]), true);
            plan.out().compute("user_name", DataType::Utf8);
        }
        let age = wanted(Column::Age);
        if age {
            plan.read("age", DataType::Int64).out().pass("age");
        }
        let date_joined = wanted(Column::DateJoined).then(|| config.rules(&config.null_dates_joined));
        if let Some(rules) = &date_joined {
            plan.want(rules.need("date_joined"), true).out().compute("date_joined", time::timestamp_type());
        }
        for (kept, name) in [(Kept::FirstName, NAMES[0]), (Kept::LastName, NAMES[1])] {
            if config.keep.contains(&kept) {
                plan.need(name, DataType::Utf8).out().pass(name);
            }
        }
        let others = (config.other_rows == OtherRows::Skip).then(|| {
            let own = [(NAMES[0], DataType::Utf8), (NAMES[1], DataType::Utf8), ("age", DataType::Int64), ("date_joined", DataType::Utf8)];
            OtherTables::plan(own, OTHERS, plan)
        });
        Ok(Self { names, name_separator: config.name_separator, age, date_joined, others })
    }

    fn process(&mut self, batch: &Batch, out: &mut Output<'_>) -> Result<(), Refusal> {
        let kept = self.others.as_ref().map_or(Ok(None), |others| others.kept(batch))?;
        self.reject_foreign_rows(batch, kept.as_ref(), out)?;
        if let Some(rules) = &self.names {
            let (first, last) = (batch.utf8(NAMES[0])?, batch.utf8(NAMES[1])?);
            rules.reject_wrapped(first, NAMES[0], out);
            rules.reject_wrapped(last, NAMES[1], out);
            out.set("user_name", user_names(rules, &self.name_separator, first, last))?;
        }
        if let Some(rules) = &self.date_joined {
            let dates = rules.timestamps(batch.utf8("date_joined")?, "date_joined", out);
            out.set("date_joined", dates)?;
        }
        kept.map_or(Ok(()), |kept| out.only(kept))
    }
}

impl CleanUser {
    /// Rejects rows that are no users: those of the other tables have no ind, or only an ind.
    fn reject_foreign_rows(&self, batch: &Batch, kept: Option<&BooleanBuffer>, out: &mut Output<'_>) -> Result<(), Refusal> {
        let ind = batch.column("ind")?;
        let mut columns = Vec::new();
        for (name, read) in [
            (NAMES[0], self.names.is_some()),
            (NAMES[1], self.names.is_some()),
            ("age", self.age),
            ("date_joined", self.date_joined.is_some()),
        ] {
            if read {
                columns.push(batch.column(name)?);
            }
        }
        for row in (0..batch.len()).filter(|&row| kept.is_none_or(|kept| kept.value(row))) {
            if ind.is_null(row) {
                out.reject(row, Reject::new("missing-ind", "ind is null: the row is no user, or lost its identity").at_column("ind"));
            } else if !columns.is_empty() && columns.iter().all(|column| column.is_null(row)) {
                out.reject(row, Reject::new("wrong-table", "the row has an ind and no other value of a user: it belongs to another table"));
            }
        }
        Ok(())
    }
}

/// First and last name with the separator between; the other one alone where one is null; null
/// where both are.
fn user_names(rules: &TextRules, separator: &str, first: &StringArray, last: &StringArray) -> StringArray {
    let mut names =
        StringBuilder::with_capacity(first.len(), first.value_data().len() + last.value_data().len() + separator.len() * first.len());
    let mut name = String::new();
    for row in 0..first.len() {
        match (rules.text(first, row), rules.text(last, row)) {
            (Some(first), Some(last)) => {
                name.clear();
                name.extend([&*first, separator, &*last]);
                names.append_value(&name);
            }
            (one, other) => names.append_option(one.or(other)),
        }
    }
    names.finish()
}

wasmill_plugin::transform!(CleanUser, documentation = include_str!("../README.md"));
