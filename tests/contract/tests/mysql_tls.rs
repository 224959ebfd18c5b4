//! How the source `mysql` protects its connection and logs in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod mysql;
#[path = "../../proxy/mod.rs"]
mod proxy;

use std::net::Ipv4Addr;

use mysql::url;
use proxy::Proxy;
use serde_json::{Value, json};
use wasmill_mysql::{MysqlSourceConfig, infer_schema};

fn tls(file: &str) -> String {
    format!("{}/{file}", std::env::var("WASMILL_TEST_MYSQL_TLS").unwrap())
}

/// Logs in and asks for the columns of a query; what went wrong, in words.
fn ask(connection: Value) -> Result<(), String> {
    let config = json!({ "connection": connection, "query": "SELECT 1 AS one", "retry": { "for": "0s" } });
    let config: MysqlSourceConfig = serde_json::from_value(config).unwrap();
    infer_schema(&config).map(drop).map_err(|error| format!("{error} {}", error.hint_text().unwrap_or_default()))
}

/// The server's address in parts, as somebody.
fn parts(user: &str, more: Value) -> Value {
    let port: u16 = url().rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap();
    let mut all = json!({ "host": "127.0.0.1", "port": port, "user": user, "database": "pinterest" });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

#[test]
fn a_connection_is_as_protected_as_it_is_asked_to_be() {
    let with = |tls: Value| ask(parts("root", json!({ "tls": tls })));
    for mode in ["disable", "prefer", "require"] {
        with(json!({ "mode": mode })).unwrap();
    }
    with(json!({ "ca": tls("ca.pem") })).unwrap();
    with(json!({ "mode": "verify-ca", "ca": tls("ca.pem") })).unwrap();
    ask(json!({ "url": format!("{}?ssl-mode=REQUIRED", url()) })).unwrap();
    // An authority that did not sign the server's certificate, and those of the system.
    let other = with(json!({ "ca": tls("client.crt") })).unwrap_err();
    assert!(other.contains("certificate") && other.contains("`tls: { ca: … }`"), "{other}");
    let system = with(json!({ "mode": "verify-full" })).unwrap_err();
    assert!(system.contains("certificate"), "{system}");
}

#[test]
fn a_server_of_another_name_is_only_taken_where_names_are_not_verified() {
    let server = url().split(['@', '/']).find_map(|part| part.parse().ok()).expect("the address of the server in its URL");
    let proxy = Proxy::before_at(Ipv4Addr::new(127, 0, 0, 2), server);
    let elsewhere = |mode: &str, ca: &str| {
        let address = json!({ "host": "127.0.0.2", "port": proxy.address().port(), "tls": { "mode": mode, "ca": tls(ca) } });
        ask(parts("root", address))
    };
    elsewhere("verify-ca", "ca.pem").unwrap();
    let name = elsewhere("verify-full", "ca.pem").unwrap_err();
    assert!(name.contains("127.0.0.2") && name.contains("ertificate"), "{name}");
    // The authority is verified all the same.
    let other = elsewhere("verify-ca", "client.crt").unwrap_err();
    assert!(other.contains("certificate") && other.contains("`tls: { ca: … }`"), "{other}");
}

#[test]
fn a_certificate_or_a_password_lets_in() {
    let certificate = json!({ "tls": { "ca": tls("ca.pem"), "certificate": tls("client.crt"), "key": tls("client.key") } });
    ask(parts("client", certificate)).unwrap();
    let without = ask(parts("client", json!({}))).unwrap_err();
    assert!(without.contains("(error 1045)"), "{without}");
    ask(parts("with_password", json!({ "password": "hunter2" }))).unwrap();
    let wrong = ask(parts("with_password", json!({ "password": "hunter3" }))).unwrap_err();
    assert!(wrong.contains("(error 1045)") && wrong.contains("`password`") && !wrong.contains("hunter"), "{wrong}");
}
