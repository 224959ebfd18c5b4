//! Who to be: a key that was given, or what AWS's chain finds, kept until it is about to expire.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use futures::future::BoxFuture;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;
use wasmill_engine::{Error, Result};

use super::S3Config;
use crate::aws;

/// Credentials are renewed so long before they expire: no request that is tried again may outlive them.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);
/// Credentials that name no end are looked up again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(15 * 60);

/// What finds the credentials of a store's client.
pub(super) type StoreCredentials = Arc<dyn CredentialProvider<Credential = AwsCredential>>;

/// The provider of a configuration. `sdk` is what AWS's own configuration says; a key that was given needs it only to take on a role.
pub(super) async fn provider(config: &S3Config, sdk: Option<&SdkConfig>) -> Result<StoreCredentials> {
    let found = match (sdk, config.key()) {
        (Some(sdk), key) => aws::credentials(sdk, key, config.assume_role.as_ref()).await,
        (None, Some(key)) => Some(SharedCredentialsProvider::new(key.credentials())),
        (None, None) => None,
    };
    let found = found.ok_or_else(|| Error::environment("there are no AWS credentials").hint(aws::NO_CREDENTIALS))?;
    Ok(Arc::new(Chain::new(found)))
}

/// Credentials of AWS's chain, kept while they last.
#[derive(Debug)]
struct Chain {
    provider: SharedCredentialsProvider,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    credential: Arc<AwsCredential>,
    until: SystemTime,
}

impl CredentialProvider for Chain {
    type Credential = AwsCredential;

    fn get_credential<'a, 'async_trait>(&'a self) -> BoxFuture<'async_trait, object_store::Result<Arc<AwsCredential>>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.current())
    }
}

impl Chain {
    fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, kept: Mutex::new(None) }
    }

    async fn current(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut kept = self.kept.lock().await;
        let now = SystemTime::now();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.until > now) {
            return Ok(Arc::clone(&kept.credential));
        }
        let found = self.provider.provide_credentials().await.map_err(|error| object_store::Error::Unauthenticated {
            path: "credentials".to_owned(),
            // The reasons below may quote files and answers; the first line says which kind it is.
            source: format!("no AWS credentials: {error}").into(),
        })?;
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        let until = found.expiry().map_or(now + LOOK_AGAIN, |expiry| expiry.checked_sub(RENEW_BEFORE).unwrap_or(now));
        *kept = Some(Kept { credential: Arc::clone(&credential), until });
        Ok(credential)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::future;

    use super::*;
    use crate::s3::Secret;

    /// Gives another key each time it is asked.
    #[derive(Debug)]
    struct Counting(AtomicU32, Option<Duration>);

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let asked = self.0.fetch_add(1, Ordering::Relaxed);
            let expiry = self.1.map(|left| SystemTime::now() + left);
            future::ProvideCredentials::ready(Ok(Credentials::new(format!("key-{asked}"), "s", None, expiry, "test")))
        }
    }

    fn keys(left: Option<Duration>) -> [String; 2] {
        let chain = Chain::new(SharedCredentialsProvider::new(Counting(AtomicU32::new(0), left)));
        let threads = crate::threads::handle().unwrap();
        [(); 2].map(|()| threads.block_on(chain.get_credential()).unwrap().key_id.clone())
    }

    #[test]
    fn credentials_are_kept_until_they_are_about_to_expire() {
        assert_eq!(keys(None), ["key-0", "key-0"]);
        assert_eq!(keys(Some(Duration::from_secs(3600))), ["key-0", "key-0"]);
        assert_eq!(keys(Some(Duration::from_secs(60))), ["key-0", "key-1"], "what ends within five minutes is renewed");
    }

    #[test]
    fn a_given_key_needs_no_chain() {
        let config = S3Config { access_key_id: Some("id".into()), secret_access_key: Some(Secret::new("hidden")), ..S3Config::default() };
        let threads = crate::threads::handle().unwrap();
        let credential = threads.block_on(async { provider(&config, None).await.unwrap().get_credential().await.unwrap() });
        assert_eq!((credential.key_id.as_str(), credential.secret_key.as_str()), ("id", "hidden"));
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
