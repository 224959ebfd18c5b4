//! A client that sends what it is told, byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The code of an error in the form of the REST proxy.
    pub fn code(&self) -> u64 {
        self.json()["error_code"].as_u64().unwrap()
    }

    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }
}

/// A connection to a server of this machine.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects; the server may not listen.
    pub fn open(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Sends a request and waits for its answer.
    pub fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str("\r\n");
        let sent = self.write(&[head.as_bytes(), body].concat());
        // What is refused early is answered all the same.
        self.answer().or_else(|error| sent.and(Err(error)))
    }

    /// Waits for an answer.
    pub fn answer(&mut self) -> std::io::Result<Answer> {
        let cut = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(cut());
        }
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err(cut());
            }
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, length)| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body)?;
        Ok(Answer { status, headers, body })
    }

    /// Waits until the server closes the connection.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 1]), Ok(0) | Err(_))
    }
}

/// One request on a connection of its own.
pub fn ask(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut connection = Connection::open(port).unwrap();
    connection.ask(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

pub fn get(port: u16, path: &str) -> Answer {
    ask(port, "GET", path, &[], b"")
}

pub fn post(port: u16, path: &str, content_type: &str, body: &str) -> Answer {
    ask(port, "POST", path, &[("Content-Type", content_type)], body.as_bytes())
}
