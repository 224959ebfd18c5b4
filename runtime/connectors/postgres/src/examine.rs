//! Examines a server: whether it responds and accepts the credentials, writing is permitted, and
//! the clocks agree.

use std::time::{Duration, Instant, SystemTime};

use tokio_postgres::types::Type;
use wasmill_engine::{Error, Result};

use super::address::PostgresConnection;
use super::config::{PostgresConfig, PostgresWrite};
use super::connection::{Server, block_on, within};
use super::failure::Failure;
use super::sql::{COMMITS, TableName};
use crate::codes::PERMISSION;
use wasmill_connect::examine::{Finding, clock};

/// How long the server may take to connect, and to respond.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The server's permissions for this user and table. Without a table or a schema the functions
/// return null.
const QUERY: &str = "\
    SELECT current_setting('server_version'), extract(epoch from clock_timestamp())::float8, pg_is_in_recovery(), current_user::text, \
        (SELECT has_schema_privilege(n.oid, 'USAGE') FROM pg_namespace n WHERE n.nspname = $1), \
        (SELECT has_schema_privilege(n.oid, 'CREATE') FROM pg_namespace n WHERE n.nspname = $1), \
        (SELECT has_table_privilege(c.oid, 'INSERT') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2), \
        (SELECT has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'UPDATE') \
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2), \
        (SELECT has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') \
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $3)";

/// Examines the server and the table of a sink.
pub fn examine(config: &PostgresConfig) -> Vec<Finding> {
    query(config).unwrap_or_else(|error| vec![Finding::Bad(error)])
}

/// The server's result.
struct Seen {
    version: String,
    clock: f64,
    standby: bool,
    user: String,
    /// USAGE and CREATE; none without the schema.
    schema: Option<(bool, bool)>,
    /// INSERT on the table; none without it.
    insert: Option<bool>,
    /// The further requirements of an upsert.
    update: Option<bool>,
    /// What the table of tokens needs.
    commits: Option<bool>,
}

fn query(config: &PostgresConfig) -> Result<Vec<Finding>> {
    config.check()?;
    let table = TableName::parse(&config.table)?;
    let server =
        Server::new(&PostgresConnection { connect_timeout: config.connection.connect_timeout.min(TIMEOUT), ..config.connection.clone() })?;
    let begun = Instant::now();
    let (seen, asked) = block_on(async {
        let client = server.connect().await?;
        let asked = Instant::now();
        let what = "examine the table";
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&table.schema, Type::TEXT), (&table.name, Type::TEXT), (&COMMITS, Type::TEXT)];
        let row = within(TIMEOUT, what, client.query_typed_one(QUERY, &parameters)).await?.map_err(|error| Failure::of(what, error))?;
        read(&row).map(|seen| (seen, asked.elapsed())).map_err(|error| Failure::of(what, error))
    })?
    .map_err(|failure: Failure| failure.error)?;
    let ours = SystemTime::now();
    let mut findings = vec![Finding::good(format!(
        "{} responds ({} ms): PostgreSQL {}, as {}",
        server.shown(),
        begun.elapsed().as_millis(),
        seen.version,
        seen.user
    ))];
    if seen.clock.is_finite() && seen.clock > 0.0 {
        findings.push(clock(SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seen.clock), ours, asked));
    }
    findings.push(may_write(config, &table, &seen));
    Ok(findings)
}

fn read(row: &tokio_postgres::Row) -> Result<Seen, tokio_postgres::Error> {
    let (usage, create): (Option<bool>, Option<bool>) = (row.try_get(4)?, row.try_get(5)?);
    Ok(Seen {
        version: row.try_get(0)?,
        clock: row.try_get(1)?,
        standby: row.try_get(2)?,
        user: row.try_get(3)?,
        schema: usage.zip(create),
        insert: row.try_get(6)?,
        update: row.try_get(7)?,
        commits: row.try_get(8)?,
    })
}

fn may_write(config: &PostgresConfig, table: &TableName, seen: &Seen) -> Finding {
    let bad = |what: String, hint: String| Finding::Bad(Error::environment(what).code(PERMISSION).hint(hint));
    let (user, schema) = (&seen.user, &table.schema);
    if seen.standby {
        return bad("the server is a standby, which takes no writes".into(), "name the primary".into());
    }
    let Some((usage, create)) = seen.schema else {
        return bad(
            format!("the schema {schema} does not exist"),
            format!("CREATE SCHEMA {schema}; it is the one thing that a run does not create"),
        );
    };
    if !usage {
        return bad(format!("{user} may not use the schema {schema}"), format!("GRANT USAGE ON SCHEMA {schema} TO {user}"));
    }
    if !create && (seen.insert.is_none() || seen.commits.is_none()) {
        let missing = if seen.insert.is_none() { table.to_string() } else { format!("{schema}.{COMMITS}") };
        return bad(
            format!("there is no table {missing}, and {user} may not create one"),
            format!("GRANT CREATE ON SCHEMA {schema} TO {user}, or create the tables (docs/postgres.md has the statements)"),
        );
    }
    if seen.insert == Some(false) {
        return bad(format!("{user} may not insert into {table}"), format!("GRANT INSERT ON {table} TO {user}"));
    }
    if config.write == PostgresWrite::Upsert && seen.update == Some(false) {
        return bad(format!("{user} may not update {table}, as an upsert does"), format!("GRANT SELECT, UPDATE ON {table} TO {user}"));
    }
    if seen.commits == Some(false) {
        let commits = format!("{schema}.{COMMITS}");
        return bad(format!("{user} may not read and change {commits}"), format!("GRANT SELECT, INSERT, UPDATE ON {commits} TO {user}"));
    }
    Finding::good(match seen.insert {
        Some(_) => format!("the table {table} can be written"),
        None => format!("the table {table} does not exist; the first commit creates it"),
    })
}
