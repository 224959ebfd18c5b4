//! `wasmill emulate --to http`: what rows are posted to, and with which credentials.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::post::{PostConfig, Poster};
use wasmill_connect::Secret;
use wasmill_engine::{Error, Result};

use super::codes::ARGUMENT;
use super::playback::resolved;
use crate::document::Redactor;

/// How long a row is retried that the server does not take now.
const RETRY: Duration = Duration::from_secs(5 * 60);

/// What rows are posted to.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "With --to http")]
pub struct Posting {
    /// The address to post to, with {name} in its path; or '${env:NAME}' for a variable that holds it, also with a user and a password.
    /// The path decides the wire format: .../topics/{name} is Kafka's REST proxy, .../streams/{name}/record Kinesis behind an API gateway,
    /// any other path takes the row itself as JSON
    #[arg(long, value_name = "URL", requires = "from")]
    url: Option<String>,
    /// The bearer token: '${env:NAME}' for the variable that holds it
    #[arg(long, value_name = "VARIABLE", requires = "from")]
    token: Option<String>,
    /// The certificates to trust in place of the system's, as PEM
    #[arg(long, value_name = "FILE", requires = "from", value_hint = clap::ValueHint::FilePath)]
    ca: Option<PathBuf>,
    /// How long a row is retried while the server can't be reached or answers 429 or 503; default: 5min
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, requires = "from")]
    retry: Option<Duration>,
    /// Leaves the header Idempotency-Key out, which a gateway before Kafka or Kinesis refuses. A lost answer then stops the command
    #[arg(long, requires = "from")]
    no_keys: bool,
}

impl Posting {
    /// A poster for so many tables. Secrets are given to the redactor.
    pub fn open(&self, names: usize, redactor: &Redactor) -> Result<Poster> {
        let url = self.url.as_deref().ok_or_else(|| {
            let error = Error::configuration("`--to http` needs `--url`").code(ARGUMENT);
            error.hint("for example: --url 'http://127.0.0.1:8082/topics/{name}'")
        })?;
        let url = resolved("--url", url, "http://user:password@host/topics/{name}")?;
        if let Some((_, password)) = user_info(&url).and_then(|user| user.split_once(':')) {
            redactor.add(password);
        }
        let config = PostConfig {
            url: Secret::new(url),
            token: self.token.as_deref().map(|text| token(text, redactor)).transpose()?,
            ca: self.ca.clone(),
            with_keys: !self.no_keys,
            retry: self.retry.unwrap_or(RETRY),
        };
        Poster::new(&config, names)
    }
}

/// The token of a variable. A token itself would be in the list of processes.
fn token(text: &str, redactor: &Redactor) -> Result<Secret> {
    if !text.starts_with("${env:") {
        return Err(Error::configuration("`--token` must be '${env:NAME}': everybody on this machine can see what a command line holds")
            .code(ARGUMENT)
            .hint("export GATEWAY_TOKEN=…, and write --token '${env:GATEWAY_TOKEN}'"));
    }
    let token = resolved("--token", text, "TOKEN")?;
    redactor.add(&token);
    Ok(Secret::new(token))
}

/// The user and the password of a URL, as they are written.
fn user_info(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@').map(|(user, _)| user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_variables_and_are_not_shown() {
        let redactor = Redactor::default();
        assert!(token("plain", &redactor).unwrap_err().message().contains("${env:NAME}"));
        let posting = Posting { url: Some("http://u:hush-hush@h/topics/{name}".into()), ..Posting::default() };
        assert!(posting.open(2, &redactor).is_ok());
        assert!(!redactor.clean("it is hush-hush").contains("hush"));
        assert!(Posting::default().open(1, &redactor).err().unwrap().message().contains("needs `--url`"));
        assert_eq!((user_info("http://a:b@c/d@e"), user_info("http://c/d@e")), (Some("a:b"), None));
    }
}
