//! The methods that a stream shares with `TcpStream`, over a scripted bridge that echoes.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::time::Duration;

use i2p_sam::SamStream;

use crate::support::{LONG, ScriptedBridge, Stage, Visit, key};

/// A bridge whose streams are handled by `peer`.
fn bridge_with(peer: impl Fn(&mut Visit<'_, '_>) + Send + Sync + 'static) -> ScriptedBridge {
    ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        Stage::Accept => {}
        Stage::Command(line) => {
            assert!(line.starts_with("STREAM CONNECT "), "{line}");
            visit.say("STREAM STATUS RESULT=OK\n");
            peer(visit);
        }
    })
}

/// Returns a stream to a peer that echoes, and the bridge that carries it.
fn echoing() -> (ScriptedBridge, SamStream) {
    let bridge = bridge_with(|visit| visit.echo());
    let session = bridge.bridge().session().stream().unwrap();
    let stream = session.connect(key(9).destination()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    (bridge, stream)
}

#[test]
fn stream_peek_leaves_bytes() {
    let (_bridge, mut stream) = echoing();
    stream.write_all(b"hello").unwrap();
    let mut bytes = [0; 5];
    while stream.peek(&mut bytes).unwrap() < bytes.len() {}
    assert_eq!(&bytes, b"hello");
    bytes = [0; 5];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
}

#[test]
fn stream_settings_are_those_that_were_set() {
    let (_bridge, stream) = echoing();
    let (read, write) = (Duration::from_secs(7), Duration::from_secs(9));
    stream.set_read_timeout(Some(read)).unwrap();
    stream.set_write_timeout(Some(write)).unwrap();
    assert_eq!(stream.read_timeout().unwrap(), Some(read));
    assert_eq!(stream.write_timeout().unwrap(), Some(write));
    for nodelay in [false, true] {
        stream.set_nodelay(nodelay).unwrap();
        assert_eq!(stream.nodelay().unwrap(), nodelay);
    }
    assert!(stream.take_error().unwrap().is_none());
}

#[test]
fn new_stream_has_no_timeouts() {
    let (_bridge, stream) = echoing();
    let other = stream.try_clone().unwrap();
    other.set_read_timeout(None).unwrap();
    assert_eq!(stream.read_timeout().unwrap(), None);
    assert_eq!(stream.write_timeout().unwrap(), None);
}

#[test]
fn vectored_calls_carry_all_parts() {
    let (_bridge, mut stream) = echoing();
    let written = stream.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cd")]);
    assert_eq!(written.unwrap(), 4);
    stream.flush().unwrap();
    (&stream).flush().unwrap();
    let (mut first, mut second) = ([0; 1], [0; 3]);
    let mut read = 0;
    while read < 4 {
        let mut bytes = [0; 4];
        read = stream.peek(&mut bytes).unwrap();
    }
    let mut parts = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    assert_eq!(stream.read_vectored(&mut parts).unwrap(), 4);
    assert_eq!((&first, &second), (b"a", b"bcd"));
}

#[test]
fn vectored_read_at_end_needs_no_linger() {
    let bridge = bridge_with(|visit| visit.hang_up());
    let session = bridge.bridge().session().linger(Duration::from_secs(3600));
    let session = session.stream().unwrap();
    let mut stream = session.connect(key(9).destination()).unwrap();
    assert_eq!(
        stream
            .read_vectored(&mut [IoSliceMut::new(&mut [0; 4])])
            .unwrap(),
        0
    );
    drop(stream);
    // It would wait for an hour if the end had not been noticed.
    session.finish(LONG).unwrap();
}

#[test]
fn nonblocking_read_without_bytes_would_block() {
    let (_bridge, mut stream) = echoing();
    stream.set_nonblocking(true).unwrap();
    let error = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn stream_names_peer_by_b32() {
    let (_bridge, stream) = echoing();
    assert_eq!(stream.peer_b32(), Some(key(9).destination().b32()));
    assert_eq!(stream.peer_destination(), Some(key(9).destination()));
}

#[cfg(unix)]
#[test]
fn stream_descriptor_is_that_of_its_socket() {
    use std::net::Shutdown;
    use std::os::fd::{AsFd, AsRawFd};

    let (_bridge, stream) = echoing();
    assert_eq!(stream.as_fd().as_raw_fd(), stream.as_raw_fd());
    let duplicate = stream.as_fd().try_clone_to_owned().unwrap();
    let mut duplicate = std::net::TcpStream::from(duplicate);
    duplicate.write_all(b"x").unwrap();
    let mut byte = [0];
    (&stream).read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"x");
    stream.shutdown(Shutdown::Both).unwrap();
    assert_eq!(duplicate.read(&mut byte).unwrap(), 0);
}
