//! A listener: accepts connections within limits, routes their requests, and stops gracefully.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use wasmill_engine::{Error, Result};

use crate::access::Access;
use crate::answer::{Answer, Problem};
use crate::body::{Buffered, read};
use crate::codes::ADDRESS_IN_USE;
use crate::config::{Limits, ServerConfig};
use crate::protocol::refuse;
use crate::request::{Request, path_parts, query_parts};
use crate::route::{Route, check_routes};
use crate::{openapi, threads, tls};

/// How long a client may take to agree on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after a connection could not be accepted, as when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// A server that listens until it is stopped or dropped.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: std::sync::mpsc::Receiver<()>,
    stop_timeout: Duration,
}

struct Shared {
    routes: Vec<Route>,
    limits: Limits,
    buffered: Arc<Buffered>,
    description: Bytes,
    scheme: &'static str,
    access_log: bool,
}

impl Server {
    /// Listens, and answers requests from now on.
    ///
    /// # Errors
    /// Configuration: routes that overlap, limits, a certificate. Environment: the address is not free.
    pub fn start(name: &str, config: &ServerConfig, routes: Vec<Route>) -> Result<Self> {
        check_routes(&routes)?;
        let limits = config.limits()?;
        let acceptor = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let handle = threads::handle()?;
        let listener = {
            let _within = handle.enter();
            bind(limits.address)?
        };
        let address = listener.local_addr().map_err(|error| in_use(limits.address, &error))?;
        warn_of_open_routes(address, &routes, acceptor.is_some());
        let shared = Arc::new(Shared {
            description: openapi::describe(name, &routes).into(),
            routes,
            buffered: Buffered::new(limits.max_buffered),
            scheme: if acceptor.is_some() { "https" } else { "http" },
            access_log: config.access_log,
            limits: limits.clone(),
        });
        let (stop, stopping) = watch::channel(false);
        let (sender, ended) = std::sync::mpsc::channel();
        handle.spawn(async move {
            accept(listener, acceptor, shared, stopping).await;
            let _ = sender.send(());
        });
        Ok(Self { address, stop, ended, stop_timeout: limits.stop_timeout })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, and waits for the answers of requests under way, up to the configured time.
    pub fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.ended.recv_timeout(self.stop_timeout + Duration::from_secs(1));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listen = || {
        let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
        // A server that starts again gets its port, though connections of the one before linger.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error: std::io::Error| in_use(address, &error))
}

fn in_use(address: SocketAddr, error: &std::io::Error) -> Error {
    Error::environment(format!("cannot listen at {address}: {error}"))
        .code(ADDRESS_IN_USE)
        .key(["listen"])
        .hint("is another process there? Choose another port in `listen`")
}

/// Warns of what everybody in the network could do or read.
fn warn_of_open_routes(address: SocketAddr, routes: &[Route], has_tls: bool) {
    if address.ip().is_loopback() {
        return;
    }
    for route in routes {
        if route.guard.is_open() {
            tracing::warn!("the route `{}` at {address} has no `auth`: everybody who reaches this machine can use it", route.name);
        } else if !has_tls {
            tracing::warn!("the route `{}` at {address} has `auth` and no `tls`: its secrets cross the network in plain text", route.name);
        }
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>, mut stopping: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(shared.limits.max_connections));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // A slot first: what can't be served stays in the queue of the system.
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = stopped(&mut stopping) => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stopping) => break,
        };
        let (Ok(slot), (stream, client)) = (
            slot,
            match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!("a connection was not accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        ) else {
            break;
        };
        let (shared, acceptor, stopping) = (Arc::clone(&shared), acceptor.clone(), stopping.clone());
        connections.spawn(async move {
            serve(stream, client, acceptor, shared, stopping).await;
            drop(slot);
        });
    }
    drop(listener);
    let _ = timeout(shared.limits.stop_timeout, async { while connections.join_next().await.is_some() {} }).await;
    // What has not ended by now is cut off.
    connections.shutdown().await;
}

/// Waits until the server is to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // The guard of the value must not outlive this.
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn serve(stream: TcpStream, client: SocketAddr, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>, stopping: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else { return serve_on(stream, client, shared, stopping).await };
    match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve_on(stream, client, shared, stopping).await,
        Ok(Err(error)) => tracing::debug!("{client} did not agree on TLS: {error}"),
        Err(_) => tracing::debug!("{client} took too long to agree on TLS"),
    }
}

async fn serve_on(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    client: SocketAddr,
    shared: Arc<Shared>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(shared.limits.header_timeout);
    let service = service_fn(|request| respond(Arc::clone(&shared), client, request));
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("the connection of {client} broke: {error}");
    }
}

async fn respond(shared: Arc<Shared>, client: SocketAddr, request: http::Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let is_head = head.method == Method::HEAD;
    let (route, bytes, answer) = shared.answer(&head, body).await;
    if shared.access_log {
        let (method, path, status) = (&head.method, head.uri.path(), answer.status);
        Access { client, method, path, route, status, bytes, took: started.elapsed() }.log();
    }
    Ok(response(answer, is_head))
}

fn response(answer: Answer, is_head: bool) -> Response<Full<Bytes>> {
    let body = if is_head { Bytes::new() } else { answer.body };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = answer.status;
    if !answer.content_type.is_empty() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    }
    response.headers_mut().extend(answer.headers);
    response
}

impl Shared {
    /// The route of a request, the bytes of its body, and its answer.
    async fn answer(&self, head: &http::request::Parts, body: Incoming) -> (&str, usize, Answer) {
        let path = match path_parts(head.uri.path()) {
            Ok(path) => path,
            Err(problem) => return ("", 0, refuse(&problem)),
        };
        if path == ["openapi.json"] {
            return ("", 0, self.describe(head));
        }
        let Some((route, rest)) = self.routes.iter().find_map(|route| Some((route, route.below(&path)?))) else {
            let path: String = head.uri.path().chars().take(200).collect();
            return ("", 0, refuse(&Problem { closes: true, ..Problem::not_found(&path) }));
        };
        match self.read(route, head, body).await {
            Err(problem) => (&route.name, 0, route.protocol.refuse(&problem)),
            Ok((body, lease)) => {
                let (bytes, base) = (body.len(), self.base(route, &head.headers));
                let query = query_parts(head.uri.query().unwrap_or_default());
                let request =
                    Request { method: head.method.clone(), path: rest.to_vec(), query, headers: head.headers.clone(), body, base };
                let answer = route.protocol.answer(request).await;
                drop(lease);
                (&route.name, bytes, answer)
            }
        }
    }

    fn describe(&self, head: &http::request::Parts) -> Answer {
        if !self.routes.iter().any(|route| route.guard.accepts(&head.headers)) {
            return refuse(&unauthorized(self.routes.first().map_or("Bearer", |route| route.guard.challenge())));
        }
        if head.method != Method::GET && head.method != Method::HEAD {
            return refuse(&Problem::method("GET"));
        }
        Answer { status: StatusCode::OK, content_type: "application/json", body: self.description.clone(), headers: Vec::new() }
    }

    /// Checks who asks and how often, before a byte of the body is read.
    async fn read(&self, route: &Route, head: &http::request::Parts, body: Incoming) -> Result<(Bytes, crate::body::Lease), Problem> {
        if !route.guard.accepts(&head.headers) {
            return Err(unauthorized(route.guard.challenge()));
        }
        if let Some(wait) = route.rate.as_ref().and_then(|rate| rate.take().err()) {
            let message = "there are more requests per second than this route takes";
            return Err(Problem { retry_after: Some(wait), ..Problem::new(StatusCode::TOO_MANY_REQUESTS, message) });
        }
        let max_body = self.limits.max_body.min(route.max_body);
        read(body, &head.headers, max_body, self.limits.body_timeout, &self.buffered).await
    }

    fn base(&self, route: &Route, headers: &HeaderMap) -> String {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).map_or_else(|| self.limits.address.to_string(), str::to_owned);
        let prefix: String = route.prefix.iter().map(|part| format!("/{part}")).collect();
        format!("{}://{host}{prefix}", self.scheme)
    }
}

fn unauthorized(challenge: &'static str) -> Problem {
    let message = "this route needs a token, or a user and a password, in the header Authorization";
    Problem { challenge: Some(challenge), closes: true, ..Problem::new(StatusCode::UNAUTHORIZED, message) }
}
