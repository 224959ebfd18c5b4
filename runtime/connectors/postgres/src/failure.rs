//! Errors of the server or of the connection, and whether a retry may help.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use tokio_postgres::error::{DbError, SqlState};
use wasmill_engine::{Code, Error};

use crate::codes::{CONNECTION_FAILED, CONSTRAINT, KEY, LOGIN, MISSING, PERMISSION, STATEMENT_FAILED, TLS};

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
    pub(super) fn of(what: &str, error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(answer) => Self::of_response(what, answer),
            None => Self::without_response(what, error),
        }
    }

    /// Nothing came within the time.
    pub(super) fn timeout(what: &str, time: Duration) -> Self {
        let error =
            Error::environment(format!("cannot {what}: no response within {}", humantime::format_duration(time))).code(CONNECTION_FAILED);
        Self { error, transient: true }
    }

    fn of_response(what: &str, answer: &DbError) -> Self {
        let code = answer.code();
        let mut message = format!("cannot {what}: {} (SQLSTATE {})", answer.message(), code.code());
        for more in [answer.detail(), answer.where_()].into_iter().flatten() {
            message += "; ";
            message += more.lines().next().unwrap_or_default();
        }
        let error = Error::environment(message).code(kind(code));
        let error = match hint(code) {
            Some(hint) => error.hint(hint),
            None => answer.hint().into_iter().fold(error, |error, hint| error.hint(hint)),
        };
        Self { error, transient: is_transient(code) }
    }

    fn without_response(what: &str, error: tokio_postgres::Error) -> Self {
        let mut reasons = vec![error.to_string()];
        let (mut certificate, mut io, mut next) = (false, false, StdError::source(&error));
        while let Some(cause) = next {
            if let Some(cause) = cause.downcast_ref::<io::Error>() {
                io = true;
                certificate |= cause.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
            }
            certificate |= cause.is::<rustls::Error>();
            let reason = cause.to_string();
            if !reasons.iter().any(|known| known.contains(&reason)) {
                reasons.push(reason);
            }
            next = cause.source();
        }
        let message = format!("cannot {what}: {}", reasons.join(": "));
        let reported = Error::environment(&message);
        let reported = if certificate {
            reported
                .code(TLS)
                .hint("`tls: { ca: … }` sets the authority that signed the server's certificate; `mode` sets what is verified")
        } else if message.contains("does not support TLS") {
            reported.code(TLS).hint("`tls: { mode: disable }` goes without, on a network that you trust")
        } else {
            reported.code(CONNECTION_FAILED)
        };
        Self { error: reported.caused_by(error), transient: !certificate && (io || message.contains("connection closed")) }
    }
}

fn is_transient(code: &SqlState) -> bool {
    // Connections, resources and operators come and go by class; the others are single codes.
    matches!(code.code().get(..2), Some("08" | "53"))
        || [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ]
        .contains(code)
}

fn kind(code: &SqlState) -> &'static Code {
    match code.code() {
        "28P01" | "28000" => LOGIN,
        "3D000" | "3F000" => MISSING,
        "42501" | "25006" => PERMISSION,
        "42P10" => KEY,
        other if other.starts_with("08") => CONNECTION_FAILED,
        other if other.starts_with("23") => CONSTRAINT,
        _ => STATEMENT_FAILED,
    }
}

fn hint(code: &SqlState) -> Option<&'static str> {
    match code.code() {
        "28P01" | "28000" => {
            Some("check user and password, and what the server's pg_hba.conf allows them; a later start resumes where this one stopped")
        }
        "3D000" => Some("create the database, or name another one"),
        "3F000" => Some("create the schema first: CREATE SCHEMA …; this sink creates tables, and no schemas"),
        "42501" => Some(
            "the user needs CREATE on the schema, or existing tables; INSERT (and UPDATE for upserts) on the table; SELECT, \
                 INSERT and UPDATE on wasmill_commits",
        ),
        "57014" => Some("the statement took longer than `timeout` allows: raise it, or make epochs smaller"),
        "53100" => Some("free space on the server; nothing is lost, a later start resumes where this one stopped"),
        "42P10" => Some("an upsert needs a primary key or a unique index on exactly the columns of `key`"),
        other if other.starts_with("23") => Some(
            "a rule of the table rejects a row of this epoch, and no row of it was committed. Change the rule or the rows \
                that it collides with, and start again; or drop the epoch with `wasmill state reset`",
        ),
        _ => None,
    }
}
