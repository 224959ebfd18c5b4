//! The effect of a built-in stage on columns, and what is wrong with it on given columns.

use std::collections::BTreeMap;

use arrow_schema::{Schema, SchemaRef};

use crate::Projection;

/// The prefix of columns that sources add; no stage may create one.
pub const RESERVED_PREFIX: &str = "_source.";

/// A change of columns that touches no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnChange {
    /// Renames columns, by their old names. All others pass unchanged; the order stays.
    Rename(BTreeMap<String, String>),
    /// Leaves columns out. All others pass as they are; the order stays.
    Drop(Vec<String>),
}

/// Why a change does not go with the columns that it meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnProblem {
    /// There is no column of this name.
    Unknown(String),
    /// A column would get a name that another one has.
    Collision {
        /// The column that is renamed.
        column: String,
        /// Its new name.
        name: String,
        /// The column that gets the same name, if it is renamed as well; otherwise a column has the name already.
        other: Option<String>,
    },
    /// A column would get a name that only sources give.
    Reserved {
        /// The column that is renamed.
        column: String,
        /// Its new name.
        name: String,
    },
    /// A column is listed twice.
    Twice(String),
    /// No column would be left.
    NothingLeft,
}

impl ColumnChange {
    /// The name behind the stage of a column before it; `None` if the stage leaves it out.
    pub fn forward<'a>(&'a self, column: &'a str) -> Option<&'a str> {
        match self {
            Self::Rename(names) => Some(names.get(column).map_or(column, String::as_str)),
            Self::Drop(names) => (!names.iter().any(|name| name == column)).then_some(column),
        }
    }

    /// The name before the stage of a column behind it; `None` if the stage has no such column to give.
    pub fn back<'a>(&'a self, column: &'a str) -> Option<&'a str> {
        match self {
            Self::Rename(names) => match names.iter().find(|(_, new)| *new == column) {
                Some((old, _)) => Some(old),
                None => (!names.contains_key(column)).then_some(column),
            },
            Self::Drop(names) => (!names.iter().any(|name| name == column)).then_some(column),
        }
    }

    /// The columns that it names, in the order in which it names them.
    pub fn named(&self) -> Vec<&str> {
        match self {
            Self::Rename(names) => names.keys().map(String::as_str).collect(),
            Self::Drop(names) => names.iter().map(String::as_str).collect(),
        }
    }

    /// What is wrong with it on these columns.
    pub fn problems(&self, columns: &[&str]) -> Vec<ColumnProblem> {
        let unknown = self.named().into_iter().filter(|name| !columns.contains(name));
        let mut problems: Vec<ColumnProblem> = unknown.map(|name| ColumnProblem::Unknown(name.to_owned())).collect();
        match self {
            Self::Rename(names) => problems.extend(wrong_names(names, columns)),
            Self::Drop(names) => {
                let twice = names.iter().enumerate().filter(|(index, name)| names[..*index].contains(name));
                problems.extend(twice.map(|(_, name)| ColumnProblem::Twice(name.clone())));
                if !columns.is_empty() && columns.iter().all(|column| self.forward(column).is_none()) {
                    problems.push(ColumnProblem::NothingLeft);
                }
            }
        }
        problems
    }

    /// The stage that does it on these columns. Names that they do not have change nothing.
    pub fn stage(&self, input: &SchemaRef) -> Projection {
        let kept = input.fields().iter().enumerate().filter_map(|(index, field)| Some((index, self.forward(field.name())?, field)));
        let (columns, fields): (Vec<usize>, Vec<_>) =
            kept.map(|(index, name, field)| (index, field.as_ref().clone().with_name(name))).unzip();
        Projection::new(columns, Schema::new_with_metadata(fields, input.metadata().clone()))
    }
}

fn wrong_names(names: &BTreeMap<String, String>, columns: &[&str]) -> Vec<ColumnProblem> {
    let mut problems = Vec::new();
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (column, name) in names {
        let collision =
            |other: Option<&str>| ColumnProblem::Collision { column: column.clone(), name: name.clone(), other: other.map(str::to_owned) };
        if name.starts_with(RESERVED_PREFIX) {
            problems.push(ColumnProblem::Reserved { column: column.clone(), name: name.clone() });
        } else if let Some(other) = taken.insert(name, column) {
            problems.push(collision(Some(other)));
        } else if columns.contains(&name.as_str()) && !names.contains_key(name) {
            // A column that is renamed itself makes room for another one.
            problems.push(collision(None));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rename(names: &[(&str, &str)]) -> ColumnChange {
        ColumnChange::Rename(names.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect())
    }

    fn drop(names: &[&str]) -> ColumnChange {
        ColumnChange::Drop(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn names_are_followed_in_both_directions() {
        let swap = rename(&[("a", "b"), ("b", "a"), ("c", "d")]);
        assert_eq!(["a", "b", "c", "x"].map(|name| swap.forward(name)), [Some("b"), Some("a"), Some("d"), Some("x")]);
        assert_eq!(["a", "b", "c", "d", "x"].map(|name| swap.back(name)), [Some("b"), Some("a"), None, Some("c"), Some("x")]);
        let less = drop(&["a"]);
        assert_eq!(["a", "b"].map(|name| (less.forward(name), less.back(name))), [(None, None), (Some("b"), Some("b"))]);
    }

    #[test]
    fn a_change_that_does_not_fit_the_columns_is_explained() {
        let columns = ["a", "b", "c"];
        assert_eq!(rename(&[("a", "x"), ("b", "a")]).problems(&columns), []);
        assert_eq!(drop(&["a", "c"]).problems(&columns), []);
        assert_eq!(rename(&[("z", "x")]).problems(&columns), [ColumnProblem::Unknown("z".into())]);
        let collision = |column: &str, name: &str, other: Option<&str>| ColumnProblem::Collision {
            column: column.into(),
            name: name.into(),
            other: other.map(Into::into),
        };
        assert_eq!(rename(&[("a", "b")]).problems(&columns), [collision("a", "b", None)]);
        assert_eq!(rename(&[("a", "x"), ("b", "x")]).problems(&columns), [collision("b", "x", Some("a"))]);
        let reserved = ColumnProblem::Reserved { column: "a".into(), name: "_source.path".into() };
        assert_eq!(rename(&[("a", "_source.path")]).problems(&columns), [reserved]);
        assert_eq!(drop(&["a", "a"]).problems(&columns), [ColumnProblem::Twice("a".into())]);
        assert_eq!(drop(&["a", "b", "c"]).problems(&columns), [ColumnProblem::NothingLeft]);
        let of_none = drop(&["z"]).problems(&["z"]);
        assert_eq!(of_none, [ColumnProblem::NothingLeft]);
    }
}
