//! Datagrams with and without a sender.

use std::thread;
use std::time::Duration;

use i2p_sam::{
    DatagramSession, DatagramStyle, DatagramTransport, Error, RawSession, Sender, Version,
};

use super::data;
use crate::ON_PROFILES;
use crate::router::Router;
use crate::suite::behaviours;

behaviours! {
    datagrams_are_answered;
    datagram2_is_answered [NewDatagrams];
    datagram3_sender_is_unauthenticated [NewDatagrams];
    datagram_of_11_kb_arrives_whole [LargeDatagrams];
    connected_session_receives_from_its_peer_alone;
    datagrams_with_ports_of_session_arrive_from_sam_3_2_on;
    session_ports_are_reported_with_datagram [Ports];
    raw_datagrams_arrive_both_ways;
    control_socket_datagrams_arrive_both_ways [ControlSocketDatagrams];
    control_socket_raw_datagrams_arrive_both_ways [ControlSocketDatagrams];
    control_socket_burst_arrives [ControlSocketDatagrams];
}

/// The time after which a datagram is sent again.
pub(super) const AGAIN: Duration = Duration::from_millis(if ON_PROFILES { 200 } else { 2000 });
const TIMES: usize = 30;

pub(super) fn pair(router: &Router, style: DatagramStyle) -> (DatagramSession, DatagramSession) {
    pair_over(router, style, DatagramTransport::default())
}

/// Returns two sessions, the second with this transport.
fn pair_over(
    router: &Router,
    style: DatagramStyle,
    transport: DatagramTransport,
) -> (DatagramSession, DatagramSession) {
    thread::scope(|scope| {
        let server = scope.spawn(|| router.builder().datagram(style).unwrap());
        let client = router
            .builder()
            .datagram_transport(transport)
            .datagram(style);
        let (server, client) = (server.join().unwrap(), client.unwrap());
        for session in [&server, &client] {
            session.set_read_timeout(Some(AGAIN)).unwrap();
        }
        (server, client)
    })
}

/// Sends until it arrives: on i2pd the first datagram to a peer only starts a lookup.
pub(super) fn deliver(from: &DatagramSession, to: &DatagramSession, payload: &[u8]) -> Sender {
    let mut buf = [0; 40_000];
    for _ in 0..TIMES {
        from.send_to(payload, to.destination()).unwrap();
        match to.recv_from(&mut buf) {
            // An earlier datagram may arrive late.
            Ok((len, sender)) if buf[..len] == *payload => return sender,
            Ok(_) => {}
            Err(error) => assert!(error.is_timeout(), "{error}"),
        }
    }
    panic!("it never arrives; dropped: {:?}", to.dropped());
}

fn are_answered(router: &Router, style: DatagramStyle) {
    let (server, client) = pair(router, style);
    let sender = deliver(&client, &server, b"hello\nFROM_PORT=7 TO_PORT=8");
    assert_eq!(sender.destination(), Some(client.destination()));
    let sender = deliver(&server, &client, &data::bytes(5000, 3));
    assert_eq!(sender.destination(), Some(server.destination()));
    assert_eq!(client.dropped(), server.dropped());
    assert_eq!(client.dropped(), Default::default());
}

fn datagrams_are_answered(router: &Router) {
    are_answered(router, DatagramStyle::Datagram);
}

fn datagram2_is_answered(router: &Router) {
    are_answered(router, DatagramStyle::Datagram2);
}

fn datagram3_sender_is_unauthenticated(router: &Router) {
    let (server, client) = pair(router, DatagramStyle::Datagram3);
    let sender = deliver(&client, &server, b"believe me");
    assert!(!sender.is_authenticated());
    assert_eq!(sender.addr().b32(), Some(client.destination().b32()));
}

fn datagram_of_11_kb_arrives_whole(router: &Router) {
    let (server, client) = pair(router, DatagramStyle::Datagram);
    deliver(&client, &server, &data::bytes(11_000, 4));
}

fn connected_session_receives_from_its_peer_alone(router: &Router) {
    let (server, client) = pair(router, DatagramStyle::Datagram);
    let stranger = router.builder().datagram(DatagramStyle::Datagram).unwrap();
    deliver(&stranger, &client, b"before");
    client.connect(server.destination()).unwrap();
    let (mut buf, mut is_answered) = ([0; 40_000], false);
    for _ in 0..TIMES {
        client.send(b"question").unwrap();
        stranger.send_to(b"stranger", client.destination()).unwrap();
        match server.recv_from(&mut buf) {
            Ok((_, sender)) => server.send_to(b"reply", &sender).unwrap(),
            Err(error) if error.is_timeout() => continue,
            Err(error) => panic!("{error}"),
        };
        match client.recv(&mut buf) {
            Ok(len) => {
                assert_eq!(&buf[..len], b"reply");
                is_answered = true;
            }
            Err(error) => assert!(error.is_timeout(), "{error}"),
        }
        if is_answered && client.dropped().other_peers > 2 {
            return;
        }
    }
    panic!("no reply, or no stranger: {}", client.dropped());
}

/// Returns a session without ports, and one with the ports 1111 and 2222.
fn pair_with_ports(router: &Router) -> (DatagramSession, Result<DatagramSession, Error>) {
    let client = router.builder().from_port(1111).to_port(2222);
    let (server, client) = thread::scope(|scope| {
        let server = scope.spawn(|| router.builder().datagram(DatagramStyle::Datagram));
        let client = client.datagram(DatagramStyle::Datagram);
        (server.join().unwrap().unwrap(), client)
    });
    server.set_read_timeout(Some(AGAIN)).unwrap();
    (server, client)
}

fn datagrams_with_ports_of_session_arrive_from_sam_3_2_on(router: &Router) {
    let (server, client) = pair_with_ports(router);
    if server.version() < Version::V3_2 {
        return assert!(matches!(client, Err(Error::InvalidConfig(_))));
    }
    let client = client.unwrap();
    let sender = deliver(&client, &server, b"hello");
    assert_eq!(sender.destination(), Some(client.destination()));
}

fn session_ports_are_reported_with_datagram(router: &Router) {
    let (server, client) = pair_with_ports(router);
    let sender = deliver(&client.unwrap(), &server, b"hello");
    assert_eq!(
        (sender.from_port(), sender.to_port()),
        (Some(1111), Some(2222))
    );
}

pub(super) fn deliver_raw(from: &RawSession, to: &RawSession, payload: &[u8]) {
    let mut buf = [0; 40_000];
    for _ in 0..TIMES {
        from.send_to(payload, to.destination()).unwrap();
        match to.recv(&mut buf) {
            Ok(len) if buf[..len] == *payload => return,
            Ok(_) => {}
            Err(error) => assert!(error.is_timeout(), "{error}"),
        }
    }
    panic!("it never arrives; dropped: {:?}", to.dropped());
}

fn raw_datagrams_arrive_both_ways(router: &Router) {
    let (near, far) = thread::scope(|scope| {
        let near = scope.spawn(|| router.builder().raw().unwrap());
        let far = router.builder().raw().unwrap();
        (near.join().unwrap(), far)
    });
    for session in [&near, &far] {
        session.set_read_timeout(Some(AGAIN)).unwrap();
    }
    deliver_raw(&near, &far, b"PROTOCOL=18 FROM_PORT=0 TO_PORT=0\nhello");
    deliver_raw(&far, &near, &data::bytes(5000, 5));
}

fn control_socket_datagrams_arrive_both_ways(router: &Router) {
    let (server, client) = pair_over(
        router,
        DatagramStyle::Datagram,
        DatagramTransport::ControlSocket,
    );
    let sender = deliver(&client, &server, b"hello\nPING 1\n");
    assert_eq!(sender.destination(), Some(client.destination()));
    for size in [1, 1000, 5000, 7400] {
        let sender = deliver(&server, &client, &data::bytes(size, 3));
        assert_eq!(sender.destination(), Some(server.destination()));
        deliver(&client, &server, &data::bytes(size, 4));
    }
    assert_eq!(client.dropped(), Default::default());
}

fn control_socket_raw_datagrams_arrive_both_ways(router: &Router) {
    let (near, far) = thread::scope(|scope| {
        let builder = router
            .builder()
            .datagram_transport(DatagramTransport::ControlSocket);
        let near = scope.spawn(|| builder.raw().unwrap());
        let far = router.builder().raw().unwrap();
        (near.join().unwrap(), far)
    });
    for session in [&near, &far] {
        session.set_read_timeout(Some(AGAIN)).unwrap();
    }
    deliver_raw(&near, &far, b"RAW RECEIVED SIZE=3\nhello");
    deliver_raw(&far, &near, &data::bytes(5000, 5));
}

fn control_socket_burst_arrives(router: &Router) {
    const BURST: u64 = 200;
    let (server, client) = pair_over(
        router,
        DatagramStyle::Datagram,
        DatagramTransport::ControlSocket,
    );
    deliver(&client, &server, b"warm");
    let peer = server.destination();
    for number in 0..BURST {
        client.send_to(&number.to_be_bytes(), peer).unwrap();
    }
    let mut buf = [0; 100];
    let mut seen = std::collections::HashSet::new();
    while let Ok((len, _)) = server.recv_from(&mut buf) {
        if let Ok(number) = buf[..len].try_into() {
            seen.insert(u64::from_be_bytes(number));
        }
    }
    assert!(seen.len() as u64 >= BURST * 9 / 10, "{}", seen.len());
}
