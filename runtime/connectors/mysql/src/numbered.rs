//! The rows of tables by their number, for what plays them back in any order.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};
use wasmill_engine::{Error, Result};

use crate::address::MysqlConnection;
use crate::codes::MISSING;
use crate::config::MysqlSourceConfig;
use crate::connection::{Server, block_on, with_retries};
use crate::failure::Failure;
use crate::name::{TableName, quoted};
use crate::query::Query;
use crate::record::Layout;

/// Tables whose rows are numbered from 0, by their primary key. The rows of a table without one are
/// in the server's own order, which stays as long as the table does.
pub struct NumberedTables {
    server: Server,
    client: Option<Conn>,
    tables: Vec<Table>,
}

struct Table {
    name: TableName,
    layout: Layout,
    /// The row of a number, with the number as its parameter.
    sql: String,
    count: u64,
}

impl NumberedTables {
    /// Looks up the columns and the rows of tables.
    ///
    /// # Errors
    /// Configuration: a name or an address that is none. Environment: the server can't be reached, or
    /// has no such table.
    pub fn open(connection: MysqlConnection, names: &[String]) -> Result<Self> {
        let server = Server::new(&connection)?;
        let configs = names.iter().map(|name| {
            let config = MysqlSourceConfig {
                connection: connection.clone(),
                table: Some(name.clone()),
                query: None,
                order_by: Vec::new(),
                cursor: None,
                delay: None,
                poll: None,
                retry: wasmill_connect::Retry::default(),
            };
            config.check()?;
            Ok((TableName::parse(name)?, config))
        });
        let configs = configs.collect::<Result<Vec<_>>>()?;
        let mut opened = Self { server, client: None, tables: Vec::new() };
        for (name, config) in configs {
            let table = opened.ask(async |client| Table::open(client, name.clone(), config.clone()).await)?;
            opened.tables.push(table);
        }
        Ok(opened)
    }

    /// How many rows every table has at least.
    pub fn count(&self) -> u64 {
        self.tables.iter().map(|table| table.count).min().unwrap_or(0)
    }

    /// The row of a number of the table at `table` in the list that was opened, as JSON.
    ///
    /// # Errors
    /// Environment: the server can't be reached, or the row is not there any more.
    pub fn row(&mut self, table: usize, number: u64) -> Result<String> {
        let Some(Table { layout, sql, name, .. }) = self.tables.get(table) else {
            return Err(Error::bug("there is no table of this number"));
        };
        let (sql, what) = (sql.clone(), format!("read row {number} of {name}"));
        let ask = async |client: &mut Conn| -> Result<Option<Row>, Failure> {
            client.exec_first(sql.as_str(), (number,)).await.map_err(|error| Failure::of(&what, error))
        };
        let row = ask_of(&self.server, &mut self.client, ask)?;
        let row = row.ok_or_else(|| {
            Error::environment(format!("the table {name} has no row {number} any more"))
                .code(MISSING)
                .hint("rows were removed while they were played back: start again")
        })?;
        let (record, odd) = layout.record(&row.unwrap());
        match (String::from_utf8(record), odd) {
            (Ok(record), None) => Ok(record),
            (_, odd) => {
                Err(Error::environment(format!("row {number} of {name} has a text that is not UTF-8 in {}", odd.unwrap_or("a column")))
                    .code(crate::codes::STATEMENT_FAILED)
                    .hint("correct it in the table"))
            }
        }
    }

    fn ask<T>(&mut self, ask: impl AsyncFn(&mut Conn) -> Result<T, Failure>) -> Result<T> {
        ask_of(&self.server, &mut self.client, ask)
    }
}

/// Asks the server, by the connection that is there or a new one.
fn ask_of<T>(server: &Server, client: &mut Option<Conn>, ask: impl AsyncFn(&mut Conn) -> Result<T, Failure>) -> Result<T> {
    let patience = wasmill_connect::Retry::default().time()?;
    let kept = std::cell::RefCell::new(client);
    let attempt = || async {
        let taken = kept.borrow_mut().take();
        let mut connected = match taken {
            Some(connected) => connected,
            None => server.connect().await?,
        };
        let found = ask(&mut connected).await?;
        **kept.borrow_mut() = Some(connected);
        Ok(found)
    };
    block_on(with_retries(patience, &server.shown(), attempt))?
}

const PRIMARY_KEY: &str = "SELECT column_name FROM information_schema.statistics WHERE table_schema = COALESCE(?, DATABASE()) \
    AND table_name = ? AND index_name = 'PRIMARY' ORDER BY seq_in_index";

impl Table {
    async fn open(client: &mut Conn, name: TableName, config: MysqlSourceConfig) -> Result<Self, Failure> {
        let what = format!("look up the table {name}");
        let failed = |error| Failure::of(&what, error);
        let query = Query::describe(client, &config).await?;
        let schema = query.schema();
        let fields: Vec<_> = schema.fields().iter().map(AsRef::as_ref).collect();
        let layout = query.layout(&fields)?;
        let key: Vec<String> = client.exec(PRIMARY_KEY, (name.database.clone(), name.name.clone())).await.map_err(failed)?;
        let order = match key.is_empty() {
            true => String::new(),
            false => format!(" ORDER BY {}", key.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")),
        };
        let picked: Vec<String> = fields.iter().map(|field| quoted(field.name())).collect();
        let sql = format!("SELECT {} FROM {}{order} LIMIT 1 OFFSET ?", picked.join(", "), name.sql());
        let counted: Option<Value> = client.query_first(format!("SELECT COUNT(*) FROM {}", name.sql())).await.map_err(failed)?;
        let count = counted.and_then(|value| mysql_async::from_value_opt::<u64>(value).ok());
        let Some(count) = count else { return Err(Error::bug("the server counted no rows").into()) };
        if count == 0 {
            let error = Error::environment(format!("the table {name} has no rows")).code(MISSING).hint("fill it first");
            return Err(error.into());
        }
        Ok(Self { name, layout, sql, count })
    }
}
