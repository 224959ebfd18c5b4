//! Spooled rows into a table of the server, in the transaction that is open.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::SinkExt;
use tokio_postgres::Client;
use wasmill_engine::Error;

use super::connection::within;
use super::encode::{HEADER, TRAILER};
use super::failure::Failure;
use super::layout::ORDINAL;
use super::prepared::Prepared;
use super::sql::{list, quoted};
use wasmill_connect::spool::Spool;

/// The table through which the rows of an upsert pass. It lives in the session's own schema, and no
/// longer than the transaction.
const STAGING: &str = "pg_temp.wasmill_rows";

const WHAT: &str = "copy the rows of the epoch";

/// Copies a prepared commit's rows into its table.
pub(super) async fn copy(client: &Client, prepared: &Prepared, spool: &Spool, timeout: Duration) -> Result<(), Failure> {
    let (table, names) = (prepared.table.sql(), prepared.layout.names_sql());
    if !prepared.layout.upserts {
        return stream(client, &format!("COPY {table} ({names}) FROM STDIN (FORMAT binary)"), prepared, spool, timeout).await;
    }
    let columns: Vec<String> =
        prepared.layout.columns.iter().map(|column| format!("{} {}", quoted(&column.name), column.pg_type)).collect();
    let staging = format!("CREATE TEMPORARY TABLE {STAGING} ({}, {ORDINAL} bigint) ON COMMIT DROP", columns.join(", "));
    execute(client, &staging, "make room for the rows of the epoch", timeout).await?;
    let copy = format!("COPY {STAGING} ({names}, {ORDINAL}) FROM STDIN (FORMAT binary)");
    stream(client, &copy, prepared, spool, timeout).await?;
    execute(client, &upsert_sql(prepared), "upsert the rows of the epoch", timeout).await
}

/// Of equal keys the row that was written last, into the table.
fn upsert_sql(prepared: &Prepared) -> String {
    let (layout, table) = (&prepared.layout, prepared.table.sql());
    let (names, key) = (layout.names_sql(), list(layout.key()));
    let set: Vec<String> =
        layout.columns.iter().filter(|column| !column.is_key).map(|column| format!("{0} = EXCLUDED.{0}", quoted(&column.name))).collect();
    let action = if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
    format!(
        "INSERT INTO {table} ({names}) SELECT DISTINCT ON ({key}) {names} FROM {STAGING} ORDER BY {key}, {ORDINAL} DESC \
         ON CONFLICT ({key}) DO {action}"
    )
}

/// Runs a statement without a result.
pub(super) async fn execute(client: &Client, sql: &str, what: &str, timeout: Duration) -> Result<(), Failure> {
    within(timeout, what, client.batch_execute(sql)).await?.map_err(|error| Failure::of(what, error))
}

async fn stream(client: &Client, sql: &str, prepared: &Prepared, spool: &Spool, timeout: Duration) -> Result<(), Failure> {
    let failed = |error| Failure::of(WHAT, error);
    let copying = within(timeout, WHAT, client.copy_in::<_, Bytes>(sql)).await?.map_err(failed)?;
    let mut copying = pin!(copying);
    let send = async |bytes: Bytes, copying: &mut std::pin::Pin<&mut tokio_postgres::CopyInSink<Bytes>>| {
        within(timeout, WHAT, copying.send(bytes)).await?.map_err(failed)
    };
    send(Bytes::from_static(HEADER), &mut copying).await?;
    for file in &prepared.files {
        let mut reader = spool.open(file)?;
        // An error here drops the copy, which the server then takes back with everything else.
        while let Some(chunk) = reader.next_bytes()? {
            send(chunk, &mut copying).await?;
        }
    }
    send(Bytes::from_static(TRAILER), &mut copying).await?;
    let copied = within(timeout, WHAT, copying.finish()).await?.map_err(failed)?;
    if copied != prepared.rows() {
        return Err(Error::bug(format!("{} rows were prepared, and the server counts {copied}", prepared.rows())).into());
    }
    Ok(())
}
