//! Ports for servers that must know their own before they start.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::Mutex;

/// Below the range from which the kernel takes ports of outgoing connections, so that a server
/// that is down for a moment gets its port back.
const RANGE: std::ops::Range<u16> = 10_240..32_000;

/// A port of the loopback that is free now and that this process gives out only once. Another
/// process may still take it: whoever starts a server on it tries again with another.
pub(crate) fn free() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap();
    let given = given.get_or_insert_default();
    for _ in 0..10_000 {
        let port = fastrand::u16(RANGE);
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.insert(port);
            return port;
        }
    }
    panic!("no free port in {RANGE:?}")
}
