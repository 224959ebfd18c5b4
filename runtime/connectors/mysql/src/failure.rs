//! Errors of the server or of the connection, and whether a retry may help.

use std::io;
use std::time::Duration;

use mysql_async::{DriverError, Error as ClientError, IoError, ServerError};
use wasmill_engine::{Code, Error};

use crate::codes::{COLUMN_TWICE, CONNECTION_FAILED, LOGIN, MISSING, PERMISSION, STATEMENT_FAILED, TLS};

/// A failed attempt.
#[derive(Debug)]
pub(super) struct Failure {
    /// The error to report.
    pub error: Error,
    /// Whether the same attempt may succeed later without intervention: a server that restarts, a
    /// connection that was cut.
    pub transient: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, transient: false }
    }
}

impl Failure {
    /// What a client's error means; `what` is what was tried.
    pub(super) fn of(what: &str, error: ClientError) -> Self {
        match error {
            ClientError::Server(answer) => Self::of_response(what, &answer),
            ClientError::Io(IoError::Io(error)) if is_certificate(&error) => Self::of_tls(what, error.to_string()),
            ClientError::Io(IoError::Io(error)) => Self::broken(what, error.to_string()),
            ClientError::Io(IoError::Tls(error)) => Self::of_tls(what, error.to_string()),
            ClientError::Driver(DriverError::NoClientSslFlagFromServer) => Self {
                error: Error::environment(format!("cannot {what}: the server offers no TLS"))
                    .code(TLS)
                    .hint("`tls: { mode: disable }` goes without, on a network that you trust"),
                transient: false,
            },
            ClientError::Driver(DriverError::ConnectionClosed) => Self::broken(what, "the connection is closed".to_owned()),
            ClientError::Driver(
                error @ (DriverError::UnknownAuthPlugin { .. }
                | DriverError::MysqlOldPasswordDisabled
                | DriverError::CleartextPluginDisabled),
            ) => Self {
                error: Error::environment(format!("cannot {what}: {error}"))
                    .code(LOGIN)
                    .hint("let the user log in with caching_sha2_password or mysql_native_password"),
                transient: false,
            },
            // These may carry values of a row.
            ClientError::Driver(DriverError::UnexpectedPacket { .. }) => {
                Self::fatal(what, "the server's response is not understood".to_owned(), CONNECTION_FAILED)
            }
            other => Self::fatal(what, other.to_string(), STATEMENT_FAILED),
        }
    }

    /// Nothing came within the time.
    pub(super) fn timeout(what: &str, time: Duration) -> Self {
        Self::broken(what, format!("no response within {}", humantime::format_duration(time)))
    }

    /// Whether the server offers no TLS.
    pub(super) fn is_without_tls(error: &ClientError) -> bool {
        matches!(error, ClientError::Driver(DriverError::NoClientSslFlagFromServer))
    }

    fn broken(what: &str, why: String) -> Self {
        Self { error: Error::environment(format!("cannot {what}: {why}")).code(CONNECTION_FAILED), transient: true }
    }

    fn fatal(what: &str, why: String, code: &'static Code) -> Self {
        Self { error: Error::environment(format!("cannot {what}: {why}")).code(code), transient: false }
    }

    fn of_tls(what: &str, why: String) -> Self {
        let error = Error::environment(format!("cannot {what}: {why}"))
            .code(TLS)
            .hint("`tls: { ca: … }` sets the authority that signed the server's certificate; `mode` sets what is verified");
        Self { error, transient: false }
    }

    fn of_response(what: &str, answer: &ServerError) -> Self {
        let error = Error::environment(format!("cannot {what}: {} (error {})", answer.message, answer.code)).code(kind(answer.code));
        let error = match hint(answer.code) {
            Some(hint) => error.hint(hint),
            None => error,
        };
        Self { error, transient: is_transient(answer.code) }
    }
}

fn is_certificate(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// Connections and resources that come and go, locks, and a server that ends or begins.
fn is_transient(code: u16) -> bool {
    matches!(code, 1040 | 1053 | 1077..=1080 | 1129 | 1152 | 1158..=1161 | 1184 | 1203 | 1205 | 1213 | 1226 | 1927 | 4031)
}

fn kind(code: u16) -> &'static Code {
    match code {
        1045 | 1130 | 1251 | 1524 | 1698 | 1820 | 1862 | 3118 | 4151 => LOGIN,
        1046 | 1049 | 1054 | 1109 | 1146 => MISSING,
        1044 | 1142 | 1143 | 1227 | 1290 | 1370 | 1792 => PERMISSION,
        1060 => COLUMN_TWICE,
        _ if is_transient(code) && code != 1205 && code != 1213 => CONNECTION_FAILED,
        _ => STATEMENT_FAILED,
    }
}

fn hint(code: u16) -> Option<&'static str> {
    match code {
        1045 | 1130 | 1698 => Some("check `user` and `password`, and from which hosts the server lets this user in"),
        1046 => Some("name the database: `database` of the connection, or `table: database.table`"),
        1049 => Some("create the database, or name another one"),
        1060 => Some("give one of them another name: `AS`"),
        1044 | 1142 | 1143 => Some("GRANT SELECT on the table to this user"),
        1792 => Some("a query can only read"),
        1969 | 3024 => {
            Some("the server allows statements less time than this one needs: raise its limit for this user, or index the columns")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16) -> Failure {
        let answer = ServerError { code, message: "no".into(), state: "HY000".into() };
        Failure::of("read", ClientError::Server(answer))
    }

    #[test]
    fn what_may_pass_is_told_from_what_stays() {
        for (code, transient) in [(1045, false), (1146, false), (1053, true), (1213, true), (1040, true), (1927, true), (1064, false)] {
            assert_eq!(of(code).transient, transient, "{code}");
        }
        assert!(Failure::timeout("connect", Duration::from_secs(1)).transient);
        let cut = io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(Failure::of("read", ClientError::Io(IoError::Io(cut))).transient);
    }

    #[test]
    fn the_servers_words_and_number_are_reported() {
        assert_eq!(of(1146).error.message(), "cannot read: no (error 1146)");
    }
}
