//! The columns of a table or a query, and the statements that read it.

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use mysql_async::consts::ColumnFlags;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};
use wasmill_engine::{Error, Result};

use crate::codes::{CURSOR, MISSING, ORDER_BY, TYPE};
use crate::config::MysqlSourceConfig;
use crate::failure::Failure;
use crate::key::{KeyColumn, behind, up_to, with_same_first};
use crate::name::quoted;
use crate::record::Layout;
use crate::types::Kind;

/// A column of the server.
struct Column {
    name: String,
    kind: Kind,
    may_be_null: bool,
}

/// The columns of a table or a query, and those by which its rows are sorted.
pub(super) struct Query {
    from: String,
    columns: Vec<Column>,
    /// The cursor first, if there is one; then those of `order_by`.
    pub key: Vec<KeyColumn>,
}

/// A statement and its parameters.
#[derive(Debug)]
pub(super) struct Statement {
    pub sql: String,
    pub parameters: Vec<Value>,
}

impl Query {
    /// Queries the server for the columns. Reads no row.
    pub(super) async fn describe(client: &mut Conn, config: &MysqlSourceConfig) -> Result<Self, Failure> {
        let from = config.base_sql();
        let what = "read the columns of the query";
        let statement = client.prep(format!("SELECT * FROM {from} AS q")).await.map_err(|error| Failure::of(what, error))?;
        let mut columns = Vec::with_capacity(statement.columns().len());
        for column in statement.columns().iter() {
            let name = column.name_str().into_owned();
            let Some(kind) = Kind::of(column) else {
                let message = format!("the column {} has a type that is not read ({:?})", quoted(&name), column.column_type());
                let error = Error::configuration(message).code(TYPE).hint("convert it in a `query`, for example with CAST(… AS CHAR)");
                return Err(error.into());
            };
            columns.push(Column { name, kind, may_be_null: !column.flags().contains(ColumnFlags::NOT_NULL_FLAG) });
        }
        client.close(statement).await.map_err(|error| Failure::of(what, error))?;
        let mut query = Self { from, columns, key: Vec::new() };
        query.key = config.key().map(|name| query.key_column(config, name)).collect::<Result<_>>()?;
        Ok(query)
    }

    /// A column that rows are sorted by.
    fn key_column(&self, config: &MysqlSourceConfig, name: &str) -> Result<KeyColumn> {
        let is_cursor = config.cursor.as_deref() == Some(name);
        let (key, code) = if is_cursor { ("cursor", CURSOR) } else { ("order_by", ORDER_BY) };
        let wrong = |why: &str| Error::configuration(format!("`{key}` names `{name}`, {why}")).code(code).key([key]);
        let Some(column) = self.columns.iter().find(|column| column.name == name) else {
            return Err(wrong("which is not among the columns"));
        };
        match KeyColumn::of(name, &column.kind) {
            Some(found) if !is_cursor || found.counts_up() => Ok(found),
            _ if is_cursor => Err(wrong("which is neither a whole number nor a date nor a time")
                .hint("a cursor counts up: an `AUTO_INCREMENT` key, or the time at which a row came")),
            _ => {
                Err(wrong("whose type has no exact order")
                    .hint("whole numbers, decimals, dates, times with a date, texts and bytes have one"))
            }
        }
    }

    /// The columns in Arrow's types. Any may have a null.
    pub(super) fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|column| Field::new(&column.name, column.kind.arrow(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// How rows of these columns become records.
    pub(super) fn layout(&self, wanted: &[&Field]) -> Result<Layout> {
        let mut layout = Layout::new();
        for field in wanted {
            let Some(column) = self.columns.iter().find(|column| column.name == *field.name()) else {
                let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
                let message = format!("there is no column {:?}; there are {}", field.name(), names.join(", "));
                return Err(Error::configuration(message).code(MISSING));
            };
            layout.push(&column.kind, field);
        }
        Ok(layout)
    }

    /// The statement that returns the wanted columns and then those of the key, sorted by the key,
    /// behind the first key and up to the second.
    pub(super) fn rows(&self, wanted: &[&Field], after: Option<&[Value]>, until: Option<&[Value]>) -> Statement {
        let picked = wanted.iter().map(|field| format!("q.{}", quoted(field.name())));
        let keys: Vec<String> = self.key.iter().map(KeyColumn::expression).collect();
        let picked: Vec<String> = picked.chain(keys.iter().cloned()).collect();
        let picked = if picked.is_empty() { "1".to_owned() } else { picked.join(", ") };
        let mut sql = format!("SELECT {picked} FROM {} AS q", self.from);
        let conditions = [after.map(|key| behind(&self.key, key)), until.map(|key| up_to(&self.key, key))];
        let (mut parameters, mut word) = (Vec::new(), "WHERE");
        for (condition, values) in conditions.into_iter().flatten() {
            sql += &format!(" {word} {condition}");
            parameters.extend(values);
            word = "AND";
        }
        if !keys.is_empty() {
            sql += &format!(" ORDER BY {}", keys.join(", "));
        }
        Statement { sql, parameters }
    }

    /// The statement that returns the greatest key.
    pub(super) fn greatest(&self) -> Statement {
        let keys: Vec<String> = self.key.iter().map(KeyColumn::expression).collect();
        let order: Vec<String> = keys.iter().map(|key| format!("{key} DESC")).collect();
        let sql = format!("SELECT {} FROM {} AS q ORDER BY {} LIMIT 1", keys.join(", "), self.from, order.join(", "));
        Statement { sql, parameters: Vec::new() }
    }

    /// The statement that counts the rows that have the cursor of a key and come no further.
    pub(super) fn same(&self, key: &[Value]) -> Statement {
        let (condition, parameters) = with_same_first(&self.key, key);
        Statement { sql: format!("SELECT COUNT(*) FROM {} AS q WHERE {condition}", self.from), parameters }
    }

    /// The statement that finds a row with a null in its key; `None` where the server rules it out.
    pub(super) fn null_key(&self) -> Option<Statement> {
        let may_be_null = |key: &&KeyColumn| self.columns.iter().any(|column| column.name == key.name && column.may_be_null);
        let nulls: Vec<String> = self.key.iter().filter(may_be_null).map(|key| format!("q.{} IS NULL", quoted(&key.name))).collect();
        let sql = format!("SELECT 1 FROM {} AS q WHERE {} LIMIT 1", self.from, nulls.join(" OR "));
        (!nulls.is_empty()).then_some(Statement { sql, parameters: Vec::new() })
    }
}
