//! Ports for servers that tests start, stop and start again.

use std::net::TcpListener;

/// From here on. Linux gives the connections that a machine opens ports from 32,768 on, so that none of them takes a port while its server is down.
const LOWEST: u16 = 10_000;
const HIGHEST: u16 = 32_000;

/// So many ports that nobody listens on now.
pub fn free_ports(count: usize) -> Vec<u16> {
    let random = uuid::Uuid::new_v4().as_u128() % u128::from(HIGHEST - LOWEST);
    let from_there = (LOWEST..HIGHEST).cycle().skip(random as usize).take(usize::from(HIGHEST - LOWEST));
    let found: Vec<u16> = from_there.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).take(count).collect();
    assert_eq!(found.len(), count, "ports of 127.0.0.1 from {LOWEST} on are taken");
    found
}
