use std::io::{self, Write};
use std::thread;

use guestbook::GuestBook;
use i2p_sam::testing::{Fault, ListenerFeed, Profile, TestBridge};
use i2p_sam::{SamStream, StreamSession};

fn sign(session: &StreamSession, address: &StreamSession, line: &str) -> io::Result<String> {
    let mut stream = session.connect(address.destination())?;
    stream.write_all(line.as_bytes())?;
    io::read_to_string(stream)
}

#[test]
fn caller_receives_book_with_own_line() {
    let (mut near, far) = SamStream::pair().unwrap();
    near.write_all(b"hello\n").unwrap();
    GuestBook::default().sign(&far).unwrap();
    drop(far);
    assert_eq!(io::read_to_string(near).unwrap(), "hello\n");
}

#[test]
fn server_ends_with_its_listener() {
    let (feed, listener) = ListenerFeed::new().unwrap();
    let (mut near, far) = SamStream::pair().unwrap();
    near.write_all(b"last\n").unwrap();
    feed.push(far);
    drop(feed);
    GuestBook::default().serve(&listener);
    assert_eq!(io::read_to_string(near).unwrap(), "last\n");
}

#[test]
fn book_is_served_on_every_router() {
    for profile in Profile::ALL {
        let router = TestBridge::builder().profile(profile).start().unwrap();
        let service = router.bridge().session().stream().unwrap();
        let listener = service.listener().unwrap();
        thread::spawn(move || GuestBook::default().serve(&listener));
        let client = router.bridge().session().stream().unwrap();
        assert_eq!(sign(&client, &service, "one\n").unwrap(), "one\n");
        assert_eq!(sign(&client, &service, "two\n").unwrap(), "one\ntwo\n");
    }
}

#[test]
fn refused_dial_is_reported_as_peer_fault() {
    let router = TestBridge::start().unwrap();
    let client = router.bridge().session().stream().unwrap();
    router.inject("STREAM CONNECT", Fault::reply("STREAM STATUS RESULT=CANT_REACH_PEER\n"));
    assert!(client.connect("guests.i2p").unwrap_err().is_peer_fault());
}
