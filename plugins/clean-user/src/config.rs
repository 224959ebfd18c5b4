//! The configuration: the canonical rules are its defaults.

use wasmill_plugin::other_rows::OtherRows;
use wasmill_plugin::text::{STANDARD_NULLS, TextRules, WrappedValues};

/// How users are cleaned.
#[wasmill_plugin::config]
#[serde(default)]
pub struct Config {
    /// `null_names: ["Unknown"]`: more first and last names that mean null.
    pub null_names: Vec<String>,
    /// `null_dates_joined: ["n/a"]`: more values of date_joined that mean null.
    pub null_dates_joined: Vec<String>,
    /// `null_texts: ["-"]`: more texts that mean null in every text column.
    pub null_texts: Vec<String>,
    /// `standard_nulls: false`: only the texts listed in this configuration mean null, not the empty text and `None`.
    pub standard_nulls: bool,
    /// `wrapped_values: unwrap`: what to do with a text that a producer wrapped as a list,
    /// `["Ada"]`.
    pub wrapped_values: WrappedValues,
    /// `name_separator: ", "`: the separator between first and last name in user_name.
    pub name_separator: String,
    /// `other_rows: skip`: what to do with rows that are clearly posts or places, and no users.
    pub other_rows: OtherRows,
    /// `drop: [age]`: output columns to leave out.
    pub drop: Vec<Column>,
    /// `keep: [first_name, last_name]`: input columns to keep besides the usual ones, after them,
    /// unchanged.
    pub keep: Vec<Kept>,
}

/// A column of the output, besides `ind`.
#[wasmill_plugin::config]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// First and last name.
    UserName,
    /// The age in years.
    Age,
    /// When the user joined.
    DateJoined,
}

/// An input column that is usually left out.
#[wasmill_plugin::config]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// The first name.
    FirstName,
    /// The last name.
    LastName,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            null_names: Vec::new(),
            null_dates_joined: Vec::new(),
            null_texts: Vec::new(),
            standard_nulls: true,
            wrapped_values: WrappedValues::Reject,
            name_separator: " ".to_owned(),
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
