//! The address of a server as a URL.

use mysql_async::OptsBuilder;
use percent_encoding::percent_decode_str;
use url::Url;
use wasmill_engine::{Error, Result};

use crate::address::{MysqlConnection, MysqlTlsMode};
use crate::codes::ADDRESS;

/// The port of servers whose address has none.
pub(super) const PORT: u16 = 3306;
const EXAMPLE: &str = "mysql://user:password@host:port/database";

/// Where a server is, and as whom to log in.
#[derive(Clone)]
pub(super) struct Place {
    /// The host, or the path of a socket.
    pub host: String,
    pub port: u16,
    pub database: Option<String>,
    user: String,
    password: Option<String>,
}

impl Place {
    /// What the configuration says, and the protection that its URL sets.
    pub(super) fn read(given: &MysqlConnection) -> Result<(Self, Option<MysqlTlsMode>)> {
        match &given.url {
            Some(url) => Self::from_url(given, url.reveal()),
            None => Ok((Self::from_parts(given)?, None)),
        }
    }

    fn from_parts(given: &MysqlConnection) -> Result<Self> {
        let Some(host) = given.host.clone().filter(|host| !host.is_empty()) else {
            return Err(Error::configuration("it has neither `url` nor `host`")
                .code(ADDRESS)
                .hint("for example: url: \"${env:MYSQL_URL}\""));
        };
        Ok(Self {
            host,
            port: given.port.unwrap_or(PORT),
            database: given.database.clone(),
            user: given.user.clone().unwrap_or_else(|| "root".to_owned()),
            password: given.password.as_ref().map(|password| password.reveal().to_owned()),
        })
    }

    fn from_url(given: &MysqlConnection, text: &str) -> Result<(Self, Option<MysqlTlsMode>)> {
        let parts = [given.host.is_some(), given.port.is_some(), given.user.is_some(), given.password.is_some(), given.database.is_some()];
        if parts.contains(&true) {
            return Err(Error::configuration(
                "`url` is the server's address: `host`, `port`, `user`, `password` and `database` can't be set besides",
            )
            .code(ADDRESS)
            .key(["url"]));
        }
        // No message repeats a part of the URL, which may be a password.
        let wrong = |what: &str| Error::configuration(what).code(ADDRESS).key(["url"]).hint(EXAMPLE);
        let url = Url::parse(text).map_err(|_| wrong("`url` is not the address of a MySQL server"))?;
        if !matches!(url.scheme(), "mysql" | "mariadb") {
            return Err(wrong("`url` does not begin with `mysql://`"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("`url` names no host"))?;
        let decoded = |part: &str| {
            percent_decode_str(part).decode_utf8().map(|text| text.into_owned()).map_err(|_| wrong("`url` has a part that is not UTF-8"))
        };
        let database = url.path().trim_start_matches('/');
        if database.contains('/') {
            return Err(wrong("`url` has more behind its host than the name of a database"));
        }
        let place = Self {
            host: decoded(host.trim_start_matches('[').trim_end_matches(']'))?,
            port: url.port().unwrap_or(PORT),
            database: (!database.is_empty()).then(|| decoded(database)).transpose()?,
            user: if url.username().is_empty() { "root".to_owned() } else { decoded(url.username())? },
            password: url.password().map(decoded).transpose()?,
        };
        Ok((place, mode_of(&url)?))
    }

    /// Whether the host is the path of a socket.
    pub(super) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// `host:port/database`, for readers.
    pub(super) fn shown(&self) -> String {
        let server = match (self.is_socket(), self.host.contains(':')) {
            (true, _) => self.host.clone(),
            (false, true) => format!("[{}]:{}", self.host, self.port),
            (false, false) => format!("{}:{}", self.host, self.port),
        };
        match (&self.database, self.is_socket()) {
            (Some(database), true) => format!("{server} ({database})"),
            (Some(database), false) => format!("{server}/{database}"),
            (None, _) => server,
        }
    }

    /// The client's options, without protection.
    pub(super) fn options(&self) -> OptsBuilder {
        let options = OptsBuilder::default().user(Some(&self.user)).pass(self.password.as_deref()).db_name(self.database.as_deref());
        // Not by the server's socket: an address means what it says.
        let options = options.prefer_socket(false);
        match self.is_socket() {
            true => options.socket(Some(&self.host)),
            false => options.ip_or_hostname(&self.host).tcp_port(self.port),
        }
    }
}

/// The protection that a URL sets, with MySQL's own words for it.
fn mode_of(url: &Url) -> Result<Option<MysqlTlsMode>> {
    let mut mode = None;
    for (key, value) in url.query_pairs() {
        mode = match (key.to_ascii_lowercase().as_str(), value.to_ascii_lowercase().as_str()) {
            ("ssl-mode", "disabled") => Some(MysqlTlsMode::Disable),
            ("ssl-mode", "preferred") => Some(MysqlTlsMode::Prefer),
            ("ssl-mode", "required") => Some(MysqlTlsMode::Require),
            ("ssl-mode", "verify_ca") => Some(MysqlTlsMode::VerifyCa),
            ("ssl-mode", "verify_identity") => Some(MysqlTlsMode::VerifyFull),
            ("ssl-mode", _) => {
                return Err(Error::configuration("`url` has an unknown `ssl-mode`")
                    .code(ADDRESS)
                    .key(["url"])
                    .hint("DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY"));
            }
            _ => {
                return Err(Error::configuration("`url` has a parameter that is not `ssl-mode`").code(ADDRESS).key(["url"]).hint(
                    "remove what is behind the `?`; certificates are `tls: { ca, certificate, key }`, and texts are always utf8mb4",
                ));
            }
        };
    }
    Ok(mode)
}

#[cfg(test)]
mod tests {
    use wasmill_connect::Secret;

    use super::*;

    fn read(url: &str) -> Result<(Place, Option<MysqlTlsMode>)> {
        Place::read(&MysqlConnection::of_url(url))
    }

    #[test]
    fn an_address_is_read_with_its_escapes() {
        let (place, mode) = read("mysql://u%40x:p%2Fw%3A@db.example.org:3307/pins?ssl-mode=REQUIRED").unwrap();
        assert_eq!((place.user.as_str(), place.password.as_deref()), ("u@x", Some("p/w:")));
        assert_eq!((place.shown().as_str(), mode), ("db.example.org:3307/pins", Some(MysqlTlsMode::Require)));
        let (place, mode) = read("mariadb://h").unwrap();
        assert_eq!((place.shown().as_str(), place.user.as_str(), mode), ("h:3306", "root", None));
        assert_eq!(read("mysql://[::1]:1/d").unwrap().0.shown(), "[::1]:1/d");
        let socket = MysqlConnection { host: Some("/run/mysqld.sock".into()), ..MysqlConnection::default() };
        assert!(Place::read(&socket).unwrap().0.is_socket());
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_repeating_it() {
        for url in [
            "hunter2",
            "postgres://u:hunter2@h/d",
            "mysql://u:hunter2@h:port/d",
            "mysql://u:hunter2@h/d?hunter2=x",
            "mysql://u:hunter2@h/d/e",
            "mysql://u:hunter2@h/d?ssl-mode=hunter2",
            "mysql:///hunter2",
        ] {
            let error = read(url).err().unwrap_or_else(|| panic!("{url} is accepted"));
            assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
        }
        let both = MysqlConnection { password: Some(Secret::new("x")), ..MysqlConnection::of_url("mysql://h/d") };
        assert!(Place::read(&both).err().unwrap().message().contains("can't be set besides"));
        assert!(Place::read(&MysqlConnection::default()).err().unwrap().message().contains("neither `url` nor `host`"));
    }
}
