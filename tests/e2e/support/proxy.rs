//! A proxy between a client and a server that cuts connections and, above all, lets a request through and loses its answer.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Passes bytes on both ways, until it is told otherwise. It ends with the process.
pub struct Proxy {
    address: SocketAddr,
    control: Arc<Control>,
}

struct Control {
    server: SocketAddr,
    /// Requests whose answer is lost: the bytes that they are known by, and how many more of them.
    losing: Mutex<(Vec<u8>, usize)>,
    lost: AtomicUsize,
    refusing: AtomicBool,
    open: Mutex<Vec<(TcpStream, TcpStream)>>,
}

impl Proxy {
    /// A proxy in front of a server.
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (losing, open) = (Mutex::new((Vec::new(), 0)), Mutex::default());
        let control = Arc::new(Control { server, losing, lost: AtomicUsize::new(0), refusing: AtomicBool::new(false), open });
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

    /// Lets the next requests that hold these bytes through, waits for the server's answer, and drops it together with the connection.
    pub fn lose_answers_to(&self, request: &[u8], times: usize) {
        *self.control.losing.lock().unwrap() = (request.to_vec(), times);
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.control.lost.load(Ordering::SeqCst)
    }

    /// Cuts every connection, and refuses new ones from now on or lets them through again.
    pub fn refuse(&self, refuse: bool) {
        self.control.refusing.store(refuse, Ordering::SeqCst);
        self.cut();
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.control.open.lock().unwrap().drain(..).for_each(|(client, server)| close(&client, &server));
    }
}

fn close(client: &TcpStream, server: &TcpStream) {
    // Either may be gone already.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

impl Control {
    fn accept(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.server) else { return };
        let ends = |client: &TcpStream, server: &TcpStream| (client.try_clone().unwrap(), server.try_clone().unwrap());
        {
            let mut open = self.open.lock().unwrap();
            if self.refusing.load(Ordering::SeqCst) {
                return;
            }
            open.push(ends(&client, &server));
        }
        let losing = Arc::new(AtomicBool::new(false));
        let (control, flag, (from, to)) = (Arc::clone(self), Arc::clone(&losing), ends(&client, &server));
        std::thread::spawn(move || control.requests(from, to, &flag));
        let control = Arc::clone(self);
        std::thread::spawn(move || control.answers(client, server, &losing));
    }

    fn requests(&self, mut client: TcpStream, mut server: TcpStream, losing: &AtomicBool) {
        let mut buffer = vec![0; 64 << 10];
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
            if server.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        close(&client, &server);
    }

    fn answers(&self, mut client: TcpStream, mut server: TcpStream, losing: &AtomicBool) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = server.read(&mut buffer) {
            if losing.load(Ordering::SeqCst) {
                self.lost.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if client.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        close(&client, &server);
    }
}
