//! Bytes of any protocol, passed on both ways.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Control, close};

/// Pieces are small, so that a slow way is evenly slow.
const PIECE: usize = 16 << 10;

impl Control {
    pub(super) fn pass(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let losing = Arc::new(AtomicBool::new(false));
        let (control, flag) = (Arc::clone(self), Arc::clone(&losing));
        let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || control.requests(from, to, &flag));
        let control = Arc::clone(self);
        std::thread::spawn(move || control.answers(client, server, &losing));
    }

    fn requests(&self, mut client: TcpStream, mut server: TcpStream, losing: &AtomicBool) {
        let mut buffer = vec![0; PIECE];
        // The end of what went through before: a request may come in pieces.
        let mut seen: Vec<u8> = Vec::new();
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            seen.extend_from_slice(&buffer[..length]);
            {
                let mut wanted = self.losing.lock().unwrap();
                if wanted.1 > 0 && seen.windows(wanted.0.len()).any(|window| window == wanted.0) {
                    wanted.1 -= 1;
                    losing.store(true, Ordering::SeqCst);
                }
                let keep = wanted.0.len().saturating_sub(1).min(seen.len());
                seen.drain(..seen.len() - keep);
            }
            self.way.go(length);
            if server.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        close(&client, &server);
    }

    fn answers(&self, mut client: TcpStream, mut server: TcpStream, losing: &AtomicBool) {
        let mut buffer = vec![0; PIECE];
        // What may be the beginning of something to replace waits for the piece behind it.
        let mut waiting: Vec<u8> = Vec::new();
        while let Ok(length @ 1..) = server.read(&mut buffer) {
            if losing.load(Ordering::SeqCst) {
                self.lost.fetch_add(1, Ordering::SeqCst);
                break;
            }
            waiting.extend_from_slice(&buffer[..length]);
            let ready = self.replace_in(&mut waiting);
            self.way.go(ready.len());
            if client.write_all(&ready).is_err() {
                break;
            }
        }
        close(&client, &server);
    }

    /// Takes what can go from what waits.
    fn replace_in(&self, waiting: &mut Vec<u8>) -> Vec<u8> {
        let replaced = self.replaced.lock().unwrap();
        let Some((bytes, by)) = replaced.as_ref() else { return std::mem::take(waiting) };
        while let Some(place) = waiting.windows(bytes.len()).position(|window| window == bytes) {
            waiting[place..place + by.len()].copy_from_slice(by);
        }
        let held = (1..bytes.len().min(waiting.len() + 1)).rev().find(|length| waiting.ends_with(&bytes[..*length])).unwrap_or(0);
        let rest = waiting.split_off(waiting.len() - held);
        std::mem::replace(waiting, rest)
    }
}
