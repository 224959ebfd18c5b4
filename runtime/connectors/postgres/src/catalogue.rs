//! The server's description of a table, and the tables that this sink creates.

use tokio_postgres::Client;
use tokio_postgres::types::Type;
use wasmill_engine::Error;

use super::failure::Failure;
use super::layout::Layout;
use super::sql::TableName;
use crate::codes::MISSING;

/// A table that is there.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// `r` for a table, `p` for a partitioned one, as in `pg_class`.
    kind: String,
    /// Its columns, in order.
    pub columns: Vec<Found>,
    /// The columns of each index that can decide what an upsert replaces, sorted.
    unique: Vec<Vec<String>>,
}

/// A column that is there.
#[derive(Debug)]
pub(super) struct Found {
    /// Its name.
    pub name: String,
    /// The result of `format_type`.
    pub type_name: String,
    /// Whether it is declared `NOT NULL`.
    pub not_null: bool,
    /// Whether the table alone decides what is in it.
    pub generated: bool,
    has_default: bool,
}

impl Found {
    /// Whether a row may omit it.
    pub(super) fn fills_itself(&self) -> bool {
        self.generated || self.has_default
    }
}

impl Table {
    /// Why rows can't be copied into it at all.
    pub(super) fn problem(&self) -> Option<String> {
        match self.kind.as_str() {
            "r" | "p" => None,
            "v" | "m" => Some("it is a view, and not a table".to_owned()),
            "f" => Some("it is a foreign table, whose server commits for itself".to_owned()),
            other => Some(format!("it is not a table (pg_class calls it `{other}`)")),
        }
    }

    /// Whether a key decides a row.
    pub(super) fn has_unique_index(&self, key: &[&str]) -> bool {
        let mut key: Vec<&str> = key.to_vec();
        key.sort_unstable();
        self.unique.iter().any(|index| *index == key)
    }
}

const COLUMNS: &str = "\
    SELECT c.relkind::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
        a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a' \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    WHERE n.nspname = $1 AND c.relname = $2 ORDER BY a.attnum";

const UNIQUE: &str = "\
    SELECT array_agg(a.attname::text ORDER BY a.attname::text COLLATE \"C\") \
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) \
    WHERE n.nspname = $1 AND c.relname = $2 \
        AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL \
    GROUP BY i.indexrelid";

const SCHEMA: &str = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";

/// Reads the description of a table. `None`: there is none. A missing schema is a configuration
/// error, because the sink never creates schemas.
pub(super) async fn describe(client: &Client, name: &TableName, upserts: bool) -> Result<Option<Table>, Failure> {
    let failed = |error| Failure::of("read the description of the table", error);
    let rows = client.query_typed(COLUMNS, &[(&name.schema, Type::TEXT), (&name.name, Type::TEXT)]).await.map_err(failed)?;
    let Some(first) = rows.first() else {
        let row = client.query_typed_one(SCHEMA, &[(&name.schema, Type::TEXT)]).await.map_err(failed)?;
        return match row.try_get(0).map_err(failed)? {
            true => Ok(None),
            false => Err(Error::configuration(format!("`table`: the schema {} does not exist", name.schema))
                .code(MISSING)
                .key(["table"])
                .hint(format!("CREATE SCHEMA {}; it is the one thing that a run does not create", name.schema))
                .into()),
        };
    };
    let mut table = Table { kind: first.try_get(0).map_err(failed)?, ..Table::default() };
    for row in &rows {
        let Some(name) = row.try_get::<_, Option<String>>(1).map_err(failed)? else { continue };
        table.columns.push(Found {
            name,
            type_name: row.try_get(2).map_err(failed)?,
            not_null: row.try_get(3).map_err(failed)?,
            has_default: row.try_get(4).map_err(failed)?,
            generated: row.try_get(5).map_err(failed)?,
        });
    }
    if upserts {
        let rows = client.query_typed(UNIQUE, &[(&name.schema, Type::TEXT), (&name.name, Type::TEXT)]).await.map_err(failed)?;
        table.unique = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed)?;
    }
    Ok(Some(table))
}

const PRESENT: &str = "\
    SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2)";

/// Whether there is something of this name.
pub(super) async fn is_present(client: &Client, schema: &str, name: &str) -> Result<bool, Failure> {
    let failed = |error| Failure::of("find the table", error);
    let row = client.query_typed_one(PRESENT, &[(&schema, Type::TEXT), (&name, Type::TEXT)]).await.map_err(failed)?;
    row.try_get(0).map_err(failed)
}

/// Keeps two processes from creating the same table at once, which `IF NOT EXISTS` does not. Held
/// until the transaction ends.
const ONE_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(8314046512204866660)";

/// Creates the table of tokens and the sink's own, where they are missing.
pub(super) async fn create(client: &Client, name: &TableName, layout: &Layout) -> Result<(), Failure> {
    let table = format!("CREATE TABLE IF NOT EXISTS {} ({})", name.sql(), layout.columns_sql());
    let create = format!("{ONE_AT_A_TIME}; {}; {table}", commits_table(name));
    client.batch_execute(&create).await.map_err(|error| Failure::of("create the table", error))
}

/// Creates the table of tokens where it is missing.
pub(super) async fn create_commits(client: &Client, name: &TableName) -> Result<(), Failure> {
    let create = format!("{ONE_AT_A_TIME}; {}", commits_table(name));
    client.batch_execute(&create).await.map_err(|error| Failure::of("create the table of tokens", error))
}

fn commits_table(name: &TableName) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (pipeline text, sink text, target text, incarnation uuid NOT NULL, epoch bigint NOT NULL, \
            committed_at timestamp with time zone NOT NULL DEFAULT now(), PRIMARY KEY (pipeline, sink, target))",
        name.commits_sql()
    )
}
