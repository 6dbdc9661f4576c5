//! The cost of a datagram in a warm session: no allocation on any thread of the process.

#[allow(dead_code, reason = "this program uses a part of it")]
#[path = "it/support/mod.rs"]
mod support;

use std::alloc::System;
use std::io::{Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use i2p_sam::{B32, DatagramOptions, DatagramStyle, DatagramTransport, I2pAddr, RawOptions};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::datagrams::{Router, packet};
use support::{LONG, ScriptedBridge, key};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations are counted for the whole process, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the allocations of the cheapest of many rounds: the first rounds warm up, and the
/// threads of earlier tests can only add some.
fn allocations(mut round: impl FnMut()) -> usize {
    let cost = |_| {
        let region = Region::new(ALLOCATOR);
        round();
        let change = region.change();
        change.allocations + change.reallocations
    };
    (0..40).map(cost).min().unwrap()
}

fn options() -> DatagramOptions {
    DatagramOptions::new()
        .from_port(1)
        .to_port(65_535)
        .send_tags(3)
        .tag_threshold(4)
        .expires(Duration::from_secs(5))
        .send_lease_set(false)
}

#[test]
fn allocation_is_counted() {
    let _alone = alone();
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1]))), 1);
}

#[test]
fn sending_a_datagram_allocates_nothing() {
    let _alone = alone();
    let router = Router::start();
    let (session, peer, options) = (router.session(), key(3), options());
    let (payload, mut packet) = ([7; 1000], [0; 4096]);
    let peer = peer.destination();
    let addresses = [
        I2pAddr::from(peer).with_port(65_535),
        I2pAddr::from(B32::from(peer)),
        "name.i2p".parse().unwrap(),
    ];
    let cost = allocations(|| {
        session.send_to(&payload, peer).unwrap();
        session.send_to_with(&payload, peer, &options).unwrap();
        for address in &addresses {
            session.send_to_with(&payload, address, &options).unwrap();
        }
        for _ in 0..5 {
            assert!(router.udp.recv(&mut packet).unwrap() > 1000);
        }
    });
    assert_eq!(cost, 0);
}

#[test]
fn sending_a_raw_datagram_allocates_nothing() {
    let _alone = alone();
    let router = Router::start();
    let session = router.raw(&RawOptions::new());
    let (peer, options) = (key(3), options().protocol(99));
    let (payload, mut packet) = ([7; 1000], [0; 4096]);
    let cost = allocations(|| {
        session.send_to(&payload, peer.destination()).unwrap();
        let sent = session.send_to_with(&payload, peer.destination(), &options);
        assert_eq!(sent.unwrap(), 1000);
        for _ in 0..2 {
            assert!(router.udp.recv(&mut packet).unwrap() > 1000);
        }
    });
    assert_eq!(cost, 0);
}

#[test]
fn receiving_from_known_sender_allocates_nothing() {
    let _alone = alone();
    let router = Router::start();
    let (session, raw) = (router.session(), router.raw(&RawOptions::new()));
    let unproven = router.builder().datagram(DatagramStyle::Datagram3).unwrap();
    let packet = packet(" FROM_PORT=7 TO_PORT=8", &[7; 1000]);
    let hash = b"u0NuPdUgTdTYs8tjErvDpbeevW2dAO4r1b4Ccy6Kojc=\nhello";
    let mut buf = [0; 4096];
    let cost = allocations(|| {
        router.forward(&session, &packet);
        let (len, sender) = session.recv_from(&mut buf).unwrap();
        assert_eq!((len, sender.from_port()), (1000, Some(7)));
        router.forward(&unproven, hash);
        assert_eq!(unproven.recv_from(&mut buf).unwrap().0, 5);
        let to = raw.udp_addr().unwrap();
        router.udp.send_to(&packet, to).unwrap();
        assert_eq!(raw.recv(&mut buf).unwrap(), packet.len());
    });
    assert_eq!(cost, 0);
}

#[test]
fn control_socket_datagram_allocates_nothing() {
    let _alone = alone();
    let (sender, sockets) = mpsc::channel();
    let sender = Mutex::new(sender);
    let scripted = ScriptedBridge::router(move |visit, _| {
        let _ = sender.lock().unwrap().send(visit.socket());
        let (_end, ended) = mpsc::channel::<()>();
        let _ = ended.recv_timeout(LONG);
    });
    let builder = scripted.bridge().session();
    let builder = builder.datagram_transport(DatagramTransport::ControlSocket);
    let session = builder.datagram(DatagramStyle::Datagram).unwrap();
    let mut socket = sockets.recv_timeout(LONG).unwrap();
    let (peer, options) = (key(3), options());
    let line = format!(
        "DATAGRAM RECEIVED DESTINATION={} SIZE=5\nhello",
        peer.destination()
    );
    let mut said = vec![0; 2000];
    let cost = allocations(|| {
        let sent = session.send_to_with(&[7; 1000], peer.destination(), &options);
        assert_eq!(sent.unwrap(), 1000);
        socket.write_all(line.as_bytes()).unwrap();
        assert_eq!(session.recv_from(&mut said).unwrap().0, 5);
        let mut left = 1000;
        while left > 0 {
            let read = socket.read(&mut said).unwrap();
            left -= said[..read].iter().filter(|byte| **byte == 7).count();
        }
    });
    assert_eq!(cost, 0);
}
