//! Names of tables and columns, as SQL writes them.

use std::fmt;

use wasmill_engine::{Error, Result};

use crate::codes::TABLE_NAME;

/// A name in quotes: it is taken as it is, whatever is in it.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A table, perhaps with its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableName {
    /// Its database; `None`: the one of the connection.
    pub database: Option<String>,
    /// Its name in the database.
    pub name: String,
}

impl TableName {
    /// Reads `database.table` or `table`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (database, name) = match text.split_once('.') {
            Some((database, name)) => (Some(database), name),
            None => (None, text),
        };
        let wrong = |what: &str| {
            Err(Error::configuration(format!("`table: {text}`: {what}")).code(TABLE_NAME).key(["table"]).hint(
                "write `table: database.table`, or `table: table` for the connection's database; names are taken as they are written",
            ))
        };
        if name.contains('.') {
            return wrong("names with dots are not supported");
        }
        for part in database.into_iter().chain([name]) {
            match part {
                "" => return wrong("a name is empty"),
                // The server keeps no longer ones.
                _ if part.chars().count() > 64 => return wrong("a name is longer than 64 characters"),
                _ if part.contains(['\0', '`']) => return wrong("names with quotes or U+0000 are not supported"),
                _ => {}
            }
        }
        Ok(Self { database: database.map(str::to_owned), name: name.to_owned() })
    }

    /// As SQL.
    pub(super) fn sql(&self) -> String {
        match &self.database {
            Some(database) => format!("{}.{}", quoted(database), quoted(&self.name)),
            None => quoted(&self.name),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.database {
            Some(database) => write!(f, "{database}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_may_have_a_database() {
        assert_eq!(TableName::parse("sales.Orders").unwrap().sql(), "`sales`.`Orders`");
        assert_eq!(TableName::parse("orders").unwrap().sql(), "`orders`");
        for wrong in ["", ".", "a.", "a.b.c", "a`b", &"x".repeat(65)] {
            assert!(TableName::parse(wrong).unwrap_err().message().contains("`table: "), "{wrong}");
        }
    }

    #[test]
    fn a_quote_in_a_name_does_not_end_it() {
        assert_eq!(quoted("a`; DROP TABLE x; --"), "`a``; DROP TABLE x; --`");
    }
}
