//! Tokens for the mechanism OAUTHBEARER: where they come from, and how long they last.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use serde::Deserialize;
use wasmill_engine::{Error, Result};

use super::msk_iam;
use super::security::{Auth, Aws, Security};
use crate::codes::TOKEN_FILE;

/// A token file is not read beyond this.
const TOKEN_BYTES: u64 = 64 << 10;

/// Where tokens come from.
#[derive(Debug)]
pub(super) enum Tokens {
    /// A file that another process keeps fresh.
    File(String),
    /// Signed by ourselves for Amazon MSK.
    Msk(Aws),
}

impl Tokens {
    /// The token source of the file's configuration, if it uses tokens.
    pub fn of(security: Option<&Security>) -> Option<Self> {
        let security = security?;
        if security.auth == Some(Auth::MskIam) {
            return Some(Self::Msk(security.aws.clone().unwrap_or_default()));
        }
        security.sasl.as_ref()?.token_file.clone().map(Self::File)
    }

    /// A token for now. librdkafka requests the next one when four fifths of its life are over.
    pub fn next(&self) -> Result<OAuthToken> {
        match self {
            Self::File(path) => read(path),
            Self::Msk(aws) => msk_iam::token(aws),
        }
    }
}

/// The claims that are read here; the broker verifies all of them.
#[derive(Deserialize)]
struct Claims {
    exp: f64,
    #[serde(default)]
    sub: Option<String>,
}

fn read(path: &str) -> Result<OAuthToken> {
    use std::io::Read;
    let mut token = String::new();
    let file =
        std::fs::File::open(path).map_err(|error| Error::io(format_args!("read the token file {path}"), error).or_code(TOKEN_FILE))?;
    file.take(TOKEN_BYTES)
        .read_to_string(&mut token)
        .map_err(|error| Error::io(format_args!("read the token file {path}"), error).or_code(TOKEN_FILE))?;
    let token = token.trim();
    let claims = claims(token).ok_or_else(|| {
        Error::environment(format!("{path} does not hold a JSON Web Token with an expiry time (`exp`)"))
            .code(TOKEN_FILE)
            .hint("the file holds the token and nothing else")
    })?;
    Ok(OAuthToken { token: token.to_owned(), principal_name: claims.sub.unwrap_or_default(), lifetime_ms: (claims.exp * 1000.0) as i64 })
}

fn claims(token: &str) -> Option<Claims> {
    let claims = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_its_end_and_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = format!("e30.{}.", URL_SAFE_NO_PAD.encode(r#"{"sub":"mill","exp":1700000000.5}"#));
        std::fs::write(&path, format!("{token}\n")).unwrap();
        let read = Tokens::File(path.to_str().unwrap().to_owned()).next().unwrap();
        assert_eq!((read.token, read.principal_name.as_str(), read.lifetime_ms), (token, "mill", 1_700_000_000_500));
        std::fs::write(&path, "secret-without-dots").unwrap();
        let error = Tokens::File(path.to_str().unwrap().to_owned()).next().err().unwrap().to_string();
        assert!(error.contains("`exp`") && !error.contains("secret"), "{error}");
    }
}
