//! A proxy before a broker that knows requests by their kind, and lets one through whose answer it loses.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The end of a transaction (<https://kafka.apache.org/protocol#protocol_api_keys>).
pub const END_TRANSACTION: u16 = 26;

/// Passes requests and answers on, until it is told otherwise. It ends with the process.
pub struct Proxy {
    address: SocketAddr,
    control: Arc<Control>,
}

struct Control {
    broker: SocketAddr,
    /// How many more answers to the end of a transaction are lost.
    losing: AtomicUsize,
    lost: AtomicUsize,
    /// After a loss nobody gets through any more.
    then_refuse: AtomicBool,
    refusing: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy before a broker.
    pub fn before(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let control = Arc::new(Control {
            broker,
            losing: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            then_refuse: AtomicBool::new(false),
            refusing: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&control);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                accepting.accept(client);
            }
        });
        Self { address, control }
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets the next ends of transactions through, waits for the broker's answer, and drops it together with the connection. With `then_refuse` nobody gets
    /// through after the last of them.
    pub fn lose_ends_of_transactions(&self, times: usize, then_refuse: bool) {
        self.control.then_refuse.store(then_refuse, Ordering::SeqCst);
        self.control.losing.store(times, Ordering::SeqCst);
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.control.lost.load(Ordering::SeqCst)
    }

    /// Cuts every connection, and refuses new ones from now on or lets them through again.
    pub fn refuse(&self, refuse: bool) {
        self.control.refuse(refuse);
    }
}

impl Control {
    fn refuse(&self, refuse: bool) {
        self.refusing.store(refuse, Ordering::SeqCst);
        self.open.lock().unwrap().drain(..).for_each(|end| drop(end.shutdown(Shutdown::Both)));
    }

    fn accept(self: &Arc<Self>, client: TcpStream) {
        if self.refusing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(broker) = TcpStream::connect(self.broker) else { return };
        let ends = [&client, &broker].map(|end| end.try_clone().unwrap());
        let losing = Arc::new(AtomicBool::new(false));
        let [from, to] = [&client, &broker].map(|end| end.try_clone().unwrap());
        self.open.lock().unwrap().extend(ends);
        let (control, flag) = (Arc::clone(self), Arc::clone(&losing));
        std::thread::spawn(move || control.requests(from, to, &flag));
        let control = Arc::clone(self);
        std::thread::spawn(move || control.answers(client, broker, &losing));
    }

    fn requests(&self, mut client: TcpStream, mut broker: TcpStream, losing: &AtomicBool) {
        while let Some(request) = frame(&mut client) {
            let kind = u16::from_be_bytes([request[4], request[5]]);
            let take = |left: usize| left.checked_sub(1);
            if kind == END_TRANSACTION && self.losing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                losing.store(true, Ordering::SeqCst);
            }
            if broker.write_all(&request).is_err() {
                break;
            }
        }
        close(&client, &broker);
    }

    fn answers(&self, mut client: TcpStream, mut broker: TcpStream, losing: &AtomicBool) {
        while let Some(answer) = frame(&mut broker) {
            if losing.load(Ordering::SeqCst) {
                self.lost.fetch_add(1, Ordering::SeqCst);
                if self.then_refuse.load(Ordering::SeqCst) && self.losing.load(Ordering::SeqCst) == 0 {
                    self.refuse(true);
                }
                break;
            }
            if client.write_all(&answer).is_err() {
                break;
            }
        }
        close(&client, &broker);
    }
}

/// A request or an answer with its length before it.
fn frame(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut frame = vec![0; 4 + u32::from_be_bytes(length) as usize];
    frame[..4].copy_from_slice(&length);
    from.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

fn close(client: &TcpStream, broker: &TcpStream) {
    // Either may be gone already.
    let _ = client.shutdown(Shutdown::Both);
    let _ = broker.shutdown(Shutdown::Both);
}
