//! The commit of an epoch: one transaction that compares and moves the sink's token around the copy of its rows.

use std::time::Duration;

use futures::future::{join, try_join};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;
use wasmill_engine::{CommitOutcome, Committed, Error, Result, Token, failpoint};

use super::catalogue;
use super::connection::{Server, block_on, with_retries, within};
use super::copy::{copy, execute};
use super::failure::Failure;
use super::layout::Layout;
use super::prepared::Prepared;
use super::sql::{COMMITS, TableName};
use super::types::PgType;
use crate::codes::TABLE_DIFFERS;
use wasmill_connect::codes::TOKEN_DAMAGED;
use wasmill_connect::columns_unknown;
use wasmill_connect::spool::Spool;
use wasmill_connect::token::{Step, compare};

/// How long the server keeps a transaction open whose process has stopped between two statements:
/// it holds the token's lock.
const STOPPED_PROCESS: Duration = Duration::from_secs(10);

/// How long a check waits for the server's word on a table.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Commits into one table; keeps its connection from epoch to epoch.
pub(super) struct Committer {
    pub server: Server,
    pub table: TableName,
    /// For one statement.
    pub timeout: Duration,
    /// For all attempts at one commit.
    pub retry_for: Duration,
    client: Option<Client>,
    /// A commit of this process found both tables, or created them.
    tables_are_there: bool,
}

impl Committer {
    /// A committer without a connection.
    pub(super) fn new(server: Server, table: TableName, (timeout, retry_for): (Duration, Duration)) -> Self {
        Self { server, table, timeout, retry_for, client: None, tables_are_there: false }
    }

    /// Commits a prepared epoch.
    pub(super) fn commit(&mut self, token: &Token, prepared: &Prepared, spool: &Spool) -> Result<CommitOutcome> {
        // Set when the server may have committed without our knowing.
        let mut sent = false;
        let outcome = self.with_retries(self.retry_for, async |this, client| {
            let found = this.attempt(client, token, prepared, spool, &mut sent).await?;
            this.tables_are_there = true;
            Ok(found)
        })?;
        Ok(if sent { CommitOutcome::Done } else { outcome })
    }

    /// The table's token; none if there is no token or no table.
    pub(super) fn committed(&mut self, pipeline: &str, sink: &str, patience: Duration) -> Result<Option<Committed>> {
        self.with_retries(patience, async |this, client| {
            for name in [COMMITS, &this.table.name] {
                if !this.bounded(catalogue::is_present(client, &this.table.schema, name)).await? {
                    return Ok(None);
                }
            }
            this.bounded(read_token(client, &this.table, (pipeline, sink))).await
        })
    }

    /// Sets the token whatever it was, and creates the tables where they are missing: that of the rows needs a layout.
    pub(super) fn adopt(&mut self, token: &Token, layout: Option<&Layout>) -> Result<()> {
        self.with_retries(self.retry_for, async |this, client| {
            this.begin(client).await?;
            this.make_tables_of(client, layout).await?;
            let sql = format!(
                "INSERT INTO {} (pipeline, sink, target, incarnation, epoch) VALUES ($1, $2, $3, $4::uuid, $5) \
                 ON CONFLICT (pipeline, sink, target) DO UPDATE \
                 SET incarnation = EXCLUDED.incarnation, epoch = EXCLUDED.epoch, committed_at = clock_timestamp()",
                this.table.commits_sql()
            );
            this.bounded(write_token(client, &sql, &this.table, token)).await?;
            execute(client, "COMMIT", "commit", this.timeout).await
        })
    }

    /// The present table; `None`: there is none.
    pub(super) fn describe(&mut self, upserts: bool, patience: Duration) -> Result<Option<catalogue::Table>> {
        self.with_retries(patience, async |this, client| this.bounded(catalogue::describe(client, &this.table, upserts)).await)
    }

    /// The same in one attempt, whose failure states whether another one could help.
    pub(super) fn describe_once(&mut self, upserts: bool) -> Result<Option<catalogue::Table>, Failure> {
        block_on(async {
            let client = self.server.connect().await?;
            within(DESCRIBE_TIMEOUT, "read the description of the table", catalogue::describe(&client, &self.table, upserts)).await?
        })?
    }

    /// Calls a function with a working connection, and retries it as long as that may help.
    fn with_retries<T>(&mut self, patience: Duration, mut work: impl AsyncFnMut(&mut Self, &Client) -> Result<T, Failure>) -> Result<T> {
        let server = self.server.shown();
        with_retries(patience, &server, || {
            block_on(async {
                let client = match self.client.take().filter(|client| !client.is_closed()) {
                    Some(client) => client,
                    None => self.server.connect().await?,
                };
                let done = work(self, &client).await?;
                // One that failed is not kept: what it left open ends with it.
                self.client = Some(client);
                Ok(done)
            })?
        })
        .map_err(|error| error.at(format!("table {}", self.table)))
    }

    /// The result of a query within the time of a statement: a server that is stopped keeps its
    /// connections and sends nothing.
    async fn bounded<T>(&self, question: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        within(self.timeout, "query the server", question).await?
    }

    async fn begin(&self, client: &Client) -> Result<(), Failure> {
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL client_min_messages = warning; SET LOCAL statement_timeout = {}; \
             SET LOCAL idle_in_transaction_session_timeout = {}; \
             SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'",
            self.timeout.as_millis(),
            STOPPED_PROCESS.as_millis()
        );
        execute(client, &begin, "begin a transaction", self.timeout).await
    }

    async fn make_tables(&self, client: &Client, layout: &Layout) -> Result<(), Failure> {
        let mut missing = false;
        for name in [COMMITS, &self.table.name] {
            missing |= !self.bounded(catalogue::is_present(client, &self.table.schema, name)).await?;
        }
        if missing { self.bounded(catalogue::create(client, &self.table, layout)).await } else { Ok(()) }
    }

    /// The same for an adoption, which may not know the columns.
    async fn make_tables_of(&self, client: &Client, layout: Option<&Layout>) -> Result<(), Failure> {
        if let Some(layout) = layout {
            return self.make_tables(client, layout).await;
        }
        if !self.bounded(catalogue::is_present(client, &self.table.schema, &self.table.name)).await? {
            return Err(columns_unknown(&format!("the table {}", self.table)).into());
        }
        match self.bounded(catalogue::is_present(client, &self.table.schema, COMMITS)).await? {
            true => Ok(()),
            false => self.bounded(catalogue::create_commits(client, &self.table)).await,
        }
    }

    /// One attempt at a commit. Whatever ends it early is rolled back by the server when the
    /// connection goes.
    async fn attempt(
        &mut self,
        client: &Client,
        token: &Token,
        prepared: &Prepared,
        spool: &Spool,
        sent: &mut bool,
    ) -> Result<CommitOutcome, Failure> {
        self.begin(client).await?;
        if !self.tables_are_there {
            self.make_tables(client, &prepared.layout).await?;
        }
        // Sent together, with results in this order: where epochs are short, every round trip
        // counts.
        let (step, columns) = join(self.take_token(client, token), self.check_columns(client, prepared)).await;
        if step? == Step::Already {
            execute(client, "ROLLBACK", "end the transaction", self.timeout).await?;
            return Ok(CommitOutcome::Already);
        }
        columns?;
        spool.check(&prepared.files)?;
        failpoint::hit("postgres-commit-before-copy");
        if prepared.rows() > 0 {
            copy(client, prepared, spool, self.timeout).await?;
        }
        failpoint::hit("postgres-commit-before-commit");
        let answer = within(self.timeout, "commit", client.batch_execute("COMMIT")).await;
        failpoint::hit("postgres-commit-after-commit");
        let committed = answer.and_then(|answer| answer.map_err(|error| Failure::of("commit", error)));
        // A refusal is a result. Silence is none: the token, read again under its lock, decides.
        committed.inspect_err(|failure| *sent |= failure.transient)?;
        Ok(CommitOutcome::Done)
    }

    /// Locks the sink's token, moves it, and compares what it was: the move counts only if the transaction does. A sink without a token gets it
    /// here, so that the second of two waits for the first.
    async fn take_token(&self, client: &Client, token: &Token) -> Result<Step, Failure> {
        let mut found = self.bounded(move_token(client, &self.table, token)).await?;
        if found.is_none() && compare(None, token)? == Step::Commit {
            let sql = format!(
                "INSERT INTO {} (pipeline, sink, target, incarnation, epoch) VALUES ($1, $2, $3, $4::uuid, $5) ON CONFLICT DO NOTHING",
                self.table.commits_sql()
            );
            if self.bounded(write_token(client, &sql, &self.table, token)).await? == 1 {
                return Ok(Step::Commit);
            }
            found = self.bounded(move_token(client, &self.table, token)).await?;
        }
        Ok(compare(found.as_ref(), token)?)
    }

    /// Rows are bytes for certain types: in a column of another type they would be read as something else.
    async fn check_columns(&self, client: &Client, prepared: &Prepared) -> Result<(), Failure> {
        let lock = format!("LOCK TABLE {} IN ROW EXCLUSIVE MODE", self.table.sql());
        let lock = execute(client, &lock, "lock the table against changes of its columns", self.timeout);
        // The server checks when it has the lock: it takes one statement of a connection after the
        // other.
        let ((), table) = try_join(lock, self.bounded(catalogue::describe(client, &self.table, false))).await?;
        let table = table.unwrap_or_default();
        for column in &prepared.layout.columns {
            let found = table.columns.iter().find(|found| found.name == column.name).map(|found| found.type_name.as_str());
            if found.and_then(PgType::parse).as_ref() != Some(&column.pg_type) {
                let now = found.map_or_else(|| "is gone".to_owned(), |now| format!("is {now} now"));
                return Err(Error::environment(format!(
                    "the column `{}` {now}, and the rows of this epoch were prepared for {}",
                    column.name, column.pg_type
                ))
                .code(TABLE_DIFFERS)
                .hint("nothing of the epoch was committed; change the column back, start again, and change it when no epoch is pending")
                .into());
            }
        }
        Ok(())
    }
}

type Parameter<'a> = (&'a (dyn tokio_postgres::types::ToSql + Sync), Type);

/// The token of a sink into a table.
async fn read_token(client: &Client, table: &TableName, (pipeline, sink): (&str, &str)) -> Result<Option<Committed>, Failure> {
    let sql = format!("SELECT incarnation::text, epoch FROM {} WHERE pipeline = $1 AND sink = $2 AND target = $3", table.commits_sql());
    let parameters: [Parameter<'_>; 3] = [(&pipeline, Type::TEXT), (&sink, Type::TEXT), (&table.name, Type::TEXT)];
    token_of(client, &sql, &parameters, sink).await
}

/// Takes the lock of a token and moves it. Returns what it was.
async fn move_token(client: &Client, table: &TableName, token: &Token) -> Result<Option<Committed>, Failure> {
    let key = "pipeline = $1 AND sink = $2 AND target = $3";
    let sql = format!(
        "WITH was AS (SELECT incarnation, epoch FROM {commits} WHERE {key} FOR UPDATE) \
         UPDATE {commits} SET incarnation = $4::text::uuid, epoch = $5, committed_at = clock_timestamp() FROM was WHERE {key} \
         RETURNING was.incarnation::text, was.epoch",
        commits = table.commits_sql()
    );
    let numbers = numbers_of(token)?;
    let parameters = parameters(token, table, &numbers);
    token_of(client, &sql, &parameters, &token.sink).await
}

async fn token_of(client: &Client, sql: &str, parameters: &[Parameter<'_>], sink: &str) -> Result<Option<Committed>, Failure> {
    let failed = |error| Failure::of("read the sink's token", error);
    let Some(row) = client.query_typed_opt(sql, parameters).await.map_err(failed)? else { return Ok(None) };
    let (incarnation, epoch): (String, i64) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    let read = Uuid::try_parse(&incarnation).ok().zip(u64::try_from(epoch).ok());
    let damaged = || {
        Error::environment(format!("the token of sink `{sink}` in {COMMITS} is damaged: epoch {epoch} of {incarnation}"))
            .code(TOKEN_DAMAGED)
    };
    let (incarnation, epoch) = read.ok_or_else(damaged)?;
    Ok(Some(Committed { incarnation, epoch }))
}

/// Runs a statement that takes the parts of a token as its parameters. Returns how many rows it
/// changed.
async fn write_token(client: &Client, sql: &str, table: &TableName, token: &Token) -> Result<u64, Failure> {
    let numbers = numbers_of(token)?;
    let parameters = parameters(token, table, &numbers);
    client.execute_typed(sql, &parameters).await.map_err(|error| Failure::of("move the sink's token", error))
}

/// A token, whose statements call its parts `$1` to `$5`.
fn parameters<'a>(token: &'a Token, table: &'a TableName, (incarnation, epoch): &'a (String, i64)) -> [Parameter<'a>; 5] {
    [(&token.pipeline, Type::TEXT), (&token.sink, Type::TEXT), (&table.name, Type::TEXT), (incarnation, Type::TEXT), (epoch, Type::INT8)]
}

/// A token's incarnation and epoch as the server takes them.
fn numbers_of(token: &Token) -> Result<(String, i64), Failure> {
    let epoch = i64::try_from(token.epoch).map_err(|_| Error::bug(format!("epoch {} is beyond every number", token.epoch)))?;
    Ok((token.incarnation.to_string(), epoch))
}
