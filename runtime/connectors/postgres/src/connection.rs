//! Connections to the server, and how often they are tried.

use std::future::Future;
use std::time::{Duration, Instant};

use backon::{BlockingRetryable, ExponentialBuilder};
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;
use wasmill_engine::{Error, Result};

use super::address::{PostgresConnection, PostgresTlsMode};
use super::failure::Failure;
use super::tls;
use crate::codes::{ADDRESS, ENCODING};
use wasmill_connect::registry::{Address, Server as Connectable};
use wasmill_connect::threads;

/// How long an unresponsive server keeps a connection.
const DEAD_PEER: Duration = Duration::from_secs(30);

/// The pauses between attempts grow from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// A server, and how it is reached.
pub(super) struct Server {
    config: Config,
    tls: MakeRustlsConnect,
    connect_timeout: Duration,
}

impl Server {
    /// Reads the configuration, and the files that it names. Connects to nothing.
    pub(super) fn new(given: &PostgresConnection) -> Result<Self> {
        Self::of(given).map_err(|error| error.below("connection"))
    }

    fn of(given: &PostgresConnection) -> Result<Self> {
        let (mut config, url_mode) = read(given)?;
        let mode = tls::mode(&given.tls, url_mode)?;
        config.ssl_mode(tls::ssl_mode(mode));
        config.connect_timeout(given.connect_timeout);
        config.tcp_user_timeout(DEAD_PEER).keepalives_idle(DEAD_PEER / 3).keepalives_interval(DEAD_PEER / 6).keepalives_retries(4);
        if config.get_application_name().is_none() {
            config.application_name("wasmill");
        }
        Ok(Self {
            config,
            tls: tls::connector(&given.tls, mode).map_err(|error| error.below("tls"))?,
            connect_timeout: given.connect_timeout,
        })
    }

    /// `host:port/database`, for readers.
    pub(super) fn shown(&self) -> String {
        shown(&self.config)
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> Result<Client, Failure> {
        let what = format!("connect to {}", self.shown());
        let connecting = self.config.connect(self.tls.clone());
        let (client, connection) = within(self.connect_timeout, &what, connecting).await?.map_err(|error| Failure::of(&what, error))?;
        let encoding = connection.parameter("server_encoding").map(str::to_owned);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // The user of the connection receives the error from its own statement.
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        match encoding {
            Some(encoding) if encoding != "UTF8" => {
                let message = format!("the database {} has the encoding {encoding}, which can't hold every text", self.shown());
                Err(Error::environment(message).code(ENCODING).hint("use a database with ENCODING 'UTF8'").into())
            }
            _ => Ok(client),
        }
    }
}

/// `host:port/database`, for readers.
fn shown(config: &Config) -> String {
    let host = |(host, port): (&Host, u16)| match host {
        Host::Tcp(name) => format!("{name}:{port}"),
        Host::Unix(path) => format!("{}:{port}", path.display()),
    };
    let hosts: Vec<String> = hosts(config).map(host).collect();
    let database = config.get_dbname().map_or_else(String::new, |name| format!("/{name}"));
    format!("{}{database}", hosts.join(","))
}

/// The hosts, each with its port.
fn hosts(config: &Config) -> impl Iterator<Item = (&Host, u16)> {
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    config.get_hosts().iter().enumerate().map(move |(index, host)| (host, port(index)))
}

/// The server of a connection. `None` for an address that can't be parsed: its error is reported
/// elsewhere.
pub(super) fn server(given: &PostgresConnection) -> Connectable {
    let Ok((config, _)) = read(given) else { return Connectable::new("postgres", Vec::new()) };
    let address = |(host, port): (&Host, u16)| match host {
        Host::Tcp(name) => Address::Tcp(name.clone(), port),
        Host::Unix(folder) => Address::Socket(folder.join(format!(".s.PGSQL.{port}"))),
    };
    // `hostaddr` is where to connect to; `host` besides it is only the name for the certificate.
    // The client knows its ports.
    let addresses = if config.get_hostaddrs().is_empty() { hosts(&config).map(address).collect() } else { Vec::new() };
    Connectable::new(format!("postgres {}", shown(&config)), addresses)
}

/// The file's configuration, and the protection that its URL sets.
fn read(given: &PostgresConnection) -> Result<(Config, Option<PostgresTlsMode>)> {
    match &given.url {
        Some(url) => from_url(given, url.reveal()),
        None => Ok((from_parts(given)?, None)),
    }
}

fn from_parts(given: &PostgresConnection) -> Result<Config> {
    let Some(host) = &given.host else {
        return Err(Error::configuration("it has neither `url` nor `host`").code(ADDRESS).hint("for example: url: \"${env:PG_URL}\""));
    };
    let mut config = Config::new();
    config.host(host.as_str()).port(given.port.unwrap_or(5432));
    if let Some(user) = &given.user {
        config.user(user.as_str());
    }
    if let Some(password) = &given.password {
        config.password(password.reveal());
    }
    if let Some(database) = &given.database {
        config.dbname(database.as_str());
    }
    Ok(config)
}

fn from_url(given: &PostgresConnection, url: &str) -> Result<(Config, Option<PostgresTlsMode>)> {
    let parts = [given.host.is_some(), given.port.is_some(), given.user.is_some(), given.password.is_some(), given.database.is_some()];
    if parts.contains(&true) {
        return Err(Error::configuration(
            "`url` is the server's address: `host`, `port`, `user`, `password` and `database` can't be set besides",
        )
        .code(ADDRESS)
        .key(["url"]));
    }
    let (rest, mode) = without_ssl_mode(url)?;
    // The library's message may repeat a part of the URL, and with it a password.
    let wrong = |_| {
        Error::configuration("`url` is not the address of a PostgreSQL server")
            .code(ADDRESS)
            .key(["url"])
            .hint("postgres://user:password@host:port/database")
    };
    let config: Config = rest.parse().map_err(wrong)?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(Error::configuration("`url` names no host")
            .code(ADDRESS)
            .key(["url"])
            .hint("postgres://user:password@host:port/database"));
    }
    Ok((config, mode))
}

/// Takes `sslmode` out of an address: the library knows only some of its values.
fn without_ssl_mode(url: &str) -> Result<(String, Option<PostgresTlsMode>)> {
    let (base, pairs, separator) = match (url.contains("://"), url.split_once('?')) {
        (true, Some((base, query))) => (format!("{base}?"), query.split('&').collect::<Vec<_>>(), "&"),
        (true, None) => return Ok((url.to_owned(), None)),
        (false, _) => (String::new(), url.split(' ').collect(), " "),
    };
    let (ssl, others): (Vec<&str>, Vec<&str>) = pairs.into_iter().partition(|pair| pair.starts_with("sslmode="));
    if others.iter().any(|pair| ["sslrootcert=", "sslcert=", "sslkey="].iter().any(|key| pair.starts_with(key))) {
        return Err(Error::configuration("`url` names files of certificates")
            .code(ADDRESS)
            .key(["url"])
            .hint("write them as `tls: { ca, certificate, key }`"));
    }
    let mode = match ssl.last().map(|pair| &pair["sslmode=".len()..]) {
        None => None,
        Some("disable") => Some(PostgresTlsMode::Disable),
        Some("prefer" | "allow") => Some(PostgresTlsMode::Prefer),
        Some("require") => Some(PostgresTlsMode::Require),
        Some("verify-ca") => Some(PostgresTlsMode::VerifyCa),
        Some("verify-full") => Some(PostgresTlsMode::VerifyFull),
        Some(_) => {
            return Err(Error::configuration("`url` has an unknown `sslmode`")
                .code(ADDRESS)
                .key(["url"])
                .hint("disable, prefer, require, verify-ca or verify-full"));
        }
    };
    let rest = format!("{base}{}", others.join(separator));
    Ok((rest.trim_end_matches('?').to_owned(), mode))
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
pub(super) fn with_retries<T>(patience: Duration, server: &str, attempt: impl FnMut() -> Result<T, Failure>) -> Result<T> {
    let begun = Instant::now();
    let mut failures = 0_u32;
    let pauses = ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_max_delay(LAST_PAUSE).with_jitter().without_max_times();
    let outcome = attempt
        .retry(pauses)
        .when(|failure: &Failure| failure.transient && begun.elapsed() < patience)
        .notify(|failure: &Failure, _| {
            if failures == 0 {
                tracing::warn!(server, error = %failure.error, "PostgreSQL has an outage; retrying");
            }
            failures += 1;
        })
        .call();
    match outcome {
        Ok(value) => {
            if failures > 0 {
                tracing::info!(server, failures, "PostgreSQL responds again");
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

    #[test]
    fn the_url_may_say_how_it_is_protected() {
        let of = |url: &str| without_ssl_mode(url).unwrap();
        assert_eq!(of("postgres://h/d"), ("postgres://h/d".into(), None));
        assert_eq!(of("postgres://h/d?sslmode=verify-full"), ("postgres://h/d".into(), Some(PostgresTlsMode::VerifyFull)));
        assert_eq!(of("postgres://h/d?a=b&sslmode=require&c=d"), ("postgres://h/d?a=b&c=d".into(), Some(PostgresTlsMode::Require)));
        assert_eq!(of("host=h sslmode=disable user=u"), ("host=h user=u".into(), Some(PostgresTlsMode::Disable)));
        assert!(without_ssl_mode("postgres://h/d?sslmode=sometimes").is_err());
        assert!(without_ssl_mode("postgres://h/d?sslrootcert=x").is_err());
    }

    #[test]
    fn an_address_without_its_password_is_shown() {
        let shown = |url: &str| Server::new(&PostgresConnection::of_url(url)).unwrap().shown();
        assert_eq!(shown("postgres://u:hunter2@db.example.org:5433/pins"), "db.example.org:5433/pins");
        assert_eq!(shown("host=h password=hunter2"), "h:5432");
    }

    #[test]
    fn a_server_is_named_without_its_password() {
        let words = |url: &str| server(&PostgresConnection::of_url(url)).words().to_owned();
        assert_eq!(words("postgres://u:hunter2@a:1,b:2/pins"), "postgres a:1,b:2/pins");
        assert_eq!(words("hunter2"), "postgres");
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_repeating_it() {
        for url in ["hunter2", "postgres://u:hunter2@h:port/d", "postgres://u:hunter2@h/d?hunter2=x", "user=hunter2"] {
            let error = Server::new(&PostgresConnection::of_url(url)).err().unwrap();
            assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn attempts_end() {
        let mut attempts = 0;
        let transient = || Failure::timeout("try", Duration::ZERO);
        let begun = Instant::now();
        let error = with_retries(Duration::from_millis(200), "s", || {
            attempts += 1;
            Err::<(), _>(transient())
        });
        assert!(error.unwrap_err().hint_text().unwrap().contains("nothing is lost"));
        assert!(attempts > 1 && begun.elapsed() < Duration::from_secs(5), "{attempts}");
        let mut attempts = 0;
        let fatal = with_retries(Duration::from_secs(60), "s", || {
            attempts += 1;
            Err::<(), _>(Error::environment("no").into())
        });
        assert!(fatal.is_err() && attempts == 1);
        let mut attempts = 0;
        let value = with_retries(Duration::from_secs(60), "s", || {
            attempts += 1;
            if attempts < 3 { Err(transient()) } else { Ok(attempts) }
        });
        assert_eq!(value.unwrap(), 3);
    }
}
