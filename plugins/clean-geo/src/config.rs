//! The configuration: the canonical rules are its defaults.

use wasmill_plugin::other_rows::OtherRows;
use wasmill_plugin::text::{STANDARD_NULLS, TextRules, WrappedValues};

/// How places are cleaned.
#[wasmill_plugin::config]
#[serde(default)]
pub struct Config {
    /// `null_countries: ["Unknown"]`: more countries that mean null.
    pub null_countries: Vec<String>,
    /// `null_timestamps: ["n/a"]`: more timestamps that mean null.
    pub null_timestamps: Vec<String>,
    /// `null_texts: ["-"]`: more texts that mean null in every text column.
    pub null_texts: Vec<String>,
    /// `standard_nulls: false`: only the texts listed in this configuration mean null, not the empty text and `None`.
    pub standard_nulls: bool,
    /// `wrapped_values: unwrap`: what to do with a text that a producer wrapped as a list,
    /// `["Albania"]`.
    pub wrapped_values: WrappedValues,
    /// `other_rows: skip`: what to do with rows that are clearly posts or users, and no places.
    pub other_rows: OtherRows,
    /// `drop: [timestamp]`: output columns to leave out.
    pub drop: Vec<Column>,
    /// `keep: [latitude, longitude]`: input columns to keep besides the usual ones, after them.
    pub keep: Vec<Kept>,
}

/// A column of the output, besides `ind`.
#[wasmill_plugin::config]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// The country's name.
    Country,
    /// Latitude and longitude as a list.
    Coordinates,
    /// When it was posted.
    Timestamp,
}

/// An input column that is usually left out.
#[wasmill_plugin::config]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Degrees north.
    Latitude,
    /// Degrees east.
    Longitude,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            null_countries: Vec::new(),
            null_timestamps: Vec::new(),
            null_texts: Vec::new(),
            standard_nulls: true,
            wrapped_values: WrappedValues::Reject,
            other_rows: OtherRows::Reject,
            drop: Vec::new(),
            keep: Vec::new(),
        }
    }
}

impl Config {
    /// How the cells of a text column are read, given the texts that mean null in it alone.
    pub fn rules(&self, more: &[String]) -> TextRules {
        let standard = STANDARD_NULLS.into_iter().filter(|_| self.standard_nulls);
        let more = more.iter().chain(&self.null_texts).map(String::as_str);
        TextRules::new(standard.chain(more).collect(), self.wrapped_values)
    }
}
