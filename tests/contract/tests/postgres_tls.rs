//! Who may connect to PostgreSQL, and how the connection is protected.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod postgres;
#[path = "../../proxy/mod.rs"]
mod proxy;

use std::net::Ipv4Addr;

use postgres::mill::{Mill, pairs};
use postgres::url;
use proxy::Proxy;
use uuid::Uuid;
use wasmill_engine::{Class, Error, Sink};
use wasmill_postgres::{PostgresConfig, PostgresConnection, PostgresTls, PostgresTlsMode};

/// A file that the server's certificates lie beside.
fn certificate(name: &str) -> Option<String> {
    let folder =
        std::env::var("WASMILL_TEST_POSTGRES_TLS").expect("WASMILL_TEST_POSTGRES_TLS names the folder of the server's certificates");
    Some(format!("{folder}/{name}"))
}

/// Asks as somebody for the token; `Ok` says whether the connection was encrypted.
fn ask(mill: &Mill, user: &str, tls: PostgresTls) -> Result<bool, Error> {
    let url = url().replace("//postgres@", &format!("//{user}@"));
    let name = format!("{}_{}", user.split(':').next().unwrap(), Uuid::new_v4().simple());
    let connection = PostgresConnection { tls, ..PostgresConnection::of_url(format!("{url}?application_name={name}")) };
    let config = PostgresConfig { connection, ..PostgresConfig::new("", mill.server.table("t")) };
    let sink = mill.sink(&config, &pairs(&[]).schema())?;
    sink.committed("p", "s")?;
    let query = format!("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = '{name}'");
    Ok(mill.server.column(&query) == ["t"])
}

fn modes(mode: PostgresTlsMode) -> PostgresTls {
    PostgresTls { mode: Some(mode), ..PostgresTls::default() }
}

#[test]
fn a_connection_is_as_protected_as_its_mode_says() {
    let mill = Mill::new();
    let ca = |mode: Option<PostgresTlsMode>, name: &str| PostgresTls { mode, ca: certificate(name), ..PostgresTls::default() };
    assert!(!ask(&mill, "postgres", modes(PostgresTlsMode::Disable)).unwrap());
    assert!(ask(&mill, "postgres", PostgresTls::default()).unwrap(), "prefer takes what is offered");
    assert!(ask(&mill, "postgres", modes(PostgresTlsMode::Require)).unwrap());
    assert!(ask(&mill, "postgres", ca(None, "ca.pem")).unwrap());
    assert!(ask(&mill, "postgres", ca(Some(PostgresTlsMode::VerifyCa), "ca.pem")).unwrap());
    let begun = std::time::Instant::now();
    // The system's authorities have not signed it, nor has the client's own certificate.
    for wrong in [modes(PostgresTlsMode::VerifyFull), ca(None, "client.crt"), ca(Some(PostgresTlsMode::VerifyCa), "client.crt")] {
        let error = ask(&mill, "postgres", wrong).unwrap_err();
        assert!(error.hint_text().unwrap().contains("tls: { ca:"), "{error} {:?}", error.hint_text());
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "a certificate does not get better by waiting");
    assert_eq!(ask(&mill, "postgres", ca(None, "no_such.pem")).unwrap_err().class(), Class::Configuration);
    assert_eq!(ask(&mill, "postgres", modes(PostgresTlsMode::VerifyCa)).unwrap_err().class(), Class::Configuration);
}

#[test]
fn a_server_of_another_name_is_only_taken_where_names_are_not_verified() {
    let mill = Mill::new();
    let server = url().split(['@', '/']).find_map(|part| part.parse().ok()).expect("the address of the server in its URL");
    let proxy = Proxy::before_at(Ipv4Addr::new(127, 0, 0, 2), server);
    let elsewhere = |mode| {
        let tls = PostgresTls { mode: Some(mode), ca: certificate("ca.pem"), ..PostgresTls::default() };
        // Another name of the same machine, which does not stand in the certificate.
        let url = url().replace(&server.to_string(), &proxy.address().to_string());
        let connection = PostgresConnection { tls, ..PostgresConnection::of_url(url) };
        mill.sink(&PostgresConfig { connection, ..PostgresConfig::new("", mill.server.table("t")) }, &pairs(&[]).schema())
            .unwrap()
            .committed("p", "s")
    };
    assert_eq!(elsewhere(PostgresTlsMode::VerifyCa).unwrap(), None);
    let error = elsewhere(PostgresTlsMode::VerifyFull).unwrap_err();
    assert!(error.message().contains("127.0.0.2") && error.message().contains("ertificate"), "{error}");
}

/// Roles belong to the whole server: tests that run at once make them together.
fn role(mill: &Mill, name: &str, options: &str) {
    mill.server.run(&format!(
        "DO $$ BEGIN CREATE ROLE {name} LOGIN {options}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    ));
}

#[test]
fn a_client_shows_its_certificate() {
    let mill = Mill::new();
    role(&mill, "client", "");
    let shown = PostgresTls {
        ca: certificate("ca.pem"),
        certificate: certificate("client.pem"),
        key: certificate("client.key"),
        ..PostgresTls::default()
    };
    assert!(ask(&mill, "client", shown.clone()).unwrap());
    let silent = PostgresTls { certificate: None, key: None, ..shown.clone() };
    assert!(ask(&mill, "client", silent).unwrap_err().message().contains("certificate"));
    let half = PostgresTls { key: None, ..shown };
    assert_eq!(ask(&mill, "client", half).unwrap_err().class(), Class::Configuration);
}

#[test]
fn a_wrong_password_stops_at_once_and_is_not_repeated() {
    let mill = Mill::new();
    role(&mill, "with_password", "PASSWORD 'hunter2'");
    assert!(ask(&mill, "with_password:hunter2", PostgresTls::default()).unwrap());
    let error = ask(&mill, "with_password:hunter3", PostgresTls::default()).unwrap_err();
    assert!(error.message().contains("28P01") && error.hint_text().unwrap().contains("password"), "{error}");
    assert!(!format!("{error:?}").contains("hunter3"), "{error:?}");
    assert!(ask(&mill, "with_password", PostgresTls::default()).unwrap_err().message().contains("password"));
}
