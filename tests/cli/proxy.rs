use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use i2p_sam::testing::TestBridge;

use crate::support::{LIMIT, Running, Service, http, run, sam, shout};

/// Starts a proxy with both sides, and returns their addresses.
fn start(bridge: &TestBridge) -> (Running, SocketAddr, SocketAddr) {
    let arguments = ["proxy", "--http", "127.0.0.1:0", "--socks", "127.0.0.1:0"];
    let proxy = Running::start(&mut sam(bridge, arguments));
    let http = proxy
        .line()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let socks = proxy
        .line()
        .strip_prefix("socks5h://")
        .unwrap()
        .parse()
        .unwrap();
    (proxy, http, socks)
}

/// Sends a request, and returns everything that comes back.
fn exchange(proxy: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = connect(proxy);
    stream.write_all(request).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    reply
}

fn connect(proxy: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

fn asked_for(bridge: &TestBridge, host: &str) -> bool {
    bridge
        .commands()
        .iter()
        .any(|command| command.contains(host))
}

#[test]
fn http_request_with_url_gets_page() {
    let bridge = TestBridge::start().unwrap();
    let _service = Service::start(&bridge, http).named(&bridge, "site.i2p");
    let (proxy, address, _) = start(&bridge);
    let reply = exchange(
        address,
        b"GET http://site.i2p/page HTTP/1.1\r\nHost: site.i2p\r\n\r\n",
    );
    let reply = String::from_utf8(reply).unwrap();
    assert!(
        reply.starts_with("HTTP/1.0 200 OK") && reply.ends_with("hello"),
        "{reply}"
    );
    proxy.interrupt();
    assert_eq!(proxy.finish().code, Some(0));
}

#[test]
fn http_connect_carries_any_protocol() {
    let bridge = TestBridge::start().unwrap();
    let _service = Service::start(&bridge, shout).named(&bridge, "site.i2p");
    let (_proxy, address, _) = start(&bridge);
    let reply = exchange(address, b"CONNECT site.i2p:25 HTTP/1.1\r\n\r\nhello\n");
    let reply = String::from_utf8(reply).unwrap();
    assert_eq!(reply, "HTTP/1.1 200 Connection established\r\n\r\nHELLO\n");
}

#[test]
fn http_request_outside_of_i2p_is_forbidden() {
    let bridge = TestBridge::start().unwrap();
    let (_proxy, address, _) = start(&bridge);
    for request in [
        "GET http://example.com/ HTTP/1.1\r\n\r\n",
        "CONNECT example.com:443 HTTP/1.1\r\n\r\n",
    ] {
        let reply = String::from_utf8(exchange(address, request.as_bytes())).unwrap();
        assert!(reply.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{reply}");
    }
    assert!(!asked_for(&bridge, "example"));
}

#[test]
fn http_request_to_unknown_host_is_bad_gateway() {
    let bridge = TestBridge::start().unwrap();
    let (_proxy, address, _) = start(&bridge);
    let reply = exchange(address, b"GET http://unknown.i2p/ HTTP/1.1\r\n\r\n");
    let reply = String::from_utf8(reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{reply}");
    assert!(reply.contains("unknown.i2p"), "{reply}");
}

#[test]
fn socks_connect_reaches_name() {
    let bridge = TestBridge::start().unwrap();
    let _service = Service::start(&bridge, shout).named(&bridge, "site.i2p");
    let (_proxy, _, address) = start(&bridge);
    let mut stream = connect(address);
    stream.write_all(b"\x05\x02\x00\x02").unwrap();
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).unwrap();
    assert_eq!(greeting, [5, 0]);
    stream
        .write_all(b"\x05\x01\x00\x03\x08site.i2p\x00\x19")
        .unwrap();
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply, [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    stream.write_all(b"hello\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "HELLO\n");
}

#[test]
fn socks_connect_outside_of_i2p_is_not_allowed() {
    let bridge = TestBridge::start().unwrap();
    let (_proxy, _, address) = start(&bridge);
    let reply = exchange(
        address,
        b"\x05\x01\x00\x05\x01\x00\x03\x0bexample.com\x00\x50",
    );
    assert_eq!(&reply[..4], [5, 0, 5, 2]);
    let reply = exchange(
        address,
        b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50",
    );
    assert_eq!(&reply[..4], [5, 0, 5, 2]);
    assert!(!asked_for(&bridge, "example"));
}

#[test]
fn socks_client_that_requires_authentication_is_refused() {
    let bridge = TestBridge::start().unwrap();
    let (_proxy, _, address) = start(&bridge);
    assert_eq!(exchange(address, b"\x05\x01\x02"), [5, 0xff]);
}

#[test]
fn proxy_at_taken_port_fails_before_it_makes_a_session() {
    let bridge = TestBridge::start().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = run(&mut sam(&bridge, ["proxy", "--http", &address]));
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.stderr
            .contains(&format!("{address} cannot be listened on")),
        "{done:?}"
    );
    assert_eq!(bridge.connections(), 0);
}
