//! Cleans where and when posts were created: coordinates, timestamps, column order.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod config;
mod coordinates;

use wasmill_plugin::other_rows::{OtherRows, OtherTable, OtherTables};
use wasmill_plugin::prelude::*;
use wasmill_plugin::text::TextRules;
use wasmill_plugin::time;

pub use config::{Column, Config, Kept};

/// The tables whose rows come along where several share a topic or file.
const OTHERS: &[OtherTable] = &[
    OtherTable { name: "posts", columns: &["unique_id", "category"] },
    OtherTable { name: "users", columns: &["first_name", "last_name", "date_joined"] },
];

/// The plugin.
pub struct CleanGeo {
    /// The rules of `country` and whether its values are computed, unless it is dropped.
    country: Option<TextRules>,
    coordinates: bool,
    timestamp: Option<TextRules>,
    /// Where rows of other tables are skipped.
    others: Option<OtherTables>,
}

impl Transform for CleanGeo {
    type Config = Config;

    fn plan(config: Config, plan: &mut Plan) -> Result<Self, Refusal> {
        let wanted = |column| !config.drop.contains(&column);
        plan.read("ind", DataType::Int64).out().pass("ind");
        let country = wanted(Column::Country).then(|| config.rules(&config.null_countries));
        if let Some(rules) = &country {
            if rules.only_null() {
                plan.peek("country", rules.suspects().iter().copied()).out().pass_except("country", rules.nulls());
            } else {
                plan.want(rules.need("country"), true).out().compute("country", DataType::Utf8);
            }
        }
        let coordinates = wanted(Column::Coordinates);
        if coordinates {
            plan.read("latitude", DataType::Float64).read("longitude", DataType::Float64);
            plan.out().compute("coordinates", coordinates::data_type());
        }
        let timestamp = wanted(Column::Timestamp).then(|| config.rules(&config.null_timestamps));
        if let Some(rules) = &timestamp {
            plan.want(rules.need("timestamp"), true).out().compute("timestamp", time::timestamp_type());
        }
        for (kept, name) in [(Kept::Latitude, "latitude"), (Kept::Longitude, "longitude")] {
            if config.keep.contains(&kept) {
                plan.need(name, DataType::Float64).out().pass(name);
            }
        }
        let others = (config.other_rows == OtherRows::Skip).then(|| {
            let own = [
                ("country", DataType::Utf8),
                ("latitude", DataType::Float64),
                ("longitude", DataType::Float64),
                ("timestamp", DataType::Utf8),
            ];
            OtherTables::plan(own, OTHERS, plan)
        });
        Ok(Self { country, coordinates, timestamp, others })
    }

    fn process(&mut self, batch: &Batch, out: &mut Output<'_>) -> Result<(), Refusal> {
        let kept = self.others.as_ref().map_or(Ok(None), |others| others.kept(batch))?;
        self.reject_foreign_rows(batch, kept.as_ref(), out)?;
        if let Some(rules) = &self.country {
            let countries = batch.utf8("country")?;
            rules.reject_wrapped(countries, "country", out);
            if !rules.only_null() {
                out.set("country", rules.rewritten(countries, |country| country)?)?;
            }
        }
        if self.coordinates {
            let joined = coordinates::join(batch.float64("latitude")?, batch.float64("longitude")?, out)?;
            out.set("coordinates", joined)?;
        }
        if let Some(rules) = &self.timestamp {
            let times = rules.timestamps(batch.utf8("timestamp")?, "timestamp", out);
            out.set("timestamp", times)?;
        }
        kept.map_or(Ok(()), |kept| out.only(kept))
    }
}

impl CleanGeo {
    /// Rejects rows that are no places: those of the other tables have no ind, or only an ind.
    fn reject_foreign_rows(&self, batch: &Batch, kept: Option<&BooleanBuffer>, out: &mut Output<'_>) -> Result<(), Refusal> {
        let ind = batch.column("ind")?;
        let mut columns = Vec::new();
        for (name, read) in [
            ("country", self.country.is_some()),
            ("latitude", self.coordinates),
            ("longitude", self.coordinates),
            ("timestamp", self.timestamp.is_some()),
        ] {
            if read {
                columns.push(batch.column(name)?);
            }
        }
        for row in (0..batch.len()).filter(|&row| kept.is_none_or(|kept| kept.value(row))) {
            if ind.is_null(row) {
                out.reject(row, Reject::new("missing-ind", "ind is null: the row is no place, or lost its identity").at_column("ind"));
            } else if !columns.is_empty() && columns.iter().all(|column| column.is_null(row)) {
                out.reject(
                    row,
                    Reject::new("wrong-table", "the row has an ind and no other value of a place: it belongs to another table"),
                );
            }
        }
        Ok(())
    }
}

wasmill_plugin::transform!(CleanGeo, documentation = include_str!("../README.md"));
