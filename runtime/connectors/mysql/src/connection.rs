//! Connections to the server, and how often they are tried.

use std::future::Future;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};
use wasmill_connect::registry::{Address, Server as Connectable};
use wasmill_connect::threads;
use wasmill_engine::Result;

use crate::address::{MysqlConnection, MysqlTlsMode};
use crate::failure::Failure;
use crate::tls;
use crate::url::Place;

/// How long an unresponsive server keeps a connection.
const DEAD_PEER: Duration = Duration::from_secs(30);

/// The pauses between attempts grow from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// What a new connection is told. Texts come in UTF-8 and times in UTC. Nothing can be changed. A
/// statement whose rows are not taken for a while, because a sink has an outage, is not cut off.
const SETTINGS: [&str; 4] = [
    "SET NAMES utf8mb4",
    "SET SESSION time_zone = '+00:00', SESSION net_write_timeout = 86400, SESSION wait_timeout = 86400",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION TRANSACTION READ ONLY",
];

/// A server, and how it is reached.
#[derive(Clone)]
pub(super) struct Server {
    place: Place,
    options: Opts,
    /// Without TLS, where the server need not offer it.
    plain: Option<Opts>,
    /// The TLS side, where the name in the server's certificate does not matter.
    any_name: Option<SslOpts>,
    connect_timeout: Duration,
}

impl Server {
    /// Reads the configuration, and the files that it names. Connects to nothing.
    pub(super) fn new(given: &MysqlConnection) -> Result<Self> {
        Self::of(given).map_err(|error| error.below("connection"))
    }

    fn of(given: &MysqlConnection) -> Result<Self> {
        let (place, url_mode) = Place::read(given)?;
        let mode = tls::mode(&given.tls, url_mode)?;
        let ssl = tls::options(&given.tls, mode).map_err(|error| error.below("tls"))?;
        let base = place.options().tcp_keepalive(Some(DEAD_PEER / 3)).tcp_nodelay(true).stmt_cache_size(8_usize);
        let plain = (mode == MysqlTlsMode::Prefer && ssl.is_some()).then(|| Opts::from(base.clone()));
        let any_name = ssl.clone().filter(|_| mode == MysqlTlsMode::VerifyCa);
        let options = Opts::from(OptsBuilder::ssl_opts(base, ssl));
        Ok(Self { place, options, plain, any_name, connect_timeout: given.connect_timeout })
    }

    /// `host:port/database`, for readers.
    pub(super) fn shown(&self) -> String {
        self.place.shown()
    }

    /// A connection, with the protection that the server offers or is asked for.
    async fn open(&self) -> Result<Conn, mysql_async::Error> {
        let error = match Conn::new(self.options.clone()).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        match (&self.plain, &self.any_name) {
            (Some(plain), _) if Failure::is_without_tls(&error) => Conn::new(plain.clone()).await,
            (_, Some(ssl)) => {
                let Some(name) = tls::own_name(&error) else { return Err(error) };
                let ssl = ssl.clone().with_danger_tls_hostname_override(Some(name));
                Conn::new(OptsBuilder::from_opts(self.options.clone()).ssl_opts(Some(ssl))).await
            }
            _ => Err(error),
        }
    }

    /// A new connection that can only read.
    pub(super) async fn connect(&self) -> Result<Conn, Failure> {
        let what = format!("connect to {}", self.shown());
        let mut client = within(self.connect_timeout, &what, self.open()).await?.map_err(|error| Failure::of(&what, error))?;
        for setting in SETTINGS {
            let set = within(self.connect_timeout, "set up a connection", client.query_drop(setting)).await?;
            set.map_err(|error| Failure::of("set up a connection", error))?;
        }
        Ok(client)
    }
}

/// The server of a connection. Its addresses are empty for one that can't be parsed: its error is
/// reported elsewhere.
pub(super) fn server(given: &MysqlConnection) -> Connectable {
    let Ok((place, _)) = Place::read(given) else { return Connectable::new("mysql", Vec::new()) };
    let address = match place.is_socket() {
        true => Address::Socket(place.host.clone().into()),
        false => Address::Tcp(place.host.clone(), place.port),
    };
    Connectable::new(format!("mysql {}", place.shown()), vec![address])
}

/// Runs a future to its end on this thread.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    Ok(threads::handle()?.block_on(future))
}

/// A future's result, if it is ready in time.
pub(super) async fn within<T>(time: Duration, what: &str, future: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout(time, future).await.map_err(|_| Failure::timeout(what, time))
}

/// Retries what may succeed later, with growing pauses, for this long.
pub(super) async fn with_retries<T, F>(patience: Duration, server: &str, attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T, Failure>>,
{
    let begun = Instant::now();
    let mut failures = 0_u32;
    let pauses = ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_max_delay(LAST_PAUSE).with_jitter().without_max_times();
    let outcome = attempt
        .retry(pauses)
        .when(|failure: &Failure| failure.transient && begun.elapsed() < patience)
        .notify(|failure: &Failure, _| {
            if failures == 0 {
                tracing::warn!(server, error = %failure.error, "MySQL has an outage; retrying");
            }
            failures += 1;
        })
        .await;
    match outcome {
        Ok(value) => {
            if failures > 0 {
                tracing::info!(server, failures, "MySQL responds again");
            }
            Ok(value)
        }
        Err(failure) if failure.transient => Err(failure.error.hint(format!(
            "tried for {}; nothing is lost, and a later start resumes where this one stopped. `retry: {{ for: … }}` sets \
                how long to wait for the server",
            humantime::format_duration(Duration::from_millis(begun.elapsed().as_millis() as u64))
        ))),
        Err(failure) => Err(failure.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_engine::Error;

    #[test]
    fn a_server_is_named_without_its_password() {
        let words = |url: &str| server(&MysqlConnection::of_url(url)).words().to_owned();
        assert_eq!(words("mysql://u:hunter2@a:1/pins"), "mysql a:1/pins");
        assert_eq!(words("hunter2"), "mysql");
        let shown = Server::new(&MysqlConnection::of_url("mysql://u:hunter2@db.example.org/pins")).unwrap().shown();
        assert_eq!(shown, "db.example.org:3306/pins");
    }

    #[test]
    fn attempts_end() {
        let run = |patience: Duration, succeed_at: u32, transient: bool| {
            let mut attempts = 0;
            let outcome = block_on(with_retries(patience, "s", || {
                attempts += 1;
                let outcome = match attempts >= succeed_at {
                    true => Ok(attempts),
                    false => Err(Failure { error: Error::environment("no"), transient }),
                };
                async move { outcome }
            }))
            .unwrap();
            (outcome, attempts)
        };
        let (error, attempts) = run(Duration::from_millis(200), u32::MAX, true);
        assert!(error.unwrap_err().hint_text().unwrap().contains("nothing is lost") && attempts > 1, "{attempts}");
        let (fatal, attempts) = run(Duration::from_secs(60), u32::MAX, false);
        assert!(fatal.is_err() && attempts == 1);
        assert_eq!(run(Duration::from_secs(60), 3, true).0.unwrap(), 3);
    }
}
