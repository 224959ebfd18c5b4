//! A protocol under a prefix of paths, with who may use it and how often.

use wasmill_engine::{Error, Result};

use crate::auth::{Credential, Guard, check_credentials};
use crate::codes::{PREFIX, ROUTES_OVERLAP};
use crate::protocol::Protocol;
use crate::rate::Rate;

/// What a route adds to its protocol.
#[derive(Debug, Clone, Default)]
pub struct RouteOptions {
    /// What paths begin with, such as the stage of an API gateway: `/test`.
    pub prefix: Option<String>,
    /// What a request may authenticate with; nothing: anyone may pass.
    pub auth: Vec<Credential>,
    /// The most requests per second.
    pub rate: Option<u32>,
    /// The largest body, if it is smaller than the server's.
    pub max_body: Option<usize>,
}

/// A protocol under a prefix of paths.
pub struct Route {
    pub(crate) name: String,
    pub(crate) prefix: Vec<String>,
    pub(crate) protocol: Protocol,
    pub(crate) guard: Guard,
    pub(crate) rate: Option<Rate>,
    pub(crate) max_body: usize,
}

impl Route {
    /// A route by its name in the file.
    ///
    /// # Errors
    /// Configuration: a prefix or a credential that can't be used.
    pub fn new(name: impl Into<String>, protocol: Protocol, options: &RouteOptions) -> Result<Self> {
        check_credentials(&options.auth)?;
        Ok(Self {
            name: name.into(),
            prefix: options.prefix.as_deref().map(check_prefix).transpose()?.unwrap_or_default(),
            protocol,
            guard: Guard::new(&options.auth),
            rate: options.rate.map(Rate::new),
            max_body: options.max_body.unwrap_or(usize::MAX),
        })
    }

    /// Whether it answers a path; the parts below its prefix.
    pub(crate) fn below<'a>(&self, path: &'a [String]) -> Option<&'a [String]> {
        let rest = path.strip_prefix(self.prefix.as_slice())?;
        self.protocol.roots().iter().any(|root| rest.starts_with(root)).then_some(rest)
    }
}

/// The parts of a prefix of paths.
///
/// # Errors
/// Configuration: it is none.
pub fn check_prefix(prefix: &str) -> Result<Vec<String>> {
    let parts: Vec<String> = prefix.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if prefix.starts_with('/') && parts.iter().all(|part| is_plain(part)) {
        return Ok(parts);
    }
    Err(Error::configuration(format!("`prefix`: {prefix:?} is not the beginning of a path"))
        .code(PREFIX)
        .key(["prefix"])
        .hint("for example: prefix: /test"))
}

/// Whether a part of a path is written as it is.
pub(crate) fn is_plain(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-~".contains(&byte)) && part != "." && part != ".."
}

/// Refuses routes of which one would never be used.
pub(crate) fn check_routes(routes: &[Route]) -> Result<()> {
    let roots = |route: &Route| -> Vec<Vec<String>> {
        route.protocol.roots().into_iter().map(|root| [route.prefix.clone(), root].concat()).collect()
    };
    for (at, route) in routes.iter().enumerate() {
        for earlier in &routes[..at] {
            if let Some(root) = roots(route).iter().find(|root| roots(earlier).iter().any(|other| root.starts_with(other))) {
                return Err(Error::configuration(format!(
                    "the routes `{}` and `{}` both answer /{}",
                    earlier.name,
                    route.name,
                    root.join("/")
                ))
                .code(ROUTES_OVERLAP)
                .hint("give one of them a `prefix` of its own"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_the_beginning_of_a_path() {
        assert_eq!(check_prefix("/test/v1/").unwrap(), ["test", "v1"]);
        assert_eq!(check_prefix("/").unwrap(), [""; 0]);
        for bad in ["test", "", "/a b", "/..", "/{proxy+}"] {
            assert!(check_prefix(bad).is_err(), "{bad}");
        }
    }
}
