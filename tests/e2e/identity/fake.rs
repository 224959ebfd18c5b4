//! What gives credentials in AWS: the token service, a container's endpoint, an instance's endpoint. This one gives the key of the tests' store, for a time,
//! and notes who asked for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::kafka_broker::variable;

const ROLE: &str = "role-of-the-instance";
/// What a container has to show.
pub const CONTAINER_TOKEN: &str = "token-of-the-container";

/// Answers until the process of the tests ends.
pub struct Fake {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// How long credentials hold, in seconds.
    life: AtomicU64,
    broken: AtomicBool,
    calls: Mutex<Vec<String>>,
}

impl Fake {
    pub fn start(life: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { life: AtomicU64::new(life.as_secs()), broken: AtomicBool::new(false), calls: Mutex::default() });
        let answering = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&answering);
                std::thread::spawn(move || state.answer(client));
            }
        });
        Self { address, state }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests for credentials, each as its first line, its headers and its body.
    pub fn calls(&self) -> Vec<String> {
        self.state.calls.lock().unwrap().clone()
    }

    /// Answers nothing but errors from now on, or credentials again.
    pub fn broken(&self, broken: bool) {
        self.state.broken.store(broken, Ordering::SeqCst);
    }
}

impl State {
    fn answer(&self, mut client: TcpStream) -> Option<()> {
        client.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let request = read(&mut client)?;
        let path = request.split(' ').nth(1)?.to_owned();
        let ends = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(self.life.load(Ordering::SeqCst))).to_string();
        let (key, secret) = (variable("WASMILL_TEST_S3_ACCESS_KEY"), variable("WASMILL_TEST_S3_SECRET_KEY"));
        // The store of the tests knows no sessions: it takes an empty token for none.
        let json = format!(r#"{{"Code":"Success","AccessKeyId":"{key}","SecretAccessKey":"{secret}","Token":"","Expiration":"{ends}"}}"#);
        let xml = format!(
            "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken></SessionToken>\
             <Expiration>{ends}</Expiration></Credentials>"
        );
        let below_roles = "/latest/meta-data/iam/security-credentials/";
        let gives = path == "/container" || path == "/" || path == format!("{below_roles}{ROLE}");
        if gives {
            self.calls.lock().unwrap().push(request.clone());
        }
        let action = request.rsplit("\r\n").next()?.split('&').find_map(|pair| pair.strip_prefix("Action="));
        let (status, headers, body) = match (path.as_str(), action) {
            _ if gives && self.broken.load(Ordering::SeqCst) => (500, "", "out of order".to_owned()),
            ("/latest/api/token", _) => (200, "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n", "token-of-the-instance".to_owned()),
            ("/container", _) if request.contains(CONTAINER_TOKEN) => (200, "", json),
            ("/", Some(action)) if request.contains("role%2Fforbidden") => (
                403,
                "",
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no {action} for you</Message></Error></ErrorResponse>"
                ),
            ),
            ("/", Some(action)) => (200, "", format!("<{action}Response><{action}Result>{xml}</{action}Result></{action}Response>")),
            (path, _) if path == below_roles => (200, "", ROLE.to_owned()),
            _ if gives => (200, "", json),
            _ => (404, "", String::new()),
        };
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} -\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        client.write_all(answer.as_bytes()).ok()
    }
}

fn read(client: &mut TcpStream) -> Option<String> {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        let read = client.read(&mut buffer).ok().filter(|read| *read > 0)?;
        text.push_str(std::str::from_utf8(&buffer[..read]).ok()?);
    }
}
