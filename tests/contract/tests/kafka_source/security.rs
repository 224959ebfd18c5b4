//! Who is let in, and how.

use std::time::Instant;

use wasmill_engine::Progress;
use wasmill_kafka::{KafkaConfig, KafkaConnection, Mechanism, Sasl, Secret, Security, Tls};

use crate::kafka_broker::{topic, variable};
use crate::{batch, config, ids, names, numbers, records, send};

fn tls() -> Tls {
    Tls { ca: Some(format!("{}/ca.pem", variable("WASMILL_TEST_KAFKA_TLS"))), ..Tls::default() }
}

fn with_password(mechanism: Mechanism, password: &str) -> Security {
    let sasl =
        Sasl { mechanism, username: Some(variable("WASMILL_TEST_KAFKA_USER")), password: Some(Secret::new(password)), token_file: None };
    Security { tls: Some(tls()), sasl: Some(sasl), ..Security::default() }
}

fn secured(topic: &str, listener: &str, security: Security) -> KafkaConfig {
    KafkaConfig { connection: KafkaConnection { brokers: variable(listener), security: Some(security) }, ..config(topic) }
}

#[test]
fn passwords_tokens_and_certificates_let_us_in() {
    let topic = topic(1);
    send(&topic, 0, 0..5);
    let password = variable("WASMILL_TEST_KAFKA_PASSWORD");
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
        let config = secured(&topic, "WASMILL_TEST_KAFKA_SASL_SSL", with_password(mechanism, &password));
        assert_eq!(names(records(&config, &ids())), numbers(0..5), "{mechanism:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, unsecured_token()).unwrap();
    let sasl =
        Sasl { mechanism: Mechanism::Oauthbearer, username: None, password: None, token_file: Some(token.to_str().unwrap().to_owned()) };
    let config = secured(&topic, "WASMILL_TEST_KAFKA_SASL_SSL", Security { tls: Some(tls()), sasl: Some(sasl), ..Security::default() });
    assert_eq!(names(records(&config, &ids())), numbers(0..5), "a token");
    let files = variable("WASMILL_TEST_KAFKA_TLS");
    let own = Tls { certificate: Some(format!("{files}/client.crt")), key: Some(format!("{files}/client.key")), ..tls() };
    let config = secured(&topic, "WASMILL_TEST_KAFKA_SSL", Security { tls: Some(own), ..Security::default() });
    assert_eq!(names(records(&config, &ids())), numbers(0..5), "a certificate");
}

/// A token that nobody signed, as the test broker takes it.
fn unsecured_token() -> String {
    use base64::Engine;
    let encode = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = format!("{{\"sub\":\"mill\",\"iat\":{now},\"exp\":{}}}", now + 3600);
    format!("{}.{}.", encode("{\"alg\":\"none\"}".to_owned()), encode(claims))
}

#[test]
fn who_is_not_let_in_is_reported_at_once_and_without_the_password() {
    let topic = topic(1);
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha512] {
        let config = secured(&topic, "WASMILL_TEST_KAFKA_SASL_SSL", with_password(mechanism, "not-the-password"));
        let begun = Instant::now();
        let error = batch(&config, &ids(), &Progress::new()).unwrap_err();
        let text = format!("{error} {}", error.hint_text().unwrap());
        assert!(text.contains("refuse the connection") && text.contains("security") && !text.contains("not-the-password"), "{text}");
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
        assert!(!format!("{config:?}").contains("not-the-password"));
    }
    let strangers = secured(&topic, "WASMILL_TEST_KAFKA_SSL", Security { tls: Some(Tls { ca: None, ..tls() }), ..Security::default() });
    let error = batch(&strangers, &ids(), &Progress::new()).unwrap_err().to_string();
    assert!(error.contains("refuse the connection") && error.contains("certificate"), "{error}");
}
