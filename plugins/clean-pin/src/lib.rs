//! Cleans Pinterest posts: texts that mean null, follower counts, save locations, column names and order.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cells;
mod config;
mod follower_count;

use wasmill_plugin::prelude::*;

use cells::Cells;
pub use config::{Column, Config, WrappedValues};

/// The plugin: the columns that it was configured to give, each with its rule.
pub struct CleanPin {
    index_column: String,
    columns: Vec<(Column, Rule)>,
    save_location_prefix: String,
}

/// What is done to a column.
enum Rule {
    /// Its values stay in the host; those of the texts that mean null are masked.
    Mask(Cells),
    /// Its values are made anew.
    Rewrite(Cells),
    /// Nothing: it is not even looked at.
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
        let columns: Vec<_> = kept.map(|column| (column, Rule::of(column, &config))).collect();
        for (column, rule) in &columns {
            let name = column.name();
            match rule {
                Rule::Pass => {
                    plan.need(name, DataType::Utf8).out().pass(name);
                }
                Rule::Mask(_) => {
                    plan.read(name, DataType::Utf8).out().null_some(name);
                }
                Rule::Rewrite(_) => {
                    plan.read(name, DataType::Utf8).out().compute(name, column.output_type(&config));
                }
            }
        }
        if config.keep_downloaded {
            plan.need("downloaded", DataType::Int64).out().pass("downloaded");
        }
        Ok(Self { index_column: config.index_column, columns, save_location_prefix: config.save_location_prefix })
    }

    fn process(&mut self, batch: &Batch, out: &mut Output<'_>) -> Result<(), Refusal> {
        self.reject_foreign_rows(batch, out)?;
        for (column, rule) in &self.columns {
            let name = column.name();
            match rule {
                Rule::Pass => {}
                Rule::Mask(cells) => {
                    let texts = batch.utf8(name)?;
                    cells.reject_wrapped(texts, name, out);
                    out.keep(name, cells.keep_mask(texts))?;
                }
                Rule::Rewrite(cells) => self.rewrite(*column, cells, batch.utf8(name)?, out)?,
            }
        }
        Ok(())
    }
}

impl CleanPin {
    /// Sets rows aside that are no posts: those of the other tables have no index, or nothing but an index.
    fn reject_foreign_rows(&self, batch: &Batch, out: &mut Output<'_>) -> Result<(), Refusal> {
        let index = batch.int64(&self.index_column)?;
        if let Some(nulls) = index.nulls().filter(|nulls| nulls.null_count() > 0) {
            for row in (0..batch.len()).filter(|&row| nulls.is_null(row)) {
                let message = format!("{} is null: the row is no post, or lost its identity", self.index_column);
                out.reject(row, Reject::new("missing-ind", message).at_column(&self.index_column));
            }
        }
        let read = self.columns.iter().filter(|(_, rule)| !matches!(rule, Rule::Pass));
        let columns = read.map(|(column, _)| batch.utf8(column.name())).collect::<Result<Vec<_>, _>>()?;
        // Most batches have a column without nulls, and then there is nothing to look for.
        if columns.is_empty() || columns.iter().any(|column| column.null_count() == 0) {
            return Ok(());
        }
        for row in (0..batch.len()).filter(|&row| columns.iter().all(|column| column.is_null(row))) {
            out.reject(row, Reject::new("wrong-table", "the row has an index and no other value of a post: it belongs to another table"));
        }
        Ok(())
    }

    fn rewrite(&self, column: Column, cells: &Cells, texts: &StringArray, out: &mut Output<'_>) -> Result<(), Refusal> {
        let name = column.name();
        cells.reject_wrapped(texts, name, out);
        match column {
            Column::FollowerCount => {
                let counts = cells.follower_counts(texts, out);
                out.set(name, counts)
            }
            Column::TagList if matches!(cells.split, cells::Split::AtCommas) => out.set(name, cells.lists(texts)?),
            Column::SaveLocation => out.set(name, cells.texts(texts, &self.save_location_prefix)?),
            _ => out.set(name, cells.texts(texts, "")?),
        }
    }
}

impl Rule {
    fn of(column: Column, config: &Config) -> Self {
        let cells = Cells::of(column, config);
        let made_anew = match column {
            Column::FollowerCount => true,
            Column::TagList => config.split_tag_list,
            Column::SaveLocation => !config.save_location_prefix.is_empty(),
            _ => false,
        };
        if made_anew || config.wrapped_values == WrappedValues::Unwrap {
            Self::Rewrite(cells)
        } else if cells.change_nothing() {
            Self::Pass
        } else {
            Self::Mask(cells)
        }
    }
}

impl Column {
    fn output_type(self, config: &Config) -> DataType {
        match self {
            Self::FollowerCount => DataType::Int64,
            Self::TagList if config.split_tag_list => cells::list_of_texts(),
            _ => DataType::Utf8,
        }
    }
}

wasmill_plugin::transform!(CleanPin, documentation = include_str!("../README.md"));
