//! Requests of Kafka: each with its length before it and its kind behind that (<https://kafka.apache.org/protocol#protocol_api_keys>).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Control, close};

/// The end of a transaction.
const END_TRANSACTION: u16 = 26;

/// What happens to the ends of transactions.
#[derive(Default)]
pub(super) struct Frames {
    /// How many more answers to them are lost.
    losing: AtomicUsize,
    /// After a loss nobody gets through any more.
    then_refuse: AtomicBool,
}

impl Frames {
    pub(super) fn lose(&self, times: usize, then_refuse: bool) {
        self.then_refuse.store(then_refuse, Ordering::SeqCst);
        self.losing.store(times, Ordering::SeqCst);
    }
}

impl Control {
    pub(super) fn pass_frames(self: &Arc<Self>, client: TcpStream, broker: TcpStream) {
        let losing = Arc::new(AtomicBool::new(false));
        let (control, flag) = (Arc::clone(self), Arc::clone(&losing));
        let [from, to] = [&client, &broker].map(|end| end.try_clone().unwrap());
        std::thread::spawn(move || {
            control.frames_of_requests(&from, &to, &flag);
            close(&from, &to);
        });
        let control = Arc::clone(self);
        std::thread::spawn(move || {
            control.frames_of_answers(&client, &broker, &losing);
            close(&client, &broker);
        });
    }

    fn frames_of_requests(&self, mut client: &TcpStream, mut broker: &TcpStream, losing: &AtomicBool) -> Option<()> {
        let frames = self.frames()?;
        loop {
            let request = frame(&mut client)?;
            let kind = u16::from_be_bytes([*request.get(4)?, *request.get(5)?]);
            let take = |left: usize| left.checked_sub(1);
            if kind == END_TRANSACTION && frames.losing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                losing.store(true, Ordering::SeqCst);
            }
            self.way.go(request.len());
            broker.write_all(&request).ok()?;
        }
    }

    fn frames_of_answers(&self, mut client: &TcpStream, mut broker: &TcpStream, losing: &AtomicBool) -> Option<()> {
        let frames = self.frames()?;
        loop {
            let answer = frame(&mut broker)?;
            if losing.load(Ordering::SeqCst) {
                self.lost.fetch_add(1, Ordering::SeqCst);
                if frames.then_refuse.load(Ordering::SeqCst) && frames.losing.load(Ordering::SeqCst) == 0 {
                    self.refuse(true);
                }
                return None;
            }
            self.way.go(answer.len());
            client.write_all(&answer).ok()?;
        }
    }
}

/// A request or an answer with its length before it.
fn frame(from: &mut &TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut frame = vec![0; 4 + u32::from_be_bytes(length) as usize];
    frame[..4].copy_from_slice(&length);
    from.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}
