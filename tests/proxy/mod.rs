//! A proxy before a server that does to its clients what networks and servers do: it cuts, refuses, delays and throttles connections, refuses requests in
//! the server's place, and, above all, lets a request through and loses its answer.
//!
//! [`Proxy::before`] passes on any bytes and knows a request by bytes in it; [`Proxy::before_http`] reads requests of HTTP one by one, and
//! [`Proxy::before_kafka`] those of Kafka. Each listens on 127.0.0.1, if it is given no other address, until the process of the tests ends.

// Each test program uses a part of it.
#![allow(dead_code)]

mod bytes;
mod http;
mod kafka;
mod way;

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

pub use http::Action;

use kafka::Frames;
use tokio::net::TcpSocket;
use way::Way;

/// Whoever opens or closes the port is done by then.
const PATIENCE: Duration = Duration::from_secs(10);

/// Passes on what comes, until it is told otherwise.
pub struct Proxy {
    address: SocketAddr,
    control: Arc<Control>,
}

/// What to do with a request of HTTP; it gets the head and the body.
type Rule = Box<dyn FnMut(&str, &[u8]) -> Action + Send>;

/// What the server speaks.
enum Protocol {
    Any,
    Http(Mutex<Rule>),
    Kafka(Frames),
}

struct Control {
    server: SocketAddr,
    address: SocketAddr,
    protocol: Protocol,
    /// Requests whose answer is lost: the bytes that they are known by, and how many more of them.
    losing: Mutex<(Vec<u8>, usize)>,
    /// What stands instead of other bytes of equal length in answers.
    replaced: Mutex<Option<(Vec<u8>, Vec<u8>)>>,
    lost: AtomicUsize,
    answered: AtomicUsize,
    way: Way,
    door: Mutex<Door>,
    moved: Condvar,
    open: Mutex<Vec<(TcpStream, TcpStream)>>,
    _held: TcpSocket,
}

/// Whether somebody listens.
#[derive(Clone, Copy, PartialEq)]
enum Door {
    Open,
    Closing,
    Closed,
    Opening,
}

impl Proxy {
    /// Before a server of any protocol.
    pub fn before(server: SocketAddr) -> Self {
        Self::before_at(Ipv4Addr::LOCALHOST, server)
    }

    /// The same at another address of this machine.
    pub fn before_at(address: Ipv4Addr, server: SocketAddr) -> Self {
        Self::start(address, server, Protocol::Any)
    }

    /// Before a server of HTTP. Each request gets a connection of its own.
    pub fn before_http(server: SocketAddr) -> Self {
        Self::start(Ipv4Addr::LOCALHOST, server, Protocol::Http(Mutex::new(Box::new(|_, _| Action::Pass))))
    }

    /// Before a broker of Kafka.
    pub fn before_kafka(broker: SocketAddr) -> Self {
        Self::start(Ipv4Addr::LOCALHOST, broker, Protocol::Kafka(Frames::default()))
    }

    fn start(address: Ipv4Addr, server: SocketAddr, protocol: Protocol) -> Self {
        // Bound for ever: while nobody listens, a port of nobody could become anybody's, also the client's own.
        let held = TcpSocket::new_v4().unwrap();
        held.set_reuseaddr(true).unwrap();
        held.bind((address, 0).into()).unwrap();
        let address = held.local_addr().unwrap();
        let listener = TcpListener::bind(address).unwrap();
        let control = Arc::new(Control {
            server,
            address,
            protocol,
            losing: Mutex::default(),
            replaced: Mutex::default(),
            lost: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            way: Way::default(),
            door: Mutex::new(Door::Open),
            moved: Condvar::new(),
            open: Mutex::default(),
            _held: held,
        });
        let listening = Arc::clone(&control);
        std::thread::spawn(move || listening.listen(listener, address));
        Self { address, control }
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same for clients of HTTP.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many bytes have gone through, both ways together.
    pub fn passed(&self) -> u64 {
        self.control.way.passed()
    }

    /// Lets every piece of bytes wait so long.
    pub fn delay(&self, time: Duration) {
        self.control.way.delay(time);
    }

    /// Lets no more than so many bytes a second through, on all connections and both ways together.
    pub fn throttle(&self, bytes_a_second: u64) {
        self.control.way.throttle(bytes_a_second);
    }

    /// Lets nothing through from now on and keeps connections open; or lets everything go, also what clients have given up meanwhile.
    pub fn hold(&self, hold: bool) {
        self.control.way.hold(hold);
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.control.cut();
    }

    /// Cuts every connection and listens no more, so that new ones are refused; or listens again, at the same port.
    pub fn refuse(&self, refuse: bool) {
        self.control.refuse(refuse);
    }

    /// Lets answers say something else of equal length: a server that tells its address would otherwise lead its clients past the proxy.
    pub fn replace(&self, bytes: &[u8], by: &[u8]) {
        assert_eq!(bytes.len(), by.len(), "the lengths that the protocol counts must stay");
        *self.control.replaced.lock().unwrap() = Some((bytes.to_vec(), by.to_vec()));
    }

    /// Lets the next requests that hold these bytes through, waits for the server's answer, and drops it together with the connection.
    pub fn lose_answers_to(&self, request: &[u8], times: usize) {
        *self.control.losing.lock().unwrap() = (request.to_vec(), times);
    }

    /// Decides about every request of HTTP by its head.
    pub fn rule(&self, rule: impl FnMut(&str) -> Action + Send + 'static) {
        let mut rule = rule;
        self.rule_with_body(move |head, _| rule(head));
    }

    /// Decides about every request of HTTP by its head and its body.
    pub fn rule_with_body(&self, rule: impl FnMut(&str, &[u8]) -> Action + Send + 'static) {
        let rules = self.control.rule().expect("a proxy before a server of HTTP");
        *rules.lock().unwrap() = Box::new(rule);
    }

    /// Lets the next ends of transactions of Kafka through, waits for the broker's answer, and drops it together with the connection. With `then_refuse` nobody
    /// gets through after the last of them.
    pub fn lose_ends_of_transactions(&self, times: usize, then_refuse: bool) {
        self.control.frames().expect("a proxy before a broker").lose(times, then_refuse);
    }

    /// Does something to the next `times` requests of HTTP whose head has all of these texts.
    pub fn next(&self, texts: &'static [&'static str], mut times: usize, action: Action) {
        self.rule(move |head| {
            let hit = times > 0 && texts.iter().all(|text| head.contains(text));
            times -= usize::from(hit);
            if hit { action.clone() } else { Action::Pass }
        });
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.control.lost.load(Ordering::SeqCst)
    }

    /// How many requests were answered in the server's place.
    pub fn answered(&self) -> usize {
        self.control.answered.load(Ordering::SeqCst)
    }
}

fn close(client: &TcpStream, server: &TcpStream) {
    // Either may be gone already.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

impl Control {
    fn rule(&self) -> Option<&Mutex<Rule>> {
        if let Protocol::Http(rule) = &self.protocol { Some(rule) } else { None }
    }

    fn frames(&self) -> Option<&Frames> {
        if let Protocol::Kafka(frames) = &self.protocol { Some(frames) } else { None }
    }

    fn cut(&self) {
        self.open.lock().unwrap().drain(..).for_each(|(client, server)| close(&client, &server));
    }

    fn refuse(&self, refuse: bool) {
        let (from, through, to) = match refuse {
            true => (Door::Open, Door::Closing, Door::Closed),
            false => (Door::Closed, Door::Opening, Door::Open),
        };
        let mut door = self.door.lock().unwrap();
        if *door == from {
            *door = through;
            self.moved.notify_all();
            drop(door);
            if refuse {
                // Wakes the thread that waits for a client.
                let _ = TcpStream::connect(self.address);
            }
            door = self.door.lock().unwrap();
        }
        let (door, late) = self.moved.wait_timeout_while(door, PATIENCE, |door| *door != to).unwrap();
        drop(door);
        assert!(!late.timed_out(), "nobody opens or closes {}", self.address);
        self.cut();
    }

    fn listen(self: Arc<Self>, mut listener: TcpListener, address: SocketAddr) {
        loop {
            while let Ok((client, _)) = listener.accept() {
                if *self.door.lock().unwrap() != Door::Open {
                    break;
                }
                self.accept(client);
            }
            drop(listener);
            self.step(Door::Closed);
            let door = self.door.lock().unwrap();
            drop(self.moved.wait_while(door, |door| *door != Door::Opening).unwrap());
            listener = TcpListener::bind(address).unwrap();
            self.step(Door::Open);
        }
    }

    fn step(&self, to: Door) {
        *self.door.lock().unwrap() = to;
        self.moved.notify_all();
    }

    fn accept(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.server) else { return };
        // Small pieces go at once: what is slow here is meant to be.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        self.open.lock().unwrap().push((client.try_clone().unwrap(), server.try_clone().unwrap()));
        match &self.protocol {
            Protocol::Http(_) => {
                let control = Arc::clone(self);
                std::thread::spawn(move || {
                    control.exchange(&client, &server);
                    close(&client, &server);
                });
            }
            Protocol::Kafka(_) => self.pass_frames(client, server),
            Protocol::Any => self.pass(client, server),
        }
    }
}
