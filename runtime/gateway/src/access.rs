//! The log of requests: one line of JSON each, without bodies, queries and headers.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};

/// The longest path that is logged.
const PATH_CHARACTERS: usize = 200;

/// What is logged of a request.
#[derive(Debug)]
pub(crate) struct Access<'a> {
    pub client: SocketAddr,
    pub method: &'a Method,
    pub path: &'a str,
    pub route: &'a str,
    pub status: StatusCode,
    pub bytes: usize,
    pub took: Duration,
}

impl Access<'_> {
    /// Writes its line to standard error.
    pub(crate) fn log(&self) {
        // What can't be written is given up: a log must not stop requests.
        let _ = std::io::stderr().write_all(self.line(SystemTime::now()).as_bytes());
    }

    fn line(&self, now: SystemTime) -> String {
        let path: String = self.path.chars().take(PATH_CHARACTERS).collect();
        let line = serde_json::json!({
            "time": humantime::format_rfc3339_millis(now).to_string(),
            "client": self.client.ip().to_string(),
            "method": self.method.as_str().chars().take(20).collect::<String>(),
            "path": path,
            "route": self.route,
            "status": self.status.as_u16(),
            "bytes": self.bytes,
            "ms": (self.took.as_secs_f64() * 1e5).round() / 1e2,
        });
        format!("{line}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_and_one_line() {
        let access = Access {
            client: "127.0.0.1:5".parse().unwrap(),
            method: &Method::POST,
            path: "/topics/a\n\u{1b}[31m",
            route: "pins",
            status: StatusCode::OK,
            bytes: 7,
            took: Duration::from_micros(1234),
        };
        let line = access.line(SystemTime::UNIX_EPOCH);
        assert!(line.ends_with('\n') && line.trim_end().lines().count() == 1 && !line.contains('\u{1b}'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((value["status"].as_u64(), value["ms"].as_f64(), value["client"].as_str()), (Some(200), Some(1.23), Some("127.0.0.1")));
    }
}
