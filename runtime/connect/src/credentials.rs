//! Credentials for AWS's services: a given key, or what AWS's chain finds, kept until shortly
//! before they expire.
//!
//! The library's own cache drops credentials that are still valid when they can't be renewed, and
//! reloads expiring ones for every request. All clients share this one instead, and its
//! distinction. Credentials that existed once and can't be renewed right now are an outage
//! ([`NotRenewed`]); those that never existed are a mistake.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;
use wasmill_engine::{Error, Result};

use crate::aws::{self, AssumeRole, Key};
use crate::causes;
use crate::codes::CREDENTIALS_MISSING;

/// Credentials are renewed this long before they expire: no retried request may outlive them.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);
/// Credentials that end sooner than that are loaded again when half of the remaining time is over,
/// at most after this. Their issuer may have no later ones yet, and must not be called for every
/// request.
const MAX_RELOAD_WAIT: Duration = Duration::from_secs(30);
/// Credentials without an end are loaded again after this.
const RELOAD_AFTER: Duration = Duration::from_secs(15 * 60);
/// Where they can't be renewed and are still valid, renewal is retried after this.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The provider of a configuration. `sdk` is AWS's own configuration. Its client must not keep
/// credentials itself.
pub async fn provider(sdk: &SdkConfig, key: Option<Key<'_>>, role: Option<&AssumeRole>) -> Result<impl ProvideCredentials + use<>> {
    let found = aws::credentials(sdk, key, role).await;
    let found =
        found.ok_or_else(|| Error::environment("there are no AWS credentials").code(CREDENTIALS_MISSING).hint(aws::NO_CREDENTIALS))?;
    Ok(Chain::new(found))
}

/// Credentials that were valid can't be renewed: their issuer has an outage.
#[derive(Debug)]
pub struct NotRenewed(String);

impl fmt::Display for NotRenewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AWS credentials have expired and can't be renewed: {}", self.0)
    }
}

impl std::error::Error for NotRenewed {}

/// Credentials of AWS's chain, kept while they last.
#[derive(Debug)]
struct Chain {
    provider: SharedCredentialsProvider,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    credentials: Credentials,
    /// When to load them again.
    until: SystemTime,
    /// Whether the failed renewal was logged.
    logged: bool,
}

impl Kept {
    fn of(credentials: Credentials, now: SystemTime) -> Self {
        let until = |ends: SystemTime| {
            let left = ends.duration_since(now).unwrap_or_default();
            now + left.saturating_sub(RENEW_BEFORE).max(MAX_RELOAD_WAIT.min(left / 2))
        };
        let until = credentials.expiry().map_or(now + RELOAD_AFTER, until);
        Self { credentials, until, logged: false }
    }

    /// Keeps what holds a while longer. False: it holds no more.
    fn extend(&mut self, now: SystemTime, error: &CredentialsError) -> bool {
        let ends = self.credentials.expiry();
        if ends.is_some_and(|ends| ends <= now) {
            return false;
        }
        if !std::mem::replace(&mut self.logged, true) {
            tracing::warn!("AWS credentials can't be renewed; retrying while the present ones are valid: {}", causes::in_words(error));
        }
        // Expired credentials would be rejected, and a rejection is final.
        self.until = ends.map_or(now + RETRY_AFTER, |ends| ends.min(now + RETRY_AFTER));
        true
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

impl Chain {
    fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, kept: Mutex::new(None) }
    }

    async fn current(&self) -> Result<Credentials, CredentialsError> {
        let mut kept = self.kept.lock().await;
        let now = SystemTime::now();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.until > now) {
            return Ok(kept.credentials.clone());
        }
        match self.provider.provide_credentials().await {
            Ok(found) => Ok(kept.insert(Kept::of(found, now)).credentials.clone()),
            Err(error) => {
                let Some(kept) = kept.as_mut() else { return Err(error) };
                match kept.extend(now, &error) {
                    true => Ok(kept.credentials.clone()),
                    false => Err(CredentialsError::provider_error(NotRenewed(causes::in_words(&error)))),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::secret::Secret;

    /// Returns another key at each call, the first `.2` times.
    #[derive(Debug)]
    struct Counting(AtomicU32, Option<Duration>, u32);

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let asked = self.0.fetch_add(1, Ordering::Relaxed);
            let expiry = self.1.map(|left| SystemTime::now() + left);
            future::ProvideCredentials::ready(match asked < self.2 {
                true => Ok(Credentials::new(format!("key-{asked}"), "s", None, expiry, "test")),
                false => Err(CredentialsError::provider_error("out of order")),
            })
        }
    }

    /// The keys of two requests, the second at the moment at which the first one's are due to be
    /// loaded again.
    fn keys(left: Option<Duration>, times: u32) -> [Option<String>; 2] {
        let chain = Chain::new(SharedCredentialsProvider::new(Counting(AtomicU32::new(0), left, times)));
        let threads = crate::threads::handle().unwrap();
        let ask = || threads.block_on(chain.current()).ok().map(|found| found.access_key_id().to_owned());
        let first = ask();
        if let Some(kept) = threads.block_on(chain.kept.lock()).as_mut() {
            kept.until = SystemTime::now();
        }
        [first, ask()]
    }

    fn kept_for(left: Option<Duration>) -> Duration {
        let now = SystemTime::now();
        let found = Credentials::new("key", "s", None, left.map(|left| now + left), "test");
        Kept::of(found, now).until.duration_since(now).unwrap()
    }

    #[test]
    fn credentials_are_kept_until_they_are_about_to_expire() {
        let seconds = Duration::from_secs;
        assert_eq!(kept_for(None), RELOAD_AFTER);
        assert_eq!(kept_for(Some(seconds(3600))), seconds(3300));
        assert_eq!(kept_for(Some(seconds(303))), seconds(30), "their giver may have no newer ones yet");
        assert_eq!(kept_for(Some(seconds(20))), seconds(10));
        assert_eq!(kept_for(Some(seconds(0))), seconds(0));
    }

    #[test]
    fn what_can_not_be_renewed_is_used_while_it_holds() {
        let keys_of = |left, times| keys(left, times).map(|key| key.unwrap_or_else(|| "none".to_owned()));
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(keys_of(hour, 2), ["key-0", "key-1"]);
        assert_eq!(keys_of(hour, 1), ["key-0", "key-0"]);
        assert_eq!(keys_of(Some(Duration::ZERO), 1), ["key-0", "none"]);
        assert_eq!(keys_of(hour, 0), ["none", "none"]);
    }

    #[test]
    fn what_has_expired_and_can_not_be_renewed_is_distinguished_from_what_was_never_there() {
        let threads = crate::threads::handle().unwrap();
        let error = |times| {
            let chain = Chain::new(SharedCredentialsProvider::new(Counting(AtomicU32::new(0), Some(Duration::ZERO), times)));
            let _ = threads.block_on(chain.current());
            threads.block_on(chain.current()).unwrap_err()
        };
        assert!(causes::find::<NotRenewed>(&error(1)).is_some_and(|error| error.to_string().contains("out of order")));
        assert!(causes::find::<NotRenewed>(&error(0)).is_none());
    }

    #[test]
    fn a_given_key_needs_no_chain() {
        let secret = Secret::new("hidden");
        let key = Key { id: "id", secret: &secret, session_token: None };
        let sdk = SdkConfig::builder().build();
        let found = async { provider(&sdk, Some(key), None).await.unwrap().provide_credentials().await.unwrap() };
        let found = crate::threads::handle().unwrap().block_on(found);
        assert_eq!((found.access_key_id(), found.secret_access_key()), ("id", "hidden"));
        assert!(!format!("{key:?}").contains("hidden"));
    }
}
