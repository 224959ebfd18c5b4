//! How a store is: requests that fail are tried again by the store's library without a word, so that what goes on is told here, once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector};

/// A store that fails now and then is told of once in this time.
const QUIET: Duration = Duration::from_secs(60);
/// An outage that was told of and lasted so long is told to be over.
const OUTAGE: Duration = Duration::from_secs(1);

/// Makes clients that are watched.
#[derive(Debug)]
pub(super) struct Watching(pub(super) Arc<Health>);

impl HttpConnector for Watching {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Watched { client, health: Arc::clone(&self.0) }))
    }
}

#[derive(Debug)]
struct Watched {
    client: HttpClient,
    health: Arc<Health>,
}

impl HttpService for Watched {
    fn call<'a, 'async_trait>(&'a self, request: HttpRequest) -> BoxFuture<'async_trait, Result<HttpResponse, HttpError>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let answer = self.client.execute(request).await;
            match &answer {
                Ok(answer) if answer.status().is_server_error() || answer.status().as_u16() == 429 => {
                    self.health.failed(&format!("it answers {}", answer.status()));
                }
                Ok(_) => self.health.went_well(),
                Err(error) => self.health.failed(in_words(error.kind())),
            }
            answer
        })
    }
}

/// The library's own words quote addresses with what was signed.
fn in_words(kind: HttpErrorKind) -> &'static str {
    match kind {
        HttpErrorKind::Connect => "it can't be connected to",
        HttpErrorKind::Timeout => "it does not answer in time",
        HttpErrorKind::Interrupted => "connections to it are cut",
        _ => "requests to it fail",
    }
}

/// How the store at one address is.
#[derive(Debug)]
pub(super) struct Health {
    address: String,
    failures: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since when every request has failed.
    down_since: Option<Instant>,
    /// How many there were before.
    failures_before: u64,
    /// When it was told last that requests fail.
    told: Option<Instant>,
    /// It was told of the outage that goes on.
    outage_told: bool,
}

/// What to tell.
#[derive(Debug, PartialEq, Eq)]
enum Tell {
    Nothing,
    Down,
    /// It is back, after so many failed requests.
    Up(u64),
}

impl Health {
    pub(super) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), failures: AtomicU64::new(0), state: Mutex::default() }
    }

    fn failed(&self, why: &str) {
        if self.note(false, Instant::now()) == Tell::Down {
            tracing::warn!("the store at {} has trouble, trying again: {why}", self.address);
        }
    }

    fn went_well(&self) {
        let now = Instant::now();
        let since = self.state.lock().unwrap_or_else(PoisonError::into_inner).down_since;
        if let Tell::Up(failures) = self.note(true, now) {
            let seconds = since.map_or(0.0, |since| now.duration_since(since).as_secs_f64());
            tracing::warn!("the store at {} answers again, after {seconds:.1} s and {failures} failed requests", self.address);
        }
    }

    fn note(&self, well: bool, now: Instant) -> Tell {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if well {
            let Some(since) = state.down_since.take() else { return Tell::Nothing };
            let failures = self.failures.load(Ordering::Relaxed) - state.failures_before;
            let told = std::mem::take(&mut state.outage_told);
            return if told && now.duration_since(since) >= OUTAGE { Tell::Up(failures) } else { Tell::Nothing };
        }
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        if state.down_since.is_none() {
            (state.down_since, state.failures_before) = (Some(now), before);
        }
        if state.outage_told || state.told.is_some_and(|told| now.duration_since(told) < QUIET) {
            return Tell::Nothing;
        }
        (state.told, state.outage_told) = (Some(now), true);
        Tell::Down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_and_so_is_its_end() {
        let (health, start) = (Health::new("http://s"), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(health.note(true, at(0)), Tell::Nothing);
        assert_eq!(health.note(false, at(1)), Tell::Down);
        assert!((2..150).all(|second| health.note(false, at(second)) == Tell::Nothing));
        assert_eq!(health.note(true, at(150)), Tell::Up(149));
        assert_eq!(health.note(true, at(150)), Tell::Nothing);
    }

    #[test]
    fn a_store_that_fails_now_and_then_is_told_of_now_and_then() {
        let (health, start) = (Health::new("http://s"), Instant::now());
        let told: Vec<u64> = (0..200)
            .filter(|second| {
                let now = start + Duration::from_secs(*second);
                let told = health.note(false, now) == Tell::Down;
                assert_eq!(health.note(true, now), Tell::Nothing);
                told
            })
            .collect();
        assert_eq!(told, [0, 60, 120, 180]);
    }
}
