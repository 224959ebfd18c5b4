//! Names of tables and columns, as SQL writes them.

use std::fmt;

/// A name in quotes: it is taken as it is, whatever is in it.
pub(super) use postgres_protocol::escape::escape_identifier as quoted;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use crate::codes::TABLE_NAME;

/// The bytes of a name that the server keeps; it silently truncates longer ones.
pub(super) const MAX_NAME_BYTES: usize = 63;

/// The table of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableName {
    /// Its schema.
    pub schema: String,
    /// Its name in the schema.
    pub name: String,
}

impl TableName {
    /// Reads `schema.table` or `table`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (schema, name) = text.split_once('.').unwrap_or(("public", text));
        let wrong = |what: String| {
            Err(Error::configuration(format!("`table: {text}`: {what}")).code(TABLE_NAME).key(["table"]).hint(
                "write `table: schema.table`, or `table: table` for the schema `public`; names are taken as they are written, capitals too",
            ))
        };
        if name.contains('.') || name.contains('"') || schema.contains('"') {
            return wrong("names with dots or quotes are not supported".to_owned());
        }
        for part in [schema, name] {
            if let Some(problem) = name_problem(part) {
                return wrong(problem);
            }
        }
        Ok(Self { schema: schema.to_owned(), name: name.to_owned() })
    }

    /// As SQL.
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// The table of tokens in the same schema, as SQL.
    pub(super) fn commits_sql(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(COMMITS))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// The table that holds the tokens of every sink into a schema.
pub(super) const COMMITS: &str = "wasmill_commits";

/// Why the server would not take a name as it is.
pub(super) fn name_problem(name: &str) -> Option<String> {
    match name {
        "" => Some("a name is empty".to_owned()),
        _ if name.len() > MAX_NAME_BYTES => Some(format!("`{name}` is longer than the {MAX_NAME_BYTES} bytes that a name may have")),
        _ if name.contains('\0') => Some("a name holds U+0000".to_owned()),
        _ => None,
    }
}

/// Names in quotes, with commas between them.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_schema() {
        let table = TableName::parse("sales.Orders").unwrap();
        assert_eq!(table.sql(), "\"sales\".\"Orders\"");
        assert_eq!(TableName::parse("orders").unwrap().to_string(), "public.orders");
        for wrong in ["", ".", "a.", "a.b.c", "a\"b", &"x".repeat(64)] {
            assert!(TableName::parse(wrong).unwrap_err().message().contains("`table: "), "{wrong}");
        }
    }

    #[test]
    fn a_quote_in_a_name_does_not_end_it() {
        assert_eq!(list(["a\"; DROP TABLE x; --", "b"]), "\"a\"\"; DROP TABLE x; --\", \"b\"");
    }
}
