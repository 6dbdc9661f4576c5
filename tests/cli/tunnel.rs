use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use i2p_sam::testing::TestBridge;

use crate::support::{LIMIT, Running, Service, run, sam, sam_at, shout};

#[test]
fn client_tunnel_leads_to_destination() {
    let bridge = TestBridge::start().unwrap();
    let service = Service::start(&bridge, shout);
    let tunnel = Running::start(&mut sam(
        &bridge,
        ["tunnel", "client", "127.0.0.1:0", &service.address()],
    ));
    let mut stream = TcpStream::connect(tunnel.line()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"hello\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert_eq!(reply, "HELLO\n");
    tunnel.interrupt();
    assert_eq!(tunnel.finish().code, Some(0));
}

#[test]
fn server_tunnel_is_reached_at_its_address() {
    let bridge = TestBridge::start().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            stream.write_all(b"from the service").unwrap();
        }
    });
    let tunnel = Running::start(&mut sam(&bridge, ["tunnel", "server", &target]));
    let session = bridge.bridge().session().stream().unwrap();
    let mut stream = session.connect(&*tunnel.line()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "from the service");
    tunnel.interrupt();
    assert_eq!(tunnel.finish().code, Some(0));
}

#[test]
fn client_tunnel_with_unreachable_peer_continues_with_note() {
    let bridge = TestBridge::start().unwrap();
    let tunnel = Running::start(&mut sam(
        &bridge,
        ["tunnel", "client", "127.0.0.1:0", "unknown.i2p"],
    ));
    let address = tunnel.line();
    assert!(tunnel.note().starts_with("It leads to unknown.i2p"));
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    assert!(tunnel.note().contains("peer"));
    assert!(TcpStream::connect(&address).is_ok());
}

#[test]
fn server_tunnel_without_service_names_the_cause() {
    let bridge = TestBridge::start().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = free.local_addr().unwrap().to_string();
    drop(free);
    let tunnel = Running::start(&mut sam(&bridge, ["tunnel", "server", &target]));
    let address = tunnel.line();
    assert!(tunnel.note().starts_with("It leads to "));
    let session = bridge.bridge().session().stream().unwrap();
    let _stream = session.connect(&*address).unwrap();
    let note = tunnel.note();
    let cause = note.strip_prefix("the local service was not reached: ");
    assert!(cause.is_some_and(|cause| !cause.is_empty()), "{note}");
}

#[test]
fn tunnel_with_malformed_address_fails_before_it_needs_a_bridge() {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    for arguments in [
        ["tunnel", "client", "80", "known.i2p"].as_slice(),
        &["tunnel", "server", "8080"],
    ] {
        let done = run(&mut sam_at(nowhere, arguments));
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.stderr.contains("127.0.0.1:8080"), "{done:?}");
    }
}

#[test]
fn tunnel_at_taken_port_fails() {
    let bridge = TestBridge::start().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = run(&mut sam(
        &bridge,
        ["tunnel", "client", &address, "known.i2p"],
    ));
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("sam: "), "{done:?}");
}
