//! Requests of HTTP, one a connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Control;

/// No request and no answer takes longer.
const PATIENCE: Duration = Duration::from_secs(120);
const PIECE: usize = 16 << 10;

/// What to do with a request.
#[derive(Clone)]
pub enum Action {
    /// The server gets it, and the client its answer.
    Pass,
    /// The server gets it, and nobody its answer. A server that refuses has done nothing that could be lost: its answer comes through.
    Lose,
    /// The server gets it, and the client so many bytes of its answer.
    Cut(usize),
    /// The server never hears of it; the client gets this status and an error of S3 with this code.
    Answer(u16, &'static str),
    /// The same with an error of AWS's services that speak JSON.
    AnswerJson(u16, &'static str),
    /// The server gets another body, and the client what is made of the answer's.
    Change(Vec<u8>, Changes),
}

/// What becomes of an answer's body; nothing where it stays as it is.
pub type Changes = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

impl Control {
    /// One request: to the server, and its answer back or nowhere.
    pub(super) fn exchange(&self, mut client: &TcpStream, mut server: &TcpStream) -> Option<()> {
        client.set_read_timeout(Some(PATIENCE)).ok()?;
        server.set_read_timeout(Some(PATIENCE)).ok()?;
        let (head, body) = request(client)?;
        let action = (self.rule()?.lock().unwrap())(&head, &body);
        self.way.go(head.len() + body.len());
        match action {
            Action::Answer(status, code) => {
                let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>the proxy says so</Message></Error>");
                self.answer(client, &format!("{status} {code}\r\nContent-Type: application/xml"), &body)
            }
            Action::AnswerJson(status, name) => {
                let body = format!("{{\"__type\":\"{name}\",\"message\":\"by the proxy\"}}");
                let head = format!("{status} {name}\r\nContent-Type: application/x-amz-json-1.1\r\nx-amzn-errortype: {name}");
                self.answer(client, &head, &body)
            }
            Action::Change(body, change) => {
                send(server, &with_length(&head, body.len()), &body)?;
                let answer = String::from_utf8(whole(server)?).ok()?;
                let (head, body) = answer.split_once("\r\n\r\n")?;
                assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
                let body = change(body)?;
                client.write_all(format!("{}{body}", with_length(head, body.len())).as_bytes()).ok()
            }
            Action::Lose => {
                send(server, &head, &body)?;
                let answer = whole(server)?;
                if head.starts_with("GET ") || answer.starts_with(b"HTTP/1.1 2") {
                    self.lost.fetch_add(1, Ordering::SeqCst);
                    return None;
                }
                self.way.go(answer.len());
                client.write_all(&answer).ok()
            }
            Action::Pass | Action::Cut(_) => {
                send(server, &head, &body)?;
                let mut left = if let Action::Cut(bytes) = action { bytes } else { usize::MAX };
                let mut buffer = [0; PIECE];
                // Piece by piece: some answers have no end.
                while left > 0 {
                    let read = server.read(&mut buffer).ok()?.min(left);
                    if read == 0 {
                        break;
                    }
                    self.way.go(read);
                    client.write_all(&buffer[..read]).ok()?;
                    left -= read;
                }
                Some(())
            }
        }
    }

    fn answer(&self, mut client: &TcpStream, head: &str, body: &str) -> Option<()> {
        self.answered.fetch_add(1, Ordering::SeqCst);
        let length = body.len();
        client.write_all(format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").as_bytes()).ok()
    }
}

/// Sends a request. The server ends the connection with its answer, which then needs no framing here.
fn send(mut server: &TcpStream, head: &str, body: &[u8]) -> Option<()> {
    let (line, rest) = head.split_once("\r\n")?;
    server.write_all(format!("{line}\r\nConnection: close\r\n{rest}").as_bytes()).ok()?;
    server.write_all(body).ok()
}

fn whole(mut server: &TcpStream) -> Option<Vec<u8>> {
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}

/// A head, with the empty line at its end, for a body of another length.
fn with_length(head: &str, length: usize) -> String {
    let kept = head.trim_end().lines().filter(|line| {
        let line = line.to_ascii_lowercase();
        !line.starts_with("connection:") && !line.starts_with("content-length:")
    });
    format!("{}\r\nContent-Length: {length}\r\n\r\n", kept.collect::<Vec<_>>().join("\r\n"))
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
