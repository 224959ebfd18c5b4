//! The server that a source or a sink needs: its name in words, and whether it takes connections.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use url::Url;

/// A server that a source or a sink needs.
pub struct Server {
    words: String,
    addresses: Box<dyn Fn() -> Vec<Address> + Send + Sync>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host by its name or its address, and a port.
    Tcp(String, u16),
    /// A socket of this machine.
    Socket(PathBuf),
}

impl Server {
    /// A server by its name in words, without secrets: `kafka b1:9092`. One of its addresses has to take a connection.
    pub fn new(words: impl Into<String>, addresses: Vec<Address>) -> Self {
        Self::found_later(words, move || addresses.clone())
    }

    /// A server whose addresses must be discovered, possibly by requests. `None` if only its own
    /// client knows where it is.
    pub fn found_later(words: impl Into<String>, addresses: impl Fn() -> Vec<Address> + Send + Sync + 'static) -> Self {
        Self { words: words.into(), addresses: Box::new(addresses) }
    }

    /// Its name: `kafka b1:9092`.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Waits until one of its addresses takes a connection. Nothing is sent.
    ///
    /// # Errors
    /// Why none does, in words that follow a colon.
    pub fn reach(&self, within: Duration) -> Result<(), String> {
        let addresses = (self.addresses)();
        let deadline = Instant::now() + within;
        let (sender, outcomes) = mpsc::channel();
        for (index, address) in addresses.iter().cloned().enumerate() {
            let sender = sender.clone();
            let connect = move || {
                let outcome = address.connect(deadline.saturating_duration_since(Instant::now()));
                let _ = sender.send((index, outcome));
            };
            // A thread that waits for a resolver of names may outlive the deadline; it ends by itself.
            thread::Builder::new().name("reach".to_owned()).spawn(connect).map_err(|error| format!("no thread can be started: {error}"))?;
        }
        drop(sender);
        let mut failures = vec![no_response(within); addresses.len()];
        while let Ok((index, outcome)) = outcomes.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            match outcome {
                Ok(()) => return Ok(()),
                Err(Failure::Late) => {}
                Err(Failure::Because(why)) => failures[index] = why,
            }
        }
        match (addresses.as_slice(), failures.as_slice()) {
            ([], _) => Ok(()),
            ([address], [why]) if self.words.contains(&address.to_string()) => Err(why.clone()),
            _ => Err(addresses.iter().zip(&failures).map(|(address, why)| format!("{address}: {why}")).collect::<Vec<_>>().join("; ")),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.words)
    }
}

fn no_response(within: Duration) -> String {
    format!("no response within {}", humantime::format_duration(within))
}

/// Why a connection was not established.
enum Failure {
    /// The time was over.
    Late,
    /// In words.
    Because(String),
}

impl Address {
    /// `host:port`; of IPv6 as `[::1]:port`. Without a port, this one.
    pub fn parse(text: &str, port: u16) -> Option<Self> {
        let url = Url::parse(&format!("tcp://{}", text.trim())).ok()?;
        Some(Self::Tcp(plain_host(&url)?, url.port().unwrap_or(port)))
    }

    /// The host and the port of a URL of HTTP.
    pub fn of_url(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        Some(Self::Tcp(plain_host(&url)?, url.port_or_known_default()?))
    }

    fn connect(&self, within: Duration) -> Result<(), Failure> {
        let begun = Instant::now();
        let because = |error: io::Error| match error.kind() {
            ErrorKind::ConnectionRefused => Failure::Because("connection refused".to_owned()),
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Failure::Late,
            ErrorKind::NotFound => Failure::Because("the socket does not exist".to_owned()),
            _ => Failure::Because(error.to_string()),
        };
        match self {
            Self::Socket(path) => UnixStream::connect(path).map(drop).map_err(because),
            Self::Tcp(host, port) => {
                let unknown = |_| Failure::Because(format!("the name {host} can't be resolved"));
                let mut outcome = Err(Failure::Because(format!("the name {host} has no address")));
                for address in (host.as_str(), *port).to_socket_addrs().map_err(unknown)? {
                    let left = within.saturating_sub(begun.elapsed());
                    if left.is_zero() {
                        return Err(Failure::Late);
                    }
                    outcome = TcpStream::connect_timeout(&address, left).map(drop).map_err(because);
                    if outcome.is_ok() {
                        break;
                    }
                }
                outcome
            }
        }
    }
}

/// The host without the brackets of IPv6.
fn plain_host(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn closed() -> Address {
        Address::Tcp("127.0.0.1".to_owned(), 1)
    }

    #[test]
    fn addresses_are_read_as_clients_read_them() {
        let tcp = |host: &str, port| Some(Address::Tcp(host.to_owned(), port));
        assert_eq!(Address::parse("b1:9092", 1), tcp("b1", 9092));
        assert_eq!(Address::parse(" b1", 9092), tcp("b1", 9092));
        assert_eq!(Address::parse("[::1]:9092", 1), tcp("::1", 9092));
        assert_eq!(Address::parse("${env:BROKERS}", 1), None);
        assert_eq!(Address::of_url("https://store.example/x"), tcp("store.example", 443));
        assert_eq!(Address::of_url("http://[::1]:80"), tcp("::1", 80));
        assert_eq!(Address::Tcp("::1".to_owned(), 9092).to_string(), "[::1]:9092");
    }

    #[test]
    fn one_address_that_takes_connections_is_enough() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = Address::Tcp("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        assert_eq!(Server::new("s", vec![closed(), open]).reach(5 * SECOND), Ok(()));
        assert_eq!(Server::new("s", Vec::new()).reach(SECOND), Ok(()), "only its client knows its address");
    }

    #[test]
    fn why_there_is_no_connection_is_reported_for_each_address() {
        assert_eq!(Server::new("s 127.0.0.1:1", vec![closed()]).reach(5 * SECOND), Err("connection refused".to_owned()));
        let socket = Address::Socket("/nowhere/.s.PGSQL.5432".into());
        let error = Server::new("s", vec![closed(), socket]).reach(5 * SECOND).unwrap_err();
        assert_eq!(error, "127.0.0.1:1: connection refused; /nowhere/.s.PGSQL.5432: the socket does not exist");
    }

    #[test]
    fn the_wait_ends() {
        // No host has an address of this block (RFC 5737); some networks reject it at once.
        let nobody = Address::Tcp("192.0.2.1".to_owned(), 1);
        let begun = Instant::now();
        assert!(Server::new("s 192.0.2.1:1", vec![nobody]).reach(SECOND / 5).is_err());
        assert!(begun.elapsed() < 5 * SECOND);
    }
}
