//! Dialling: the forms of address, and the errors.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{Cancel, ConnectOptions, Error, HealingOptions, I2pAddr, SignatureType};

use crate::ON_PROFILES;
use crate::router::{KNOWN_NAME, LONG, Router, known_key};
use crate::suite::behaviours;
use crate::suite::data::{bytes, greet, persist, put, take};

behaviours! {
    dial_by_destination_reaches_peer [Streams];
    dial_by_b32_reaches_peer [Streams];
    dial_by_name_reaches_peer [Streams, KnownName];
    dial_with_ports_arrives [Streams];
    dial_ports_are_reported_to_listener [Streams, Ports];
    dial_with_ports_of_session_arrives [Streams];
    session_ports_are_reported_to_listener [Streams, Ports];
    own_destination_can_be_dialled [Streams, OwnDial];
    absent_peer_is_peer_fault;
    unknown_name_is_refused;
    dial_keeps_its_own_deadline;
    cancelled_dial_ends_within_100_ms;
    cancelled_session_creation_ends_within_100_ms;
    single_connection_has_its_own_destination [Streams];
    two_peers_dial_each_other_simultaneously [Streams];
    sixteen_simultaneous_dials_arrive [Streams];
    fifty_consecutive_dials_arrive [Streams];
    #[slow] renewed_client_reaches_restarted_server [Streams, KeyAgain];
}

fn dial_by_destination_reaches_peer(router: &Router) {
    let pair = router.pair();
    let (near, far) = pair.dial();
    assert_eq!(near.peer_destination(), Some(pair.server.destination()));
    greet(&near, &far);
}

fn dial_by_b32_reaches_peer(router: &Router) {
    let pair = router.pair();
    let near = pair
        .client
        .connect(pair.server.destination().b32())
        .unwrap();
    let far = pair.accept();
    assert_eq!(near.peer_destination(), None);
    greet(&near, &far);
}

fn dial_by_name_reaches_peer(router: &Router) {
    let server = router.builder().key(&known_key()).stream().unwrap();
    let listener = server.listener().unwrap();
    let pair = router.pair();
    let near = pair.client.connect("Known.i2p").unwrap();
    let (far, _) = listener.accept_timeout(LONG).unwrap();
    greet(&near, &far);
    assert_eq!(near.peer_addr().to_string(), KNOWN_NAME);
}

fn dial_with_ports_arrives(router: &Router) {
    let pair = router.pair();
    let options = ConnectOptions::new().from_port(1111);
    let address = (pair.server.destination(), 2222);
    let near = pair.client.connect_with(address, &options).unwrap();
    assert_eq!(
        (near.local_port(), near.peer_port()),
        (Some(1111), Some(2222))
    );
    greet(&near, &pair.accept());
}

fn dial_ports_are_reported_to_listener(router: &Router) {
    let pair = router.pair();
    let options = ConnectOptions::new().from_port(1111);
    let address = (pair.server.destination(), 2222);
    let _near = pair.client.connect_with(address, &options).unwrap();
    let far = pair.accept();
    assert_eq!(
        (far.peer_port(), far.local_port()),
        (Some(1111), Some(2222))
    );
}

fn dial_with_ports_of_session_arrives(router: &Router) {
    let pair = router.pair();
    let client = router.builder().from_port(1111).to_port(2222);
    let client = client.stream().unwrap();
    let near = client.connect(pair.server.destination()).unwrap();
    assert_eq!(
        (near.local_port(), near.peer_port()),
        (Some(1111), Some(2222))
    );
    let (far, _) = pair.listener.accept_timeout(LONG).unwrap();
    greet(&near, &far);
}

fn session_ports_are_reported_to_listener(router: &Router) {
    let pair = router.pair();
    let client = router.builder().from_port(1111).to_port(2222);
    let client = client.stream().unwrap();
    let _near = client.connect(pair.server.destination()).unwrap();
    let (far, _) = pair.listener.accept_timeout(LONG).unwrap();
    assert_eq!(
        (far.peer_port(), far.local_port()),
        (Some(1111), Some(2222))
    );
}

fn own_destination_can_be_dialled(router: &Router) {
    let pair = router.pair();
    let near = pair.server.connect(pair.server.destination()).unwrap();
    let (far, _) = pair.listener.accept_timeout(LONG).unwrap();
    greet(&near, &far);
}

fn absent_peer_is_peer_fault(router: &Router) {
    let nobody = router
        .bridge()
        .generate(i2p_sam::SignatureType::Ed25519)
        .unwrap();
    let pair = router.pair();
    let error = pair
        .client
        .connect_timeout(nobody.destination(), LONG)
        .unwrap_err();
    assert!(error.is_peer_fault(), "{error}");
    assert_eq!(pair.client.loss(), None);
}

fn unknown_name_is_refused(router: &Router) {
    let pair = router.pair();
    let error = pair.client.connect("nobody-has-this-name.i2p").unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert_eq!(pair.client.loss(), None);
}

/// A destination that no router has, so that dialling it takes as long as the router allows.
fn nobody() -> I2pAddr {
    let mut nobody = bytes(384, 99);
    nobody.extend([5, 0, 4, 0, 7, 0, 0]);
    i2p_sam::Destination::from_bytes(&nobody).unwrap().into()
}

fn dial_keeps_its_own_deadline(router: &Router) {
    let pair = router.pair();
    let given = Duration::from_millis(if ON_PROFILES { 2000 } else { 20 });
    let start = Instant::now();
    let error = pair.client.connect_timeout(nobody(), given).unwrap_err();
    // i2pd knows at once that this peer does not exist.
    assert!(error.is_peer_fault(), "{error}");
    assert!(start.elapsed() < given + Duration::from_millis(500));
}

fn cancelled_dial_ends_within_100_ms(router: &Router) {
    let pair = router.pair();
    let cancel = Cancel::new();
    let client = pair.client.with_cancel(&cancel);
    let dialling = thread::spawn(move || (client.connect(nobody()).map(drop), Instant::now()));
    let fired = Instant::now();
    cancel.cancel();
    let (outcome, ended) = dialling.join().unwrap();
    match outcome {
        Err(Error::Cancelled { .. }) => assert!(ended < fired + Duration::from_millis(100)),
        // i2pd knows at once that this peer does not exist, and may be faster than the cancel.
        Err(error) => assert!(error.is_peer_fault(), "{error}"),
        Ok(()) => panic!("nobody answered"),
    }
}

fn cancelled_session_creation_ends_within_100_ms(router: &Router) {
    let cancel = Cancel::new();
    let bridge = router.bridge().with_cancel(&cancel);
    // More hops than there are routers: no tunnel can be built.
    let options = router.options().tunnel_length(5);
    let making = thread::spawn(move || {
        let outcome = bridge.session().options(options).stream();
        (outcome.map(drop), Instant::now())
    });
    let fired = Instant::now();
    cancel.cancel();
    let (outcome, ended) = making.join().unwrap();
    assert!(
        matches!(outcome, Err(Error::Cancelled { .. })),
        "{outcome:?}"
    );
    assert!(ended < fired + Duration::from_millis(100));
}

fn single_connection_has_its_own_destination(router: &Router) {
    let session = router.session();
    let pair = router.pair();
    let near = session.connect(pair.server.destination()).unwrap();
    drop(session);
    let (far, peer) = pair.listener.accept_timeout(LONG).unwrap();
    assert_ne!(peer.destination(), Some(pair.client.destination()));
    assert_eq!(Some(near.local_addr()), Some(&peer));
    greet(&near, &far);
}

fn two_peers_dial_each_other_simultaneously(router: &Router) {
    let pair = router.pair();
    let back = pair.client.listener().unwrap();
    thread::scope(|scope| {
        for (me, other, mine) in [
            (&pair.client, &pair.server, &back),
            (&pair.server, &pair.client, &pair.listener),
        ] {
            scope.spawn(move || {
                let stream = me.connect(other.destination()).unwrap();
                put(&stream, b"dialled");
                assert_eq!(take(&stream, 8), b"accepted");
            });
            scope.spawn(move || {
                let (stream, peer) = mine.accept_timeout(LONG).unwrap();
                assert_eq!(peer.destination(), Some(other.destination()));
                assert_eq!(take(&stream, 7), b"dialled");
                put(&stream, b"accepted");
                // The other side reads before this one closes.
                assert!(crate::suite::data::rest(&stream).is_empty());
            });
        }
    });
}

fn sixteen_simultaneous_dials_arrive(router: &Router) {
    let pair = router.pair();
    thread::scope(|scope| {
        for number in 0..16 {
            let pair = &pair;
            scope.spawn(move || {
                let stream = pair.client.connect(pair.server.destination()).unwrap();
                put(&stream, &[number]);
                assert_eq!(take(&stream, 1), [number]);
            });
        }
        for _ in 0..16 {
            let far = pair.accept();
            let number = take(&far, 1);
            put(&far, &number);
            scope.spawn(move || crate::suite::data::rest(&far));
        }
    });
}

fn fifty_consecutive_dials_arrive(router: &Router) {
    let pair = router.pair();
    for _ in 0..50 {
        let (near, far) = pair.dial();
        greet(&near, &far);
    }
}

/// i2pd 2.59 and emissary 0.4.0: a session that has dialled a server does not reach it after its
/// restart, but a new session does.
fn renewed_client_reaches_restarted_server(router: &Router) {
    /// i2pd 2.59 refuses a key that was in use less than 6 s ago.
    const AWAY: Duration = Duration::from_secs(8);

    let network = router.start_process();
    let bridge = network.bridge();
    let key = bridge.generate(SignatureType::Ed25519).unwrap();
    let options = HealingOptions::new().initial_backoff(AWAY * 2);
    let client = network.builder().healing_with(&options).unwrap();
    for round in 0..2 {
        let server = network.builder().key(&key).stream().unwrap();
        let listener = server.listener().unwrap();
        if round > 0 {
            client.renew().unwrap();
        }
        let start = Instant::now();
        let (near, far) = persist(|| {
            let near = client.connect(key.destination()).ok()?;
            let (far, _) = listener.accept_timeout(AWAY * 2).ok()?;
            Some((near, far))
        });
        greet(&near, &far);
        assert!(start.elapsed() < AWAY * 4, "{:?}", start.elapsed());
        server.close();
        let (_hold, clock) = mpsc::channel::<()>();
        let _ = clock.recv_timeout(AWAY);
    }
}
