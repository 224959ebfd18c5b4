//! The columns of a table or a query, and the statement that reads it.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use postgres_protocol::escape::escape_literal;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use wasmill_engine::Error;

use super::config::PostgresSourceConfig;
use crate::codes::{COLUMN_TWICE, MISSING, ORDER_BY};
use crate::connection::Server;
use crate::failure::Failure;
use crate::sql::quoted;
use crate::types::PgType;

/// The largest precision of a decimal.
const MAX_PRECISION: i32 = 38;

/// A column of the server.
struct Column {
    name: String,
    /// The result of `format_type`.
    type_name: String,
    arrow: DataType,
    /// The expression with which it is selected, so that the server's JSON is what the decoder
    /// expects.
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    AsItIs,
    Text,
    Base64,
}

/// The columns of a table or a query.
pub(super) struct Query {
    from: String,
    columns: Vec<Column>,
}

/// A new connection that can only read, and writes times in UTC.
pub(super) async fn connect(server: &Server) -> Result<Client, Failure> {
    let client = server.connect().await?;
    let settings = "SET default_transaction_read_only = on; SET TimeZone = 'UTC'; SET DateStyle = ISO; SET IntervalStyle = iso_8601";
    client.batch_execute(settings).await.map_err(|error| Failure::of("set up a connection", error))?;
    Ok(client)
}

impl Query {
    /// Queries the server for the columns. Reads no row.
    pub(super) async fn describe(client: &Client, config: &PostgresSourceConfig) -> Result<Self, Failure> {
        let from = config.base_sql();
        let failed = |error| Failure::of("read the columns of the query", error);
        let statement = client.prepare(&format!("SELECT * FROM {from} AS q")).await.map_err(failed)?;
        let found = statement.columns();
        let oids: Vec<u32> = found.iter().map(|column| column.type_().oid()).collect();
        let modifiers: Vec<i32> = found.iter().map(|column| column.type_modifier()).collect();
        let names = "SELECT format_type(o, m) FROM unnest($1::oid[], $2::int4[]) WITH ORDINALITY AS t(o, m, n) ORDER BY n";
        let types = client.query_typed(names, &[(&oids, Type::OID_ARRAY), (&modifiers, Type::INT4_ARRAY)]).await.map_err(failed)?;
        let mut columns = Vec::with_capacity(found.len());
        for (column, type_name) in found.iter().zip(&types) {
            let type_name: String = type_name.try_get(0).map_err(failed)?;
            let (arrow, form) = arrow_of(&type_name);
            columns.push(Column { name: column.name().to_owned(), type_name, arrow, form });
        }
        for (index, column) in columns.iter().enumerate() {
            if columns[..index].iter().any(|other| other.name == column.name) {
                let message = format!("the query has two columns called {}", quoted(&column.name));
                return Err(Error::configuration(message)
                    .code(COLUMN_TWICE)
                    .key(["query"])
                    .hint("give one of them another name: `AS`")
                    .into());
            }
        }
        if let Some(missing) = config.order_by.iter().find(|name| !columns.iter().any(|column| column.name == **name)) {
            return Err(Error::configuration(format!("`order_by` names `{missing}`, which is not among the columns"))
                .code(ORDER_BY)
                .key(["order_by"])
                .into());
        }
        Ok(Self { from, columns })
    }

    /// The columns in Arrow's types. The server does not report which columns of a query have no
    /// null.
    pub(super) fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|column| Field::new(&column.name, column.arrow.clone(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The statement that returns each row as JSON and its key as a list of texts, after a key if
    /// there is one.
    pub(super) fn sql(&self, wanted: &[&Field], order_by: &[String], after: &[String]) -> Result<String, Failure> {
        let find = |name: &str| self.columns.iter().find(|column| column.name == name);
        let mut picked = Vec::with_capacity(wanted.len());
        for field in wanted {
            let name = field.name();
            let Some(column) = find(name) else {
                let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
                return Err(Error::configuration(format!("there is no column {name:?}; there are {}", names.join(", ")))
                    .code(MISSING)
                    .into());
            };
            let place = format!("q.{}", quoted(name));
            let value = match column.form {
                // The table of conversions reads a midnight as its date, and the text of a time is
                // no date.
                Form::AsItIs if matches!((&column.arrow, field.data_type()), (DataType::Timestamp(..), DataType::Date32)) => {
                    format!("CASE WHEN {place} = date_trunc('day', {place}) THEN to_json({place}::date) ELSE to_json({place}) END")
                }
                Form::AsItIs => place,
                Form::Text => format!("{place}::text"),
                Form::Base64 => format!("translate(encode({place}, 'base64'), E'\\n', '')"),
            };
            picked.push(format!("{value} AS {}", quoted(name)));
        }
        let row = match picked.is_empty() {
            true => "'{}'".to_owned(),
            false => format!("(SELECT row_to_json(r.*)::text FROM (SELECT {}) AS r)", picked.join(", ")),
        };
        if order_by.is_empty() {
            return Ok(format!("SELECT {row}, NULL::text FROM {} AS q", self.from));
        }
        let places: Vec<String> = order_by.iter().map(|name| format!("q.{}", quoted(name))).collect();
        let texts: Vec<String> = places.iter().map(|place| format!("{place}::text")).collect();
        let literal = |(name, text): (&String, &String)| {
            let type_name = find(name).map_or("text", |column| column.type_name.as_str());
            format!("{}::{type_name}", escape_literal(text))
        };
        let condition = match after.is_empty() {
            true => String::new(),
            false => {
                let values: Vec<String> = order_by.iter().zip(after).map(literal).collect();
                format!(" WHERE ({}) > ({})", places.join(", "), values.join(", "))
            }
        };
        let (texts, order) = (texts.join(", "), places.join(", "));
        Ok(format!("SELECT {row}, json_build_array({texts})::text FROM {} AS q{condition} ORDER BY {order}", self.from))
    }
}

/// The Arrow type of a type of the server, and how its values are selected.
fn arrow_of(type_name: &str) -> (DataType, Form) {
    let Some(pg_type) = PgType::parse(type_name) else { return (DataType::Utf8, Form::Text) };
    match pg_type {
        PgType::Bytea => (DataType::Binary, Form::Base64),
        PgType::Array(item) => match simple(&item) {
            Some(item) => (DataType::List(Arc::new(Field::new("item", item, true))), Form::AsItIs),
            None => (DataType::Utf8, Form::Text),
        },
        other => simple(&other).map_or((DataType::Utf8, Form::Text), |arrow| (arrow, Form::AsItIs)),
    }
}

/// The Arrow type of what the server's JSON holds as it is.
fn simple(pg_type: &PgType) -> Option<DataType> {
    Some(match pg_type {
        PgType::Boolean => DataType::Boolean,
        PgType::SmallInt => DataType::Int16,
        PgType::Integer => DataType::Int32,
        PgType::BigInt => DataType::Int64,
        PgType::Real => DataType::Float32,
        PgType::Double => DataType::Float64,
        PgType::Numeric(Some((precision, scale))) if (1..=MAX_PRECISION).contains(precision) && (0..=*precision).contains(scale) => {
            DataType::Decimal128(u8::try_from(*precision).ok()?, i8::try_from(*scale).ok()?)
        }
        PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::Uuid => DataType::Utf8,
        PgType::Date => DataType::Date32,
        PgType::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
        PgType::TimestampTz(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_come_back_as_the_sink_maps_them() {
        assert_eq!(arrow_of("numeric(10,2)"), (DataType::Decimal128(10, 2), Form::AsItIs));
        assert_eq!(arrow_of("numeric"), (DataType::Utf8, Form::Text));
        assert_eq!(arrow_of("bytea").1, Form::Base64);
        assert_eq!(arrow_of("mood"), (DataType::Utf8, Form::Text));
        assert_eq!(arrow_of("bytea[]"), (DataType::Utf8, Form::Text));
        assert!(matches!(arrow_of("text[]"), (DataType::List(_), Form::AsItIs)));
    }

    #[test]
    fn a_key_can_not_break_out_of_its_literal() {
        assert_eq!(escape_literal(r"a'; DROP TABLE x; --\"), r" E'a''; DROP TABLE x; --\\'");
    }
}
