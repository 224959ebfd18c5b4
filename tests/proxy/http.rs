//! Requests of HTTP, one a connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Control;

/// No request and no answer takes longer.
const PATIENCE: Duration = Duration::from_secs(120);
const PIECE: usize = 16 << 10;

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The server gets it, and the client its answer.
    Pass,
    /// The server gets it, and nobody its answer. A server that refuses has done nothing that could be lost: its answer comes through.
    Lose,
    /// The server never hears of it; the client gets this status and an error of S3 with this code.
    Answer(u16, &'static str),
}

impl Control {
    /// One request: to the server, and its answer back or nowhere.
    pub(super) fn exchange(&self, mut client: &TcpStream, mut server: &TcpStream) -> Option<()> {
        client.set_read_timeout(Some(PATIENCE)).ok()?;
        server.set_read_timeout(Some(PATIENCE)).ok()?;
        let (head, body) = request(client)?;
        let action = (self.rule.as_ref()?.lock().unwrap())(&head);
        self.way.go(head.len() + body.len());
        if let Action::Answer(status, code) = action {
            self.answered.fetch_add(1, Ordering::SeqCst);
            let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>the proxy says so</Message></Error>");
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            return client.write_all(answer.as_bytes()).ok();
        }
        // The server ends the connection with its answer, which then needs no framing here.
        let (line, rest) = head.split_once("\r\n")?;
        server.write_all(format!("{line}\r\nConnection: close\r\n{rest}").as_bytes()).ok()?;
        server.write_all(&body).ok()?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).ok()?;
        if action == Action::Lose && (line.starts_with("GET ") || answer.starts_with(b"HTTP/1.1 2")) {
            self.lost.fetch_add(1, Ordering::SeqCst);
            return None;
        }
        for piece in answer.chunks(PIECE) {
            self.way.go(piece.len());
            client.write_all(piece).ok()?;
        }
        Some(())
    }
}

/// A request's head, with the empty line at its end, and its body.
fn request(mut client: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; PIECE];
    let mut more = |bytes: &mut Vec<u8>| match client.read(&mut buffer).ok()? {
        0 => None,
        read => {
            bytes.extend_from_slice(&buffer[..read]);
            Some(())
        }
    };
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        more(&mut bytes)?;
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    while bytes.len() < end + length.unwrap_or(0) {
        more(&mut bytes)?;
    }
    Some((head, bytes.split_off(end)))
}
