//! Who may use a route: bearer tokens, and users with passwords.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmill_connect::Secret;
use wasmill_engine::{Error, Result};

use crate::codes::CREDENTIAL;

/// `{ token: "${secret:TOKEN}" }` or `{ user: pins, password: "${secret:PASSWORD}" }`
///
/// What a request may authenticate with: a bearer token, or a user and a password (HTTP Basic).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// `token: "${secret:TOKEN}"`
    ///
    /// The token of the header `Authorization: Bearer …`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// `user: pins`
    ///
    /// The name of the user; together with `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `password: "${secret:PASSWORD}"`
    ///
    /// The password of `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// Checks that each entry is a token, or a user with a password.
///
/// # Errors
/// A configuration error with the place of the entry.
pub fn check_credentials(credentials: &[Credential]) -> Result<()> {
    for (at, credential) in credentials.iter().enumerate() {
        let is_one = match (&credential.token, &credential.user, &credential.password) {
            (Some(token), None, None) => !token.reveal().is_empty(),
            (None, Some(user), Some(_)) => !user.is_empty() && !user.contains(':'),
            _ => false,
        };
        if !is_one {
            return Err(Error::configuration(format!("`auth`: entry {} is neither a token nor a user with a password", at + 1))
                .code(CREDENTIAL)
                .key(["auth"])
                .hint("auth: [{ token: \"${secret:TOKEN}\" }, { user: pins, password: \"${secret:PASSWORD}\" }]; a user has no colon"));
        }
    }
    Ok(())
}

/// Digests of what is accepted. Digests have one length, so that comparing them takes one time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    accepted: Vec<[u8; 32]>,
    has_users: bool,
}

impl Guard {
    pub(crate) fn new(credentials: &[Credential]) -> Self {
        let digest = |credential: &Credential| match (&credential.token, &credential.user, &credential.password) {
            (Some(token), ..) => digest("bearer", token.reveal().as_bytes()),
            (_, user, password) => {
                let text = format!("{}:{}", user.as_deref().unwrap_or_default(), password.as_ref().map_or("", Secret::reveal));
                digest("basic", text.as_bytes())
            }
        };
        Self {
            accepted: credentials.iter().map(digest).collect(),
            has_users: credentials.iter().any(|credential| credential.user.is_some()),
        }
    }

    /// Whether a request may pass.
    pub(crate) fn accepts(&self, headers: &HeaderMap) -> bool {
        if self.accepted.is_empty() {
            return true;
        }
        let Some(given) = headers.get(AUTHORIZATION).and_then(|value| presented(value.as_bytes())) else { return false };
        // All of them are compared, whichever fits.
        self.accepted.iter().fold(false, |found, accepted| found | is_same(accepted, &given))
    }

    /// What a refused request is told of how to authenticate.
    pub(crate) fn challenge(&self) -> &'static str {
        if self.has_users { "Basic realm=\"wasmill\", charset=\"UTF-8\"" } else { "Bearer" }
    }

    /// Whether anyone may pass.
    pub(crate) fn is_open(&self) -> bool {
        self.accepted.is_empty()
    }
}

fn presented(header: &[u8]) -> Option<[u8; 32]> {
    let at = header.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = (&header[..at], header[at..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(digest("bearer", rest));
    }
    if scheme.eq_ignore_ascii_case(b"basic") {
        return Some(digest("basic", &STANDARD.decode(rest).ok()?));
    }
    None
}

fn digest(scheme: &str, content: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(scheme).chain_update([0]).chain_update(content).finalize().into()
}

/// Compares without ending early.
fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    std::hint::black_box(one.iter().zip(other).fold(0, |different, (one, other)| different | (one ^ other))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Credential {
        Credential { token: Some(Secret::new(text)), ..Credential::default() }
    }

    fn user(name: &str, password: &str) -> Credential {
        Credential { user: Some(name.into()), password: Some(Secret::new(password)), ..Credential::default() }
    }

    #[test]
    fn only_what_is_configured_passes() {
        let guard = Guard::new(&[token("t0ken"), user("pins", "hush")]);
        let accepts = |value: &str| guard.accepts(&HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]));
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(accepts("Bearer t0ken") && accepts("bearer  t0ken") && accepts(&basic("pins:hush")));
        for refused in ["Bearer t0ke", "Bearer", "t0ken", "Basic t0ken", "Digest t0ken", ""] {
            assert!(!accepts(refused), "{refused}");
        }
        assert!(
            !accepts(&basic("pins:hush2")) && !accepts(&basic("pins")) && !accepts(&format!("Bearer {}", STANDARD.encode("pins:hush")))
        );
        assert!(!guard.accepts(&HeaderMap::new()));
        assert!(Guard::new(&[]).accepts(&HeaderMap::new()));
    }

    #[test]
    fn entries_are_one_thing_or_the_other() {
        check_credentials(&[token("a"), user("b", "c")]).unwrap();
        for bad in [Credential::default(), Credential { user: Some("a".into()), ..token("b") }, token(""), user("a:b", "c")] {
            assert!(check_credentials(&[bad]).unwrap_err().message().contains("entry 1"));
        }
        assert!(!format!("{:?}", user("a", "hidden")).contains("hidden"));
    }
}
