//! Posts rows one by one, as producers do that send them to Kafka's REST proxy, to Kinesis behind an API gateway, or to an API of their own.
//!
//! Each row has an `Idempotency-Key`, so that a server that remembers keys takes a row that is sent again for the one that it has.

mod answer;
mod target;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use backon::{BackoffBuilder, ExponentialBuilder};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response};
use uuid::Uuid;
use wasmill_connect::causes::{find, in_words};
use wasmill_connect::{Secret, threads};
use wasmill_engine::{Error, Result};

use self::answer::{Verdict, judge, retry_after};
use self::target::{Form, Posted, Target};
use crate::codes::{POST_REFUSED, POST_TLS, POST_UNANSWERED, POST_URL};

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Servers close connections that are idle for longer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);
/// The pauses between attempts grow from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// More of an answer is not read.
const ANSWER_BYTES: usize = 64 << 10;

/// What rows are posted to, and how.
#[derive(Debug, Clone)]
pub struct PostConfig {
    /// The address, with `{name}` where the name of a topic, stream or table belongs. It may hold a user and a password.
    pub url: Secret,
    /// The token of the header `Authorization: Bearer …`.
    pub token: Option<Secret>,
    /// A file of authorities to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// Whether requests have an `Idempotency-Key`.
    pub with_keys: bool,
    /// How long a row is retried that a server does not take now.
    pub retry: Duration,
}

/// Posts rows. One that is killed may have posted its last row or not.
pub struct Poster {
    client: Client,
    target: Target,
    authorization: Option<HeaderValue>,
    /// What the keys of this poster begin with; none without keys.
    run: Option<Uuid>,
    posted: AtomicU64,
    retry: Duration,
}

/// How an attempt ended.
enum Attempt {
    Taken,
    /// Another attempt may help; why, and when the server wants it.
    Later(String, Option<Duration>),
    Failed(Error),
}

impl Poster {
    /// A poster for so many names. Connects with the first row.
    ///
    /// # Errors
    /// Configuration: an address, a token or a file of authorities that can't be used.
    pub fn new(config: &PostConfig, names: usize) -> Result<Self> {
        let target = Target::read(config.url.reveal(), names)?;
        if config.token.is_some() && target.has_user() {
            let message = "there is a token, and a user in the address: a request has one of them";
            return Err(Error::configuration(message).code(POST_URL).hint("leave one of them out"));
        }
        let authorization = config.token.as_ref().map(bearer).transpose()?;
        let mut builder = Client::builder()
            .http1_only()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("wasmill/", env!("CARGO_PKG_VERSION")));
        if !config.with_keys {
            // A connection that its server is closing would lose an answer that nobody can ask for again.
            builder = builder.pool_max_idle_per_host(0);
        }
        if let Some(path) = &config.ca {
            builder = builder.tls_built_in_root_certs(false);
            builder = authorities(path)?.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        let client = builder
            .build()
            .map_err(|error| Error::environment(format!("cannot start a client of HTTP: {}", in_words(&error))).code(POST_TLS))?;
        let run = config.with_keys.then(Uuid::new_v4);
        Ok(Self { client, target, authorization, run, posted: AtomicU64::new(0), retry: config.retry })
    }

    /// Posts a row, and waits until the server has it. While the server can't be reached or answers with 429 or 503, it is tried again.
    ///
    /// # Errors
    /// Environment: the server refuses it, or does not take it in time; or, without keys, its answer was lost.
    pub fn send(&self, name: &str, row: &str) -> Result<()> {
        let posted = self.target.post(name, row)?;
        let number = self.posted.fetch_add(1, Ordering::Relaxed);
        let key = self.run.map(|run| format!("{}-{number}", run.simple()));
        threads::handle()?.block_on(self.deliver(&posted, key.as_deref()))
    }

    async fn deliver(&self, posted: &Posted, key: Option<&str>) -> Result<()> {
        let begun = Instant::now();
        let mut pauses =
            ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_max_delay(LAST_PAUSE).with_jitter().without_max_times().build();
        let mut attempts = 0_u32;
        loop {
            let (why, wanted) = match self.attempt(posted, key).await {
                Attempt::Taken if attempts > 0 => {
                    tracing::info!(attempts, "{} takes rows again", posted.place());
                    return Ok(());
                }
                Attempt::Taken => return Ok(()),
                Attempt::Failed(error) => return Err(error),
                Attempt::Later(why, wanted) => (why, wanted),
            };
            let pause = wanted.unwrap_or_else(|| pauses.next().unwrap_or(LAST_PAUSE));
            if begun.elapsed() + pause > self.retry {
                return Err(not_taken(posted, &why, wanted, begun.elapsed()));
            }
            if attempts == 0 {
                tracing::warn!("{} does not take a row now, retrying: {why}", posted.place());
            }
            attempts += 1;
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, posted: &Posted, key: Option<&str>) -> Attempt {
        let method = if self.target.form == Form::Kinesis { Method::PUT } else { Method::POST };
        let mut request =
            self.client.request(method, posted.url.clone()).header(CONTENT_TYPE, posted.content_type).body(posted.body.clone());
        if self.target.form == Form::KafkaRest {
            request = request.header(ACCEPT, "application/vnd.kafka.v2+json, application/json");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        match request.send().await {
            Err(error) => unanswered(posted, &error, key.is_some()),
            Ok(response) => self.answered(posted, response, key.is_some()).await,
        }
    }

    async fn answered(&self, posted: &Posted, mut response: Response, with_keys: bool) -> Attempt {
        let status = response.status();
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, SystemTime::now()));
        let mut body = Vec::new();
        while body.len() < ANSWER_BYTES {
            match response.chunk().await {
                Ok(Some(more)) => body.extend_from_slice(&more),
                Ok(None) => break,
                // What it was refused with matters less than that it was.
                Err(_) if !status.is_success() => break,
                Err(error) => return unanswered(posted, &error, with_keys),
            }
        }
        match judge(self.target.form, status, &body) {
            Verdict::Taken => Attempt::Taken,
            Verdict::Later(why) => Attempt::Later(why, wait),
            Verdict::Refused(why) => Attempt::Failed(refused(posted, status, &why)),
        }
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
        .map_err(|_| Error::configuration("the token has characters that a header can't have").code(POST_URL))?;
    value.set_sensitive(true);
    Ok(value)
}

fn authorities(path: &std::path::Path) -> Result<Vec<Certificate>> {
    let wrong = |what: String| {
        Error::configuration(format!("{}: {what}", path.display())).code(POST_TLS).hint("it has to be a PEM file of certificates")
    };
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&bytes).map_err(|error| wrong(in_words(&error)))?;
    if found.is_empty() { Err(wrong("there is no certificate in it".to_owned())) } else { Ok(found) }
}

/// What a request without an answer comes to.
fn unanswered(posted: &Posted, error: &reqwest::Error, with_keys: bool) -> Attempt {
    // The outermost text repeats the address with whatever is in its query.
    let why = std::error::Error::source(error).map_or_else(|| "the connection broke".to_owned(), in_words);
    let why = if error.is_timeout() { format!("no answer in time: {why}") } else { why };
    if is_certificate(error) {
        return Attempt::Failed(
            Error::environment(format!("{} is not trusted: {why}", posted.place()))
                .code(POST_TLS)
                .hint("`--ca FILE` names the authority that signed its certificate"),
        );
    }
    // Keys make a row that is sent again one; and a row that could not be sent is not there.
    if with_keys || error.is_connect() {
        return Attempt::Later(why, None);
    }
    Attempt::Failed(
        Error::environment(format!("{} did not answer: {why}; the row may be there or not", posted.place()))
            .code(POST_UNANSWERED)
            .hint("without Idempotency-Key it is not sent again, because it could be there twice"),
    )
}

fn is_certificate(error: &reqwest::Error) -> bool {
    let of_io = |error: &std::io::Error| error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    find::<rustls::Error>(error).is_some() || causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(of_io)
}

fn not_taken(posted: &Posted, why: &str, wanted: Option<Duration>, tried: Duration) -> Error {
    let shown = |time: Duration| humantime::format_duration(Duration::from_millis(time.as_millis() as u64)).to_string();
    let error = Error::environment(format!("{} does not take the row: {why}", posted.place())).code(POST_UNANSWERED);
    match wanted {
        Some(wait) => {
            error.hint(format!("it wants to be asked again in {}, and `--retry` ends before; tried for {}", shown(wait), shown(tried)))
        }
        None => error.hint(format!("tried for {}; `--retry` sets how long", shown(tried))),
    }
}

fn refused(posted: &Posted, status: StatusCode, why: &str) -> Error {
    let error = Error::environment(format!("{} refused the row: {why}", posted.place())).code(POST_REFUSED);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            error.hint("set `--token '${env:NAME}'`, or a user and a password in the address: `--url '${env:NAME}'`")
        }
        StatusCode::NOT_FOUND => error.hint("create the topic or stream, or correct `--names` or the path in `--url`"),
        StatusCode::BAD_REQUEST if why.contains("Idempotency-Key") => {
            error.hint("`--no-keys` leaves the key out; then a row whose answer is lost is not sent again")
        }
        status if status.is_redirection() => error.hint("redirects are not followed: write the address that it leads to"),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
