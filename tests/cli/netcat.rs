use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;

use i2p_sam::testing::TestBridge;

use crate::support::{Folder, LIMIT, Running, Service, run, sam, shout};

fn listen(bridge: &TestBridge, more: &[&str]) -> (Running, String) {
    let listener = Running::start(&mut sam(bridge, ["listen"].iter().chain(more)));
    let note = listener.note();
    let address = note
        .strip_prefix("Listening at ")
        .unwrap_or_else(|| panic!("{note}"));
    let address = address.to_owned();
    (listener, address)
}

#[test]
fn connect_gets_reply_after_end_of_input() {
    let bridge = TestBridge::start().unwrap();
    let service = Service::start(&bridge, shout);
    let mut dialler = Running::start(&mut sam(&bridge, ["connect", &service.address()]));
    dialler.write("hello\n");
    let done = dialler.finish();
    assert_eq!((done.code, &*done.stdout), (Some(0), "HELLO\n"), "{done:?}");
    assert!(done.stderr.starts_with("Connected to "), "{done:?}");
}

#[test]
fn listen_and_connect_carry_both_ways() {
    let bridge = TestBridge::start().unwrap();
    let (mut listener, address) = listen(&bridge, &[]);
    let mut dialler = Running::start(&mut sam(&bridge, ["connect", "-Q", "0", &address]));
    dialler.write("from the dialler\n");
    assert_eq!(listener.line(), "from the dialler");
    listener.write("from the listener\n");
    assert_eq!(dialler.line(), "from the listener");
    // The end of the dialler's input closes the stream, which ends both.
    assert_eq!(dialler.finish().code, Some(0));
    assert_eq!(listener.finish().code, Some(0));
}

#[test]
fn listen_without_input_receives_everything() {
    let bridge = TestBridge::start().unwrap();
    let (listener, address) = listen(&bridge, &[]);
    let (sender, received) = mpsc::channel();
    thread::spawn(move || sender.send(listener.finish()));
    let mut dialler = Running::start(&mut sam(&bridge, ["connect", "-Q", "0", &address]));
    let text = "0123456789abcde\n".repeat(1024);
    dialler.write(&text);
    dialler.end_input();
    let done = received.recv_timeout(LIMIT).unwrap();
    assert_eq!(done.code, Some(0));
    assert!(
        done.stdout == text,
        "{} of {} bytes",
        done.stdout.len(),
        text.len()
    );
}

#[test]
fn listen_with_key_keeps_its_address() {
    let (bridge, folder) = (TestBridge::start().unwrap(), Folder::new());
    let path = folder.file("listen.key");
    let path = path.to_str().unwrap();
    let made = run(&mut sam(&bridge, ["keygen", path]));
    let (_listener, address) = listen(&bridge, &["--key", path]);
    assert_eq!(format!("{address}\n"), made.stdout);
}

#[test]
fn listen_creates_missing_key_file() {
    let (bridge, folder) = (TestBridge::start().unwrap(), Folder::new());
    let path = folder.file("new.key");
    let listener = Running::start(sam(&bridge, ["listen", "--key"]).arg(&path));
    assert!(listener.note().starts_with("Creating the key file "));
    let note = listener.note();
    let key = i2p_sam::PrivateKey::load(&path).unwrap();
    assert_eq!(note, format!("Listening at {}", key.destination().b32()));
}

#[test]
fn connect_to_offline_destination_fails_with_remedy() {
    let bridge = TestBridge::start().unwrap();
    let nobody = format!("{}.b32.i2p", "a".repeat(52));
    let done = run(&mut sam(&bridge, ["connect", &nobody]));
    assert_eq!(done.code, Some(4), "{done:?}");
    assert!(
        done.stderr
            .contains("Remedy: check that the address is right"),
        "{done:?}"
    );
}

#[test]
fn connect_to_unknown_name_is_not_found() {
    let bridge = TestBridge::start().unwrap();
    let done = run(&mut sam(&bridge, ["connect", "unknown.i2p:80"]));
    assert_eq!(done.code, Some(5), "{done:?}");
}

#[test]
fn lost_session_ends_connect_with_its_code() {
    let bridge = TestBridge::start().unwrap();
    let (sender, opened) = mpsc::channel();
    let session = bridge.bridge().session().stream().unwrap();
    let listener = session.listener().unwrap();
    let address = session.destination().b32().to_string();
    let dialler = Running::start(&mut sam(&bridge, ["connect", &address]));
    thread::spawn(move || {
        let (mut stream, peer) = listener.accept().unwrap();
        stream.write_all(b"ready\n").unwrap();
        sender.send(peer).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let peer = opened.recv_timeout(LIMIT).unwrap();
    assert_eq!(dialler.line(), "ready");
    assert!(bridge.lose_session(peer.destination().unwrap()));
    let done = dialler.finish();
    assert_eq!(done.code, Some(7), "{done:?}");
    assert!(done.stderr.contains("the session is gone"), "{done:?}");
}

#[test]
fn interrupt_ends_listen() {
    let bridge = TestBridge::start().unwrap();
    let (listener, _) = listen(&bridge, &[]);
    listener.interrupt();
    let done = listener.finish();
    assert_eq!((done.code, &*done.stderr), (Some(130), ""), "{done:?}");
}

#[test]
fn interrupt_ends_open_stream() {
    let bridge = TestBridge::start().unwrap();
    let (mut listener, address) = listen(&bridge, &[]);
    let dialler = Running::start(&mut sam(&bridge, ["connect", &address]));
    listener.write("ready\n");
    assert_eq!(dialler.line(), "ready");
    dialler.interrupt();
    assert_eq!(dialler.finish().code, Some(130));
    assert_eq!(listener.finish().code, Some(0));
}
