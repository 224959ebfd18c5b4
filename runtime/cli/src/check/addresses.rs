//! Addresses in the configuration of connectors: the hosts that they name, and the passwords that some carry.

use std::net::IpAddr;
use std::ops::Range;

use super::secrets::names_secret;
use crate::document::{Node, Value};

/// Keys for the address of a server.
const ADDRESS_KEYS: [&str; 12] = [
    "url",
    "dsn",
    "host",
    "hosts",
    "hostaddr",
    "brokers",
    "bootstrap_servers",
    "endpoint",
    "endpoint_url",
    "address",
    "addresses",
    "servers",
];

/// Whether a key holds the address of a server.
pub fn names_address(key: &str) -> bool {
    let key = key.to_lowercase().replace(['-', '.'], "_");
    ADDRESS_KEYS.contains(&key.as_str())
}

/// Whether a connector's configuration names hosts, and all of them are this machine.
pub fn is_only_loopback(node: &Node) -> bool {
    let mut hosts = Vec::new();
    collect_hosts(node, false, &mut hosts);
    !hosts.is_empty() && hosts.iter().all(|host| is_loopback(host))
}

fn collect_hosts(node: &Node, is_address: bool, hosts: &mut Vec<String>) {
    match &node.value {
        Value::Map(entries) => entries.iter().for_each(|entry| collect_hosts(&entry.node, names_address(&entry.key), hosts)),
        Value::List(items) => items.iter().for_each(|item| collect_hosts(item, is_address, hosts)),
        Value::Scalar(scalar) if is_address => hosts.extend(hosts_of(&scalar.text)),
        Value::Scalar(_) => {}
    }
}

/// The hosts of an address: a URL, `host=… port=…`, or `host:port` once or more often.
fn hosts_of(text: &str) -> Vec<String> {
    let listed = |list: &str| list.split(',').map(|host| without_port(host.trim()).to_lowercase()).collect::<Vec<_>>();
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let behind = credentials(scheme, rest).map_or(rest, |range| &rest[range.end + 1..]);
            let authority = behind.split(['/', '?', '#']).next().unwrap_or_default();
            let parameters = pairs(text).into_iter().filter(|pair| is_host_key(&text[pair.key.clone()]));
            let others = parameters.flat_map(|pair| listed(&text[pair.value]));
            let named = if authority.is_empty() { Vec::new() } else { listed(authority) };
            named.into_iter().chain(others).collect()
        }
        None if text.contains('=') => {
            pairs(text).into_iter().filter(|pair| is_host_key(&text[pair.key.clone()])).flat_map(|pair| listed(&text[pair.value])).collect()
        }
        None => listed(text),
    }
}

fn is_host_key(key: &str) -> bool {
    matches!(key.to_ascii_lowercase().as_str(), "host" | "hostaddr")
}

fn without_port(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    match host.split_once(':') {
        // More than one colon is an address of IPv6 by itself.
        Some((name, port)) if !port.contains(':') => name,
        _ => host,
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let is_socket = host.starts_with('/') || host.starts_with("%2f");
    let is_address = host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    is_socket || is_address || host == "localhost" || host.ends_with(".localhost")
}

/// `key=value` in a text.
struct Pair {
    key: Range<usize>,
    value: Range<usize>,
}

/// The pairs of an address: parameters of a URL, or words as libpq reads them.
fn pairs(text: &str) -> Vec<Pair> {
    if !text.contains("://") {
        return words(text);
    }
    let Some(start) = text.find('?').map(|at| at + 1) else { return Vec::new() };
    let mut found = Vec::new();
    let mut at = start;
    for part in text[start..].split(['&', '#']) {
        if let Some(end) = part.find('=') {
            found.push(Pair { key: at..at + end, value: at + end + 1..at + part.len() });
        }
        at += part.len() + 1;
    }
    found
}

/// `key=value` or `key = 'value with blanks'`, with blanks between.
fn words(text: &str) -> Vec<Pair> {
    let skip = |at: usize| at + text[at..].len() - text[at..].trim_start().len();
    let until = |at: usize, is_end: &dyn Fn(char) -> bool| text[at..].find(is_end).map_or(text.len(), |end| at + end);
    let mut found = Vec::new();
    let mut at = skip(0);
    while at < text.len() {
        let key = at..until(at, &|char| char == '=' || char.is_whitespace());
        at = skip(key.end);
        if !text[at..].starts_with('=') {
            // A word without a value; what follows is read by itself.
            at = skip(key.end.max(key.start + text[key.start..].chars().next().map_or(1, char::len_utf8)));
            continue;
        }
        at = skip(at + 1);
        let is_quoted = text[at..].starts_with('\'');
        let start = at + usize::from(is_quoted);
        let end = if is_quoted { until(start, &|char| char == '\'') } else { until(start, &char::is_whitespace) };
        found.push(Pair { key, value: start..end });
        at = skip((end + usize::from(is_quoted)).min(text.len()));
    }
    found
}

/// Where an address carries passwords, in bytes. `is_address`: the key holds an address.
pub fn passwords(text: &str, is_address: bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if let Some((scheme, rest)) = text.split_once("://") {
        let offset = scheme.len() + 3;
        let password = credentials(scheme, rest).and_then(|range| Some(range.start + rest[range.clone()].find(':')? + 1..range.end));
        found.extend(password.map(|range| range.start + offset..range.end + offset));
    }
    if is_address {
        found.extend(pairs(text).into_iter().filter(|pair| names_secret(&text[pair.key.clone()])).map(|pair| pair.value));
    }
    found.retain(|range| !range.is_empty());
    found
}

/// `user:password` of what is behind `://`.
fn credentials(scheme: &str, rest: &str) -> Option<Range<usize>> {
    // The client of Postgres takes all up to the first `@`, slashes too.
    if scheme.starts_with("postgres") {
        return rest.find('@').map(|end| 0..end);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rfind('@').map(|end| 0..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_hosts_of_every_form() {
        let cases: [(&str, &[&str]); 9] = [
            ("postgres://u:p@DB.example.org:5432/d", &["db.example.org"]),
            ("postgres://u:p/w@a:1,b:2/d?host=c", &["a", "b", "c"]),
            ("postgres:///d?host=%2Fvar%2Frun", &["%2fvar%2frun"]),
            ("host=localhost port=5432 password='x y'", &["localhost"]),
            ("b1:9092, b2:9092", &["b1", "b2"]),
            ("http://[::1]:8333", &["::1"]),
            ("::1", &["::1"]),
            ("127.0.0.1", &["127.0.0.1"]),
            ("https://u:p@example.org/x@y", &["example.org"]),
        ];
        for (text, hosts) in cases {
            assert_eq!(hosts_of(text), hosts, "{text}");
        }
    }

    #[test]
    fn knows_this_machine() {
        for host in ["localhost", "db.localhost", "localhost.", "127.8.0.1", "::1", "::ffff:127.0.0.1", "/var/run/postgresql"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["example.org", "localhost.example.org", "0.0.0.0", "10.0.0.1", "notlocalhost", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn finds_passwords_of_every_form() {
        let cases: [(&str, bool, &[&str]); 11] = [
            ("postgres://u:hunter2@h/d", true, &["hunter2"]),
            ("postgres://u:hun/ter2@h/d?password=other", true, &["hun/ter2", "other"]),
            ("https://u:a@b@h/x", false, &["a@b"]),
            ("https://h:80/x@y", false, &[]),
            ("postgres://u@h/d", true, &[]),
            ("postgres://u:@h/d", true, &[]),
            ("host=h password=hunter2 user=u", true, &["hunter2"]),
            ("host=h password = 'hunter 2' x", true, &["hunter 2"]),
            ("password='hunter2", true, &["hunter2"]),
            ("user password=x ä", true, &["x"]),
            ("select * from t where password=1", false, &[]),
        ];
        for (text, is_address, expected) in cases {
            let found: Vec<&str> = passwords(text, is_address).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
