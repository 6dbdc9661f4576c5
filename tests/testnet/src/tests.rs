use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::probe;
use crate::sam::Talk;
use crate::{Ports, Progress, Testnet};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

fn open(network: &Testnet) -> Talk {
    Talk::open(network.sam_address(), soon()).unwrap()
}

fn session(network: &Testnet, style: &str, id: &str) -> Talk {
    Talk::session(network.sam_address(), soon(), style, id, "TRANSIENT").unwrap()
}

fn dial(network: &Testnet, from: &str, to: &str) -> io::Result<Talk> {
    let mut talk = open(network);
    talk.ask(&format!(
        "STREAM CONNECT ID={from} DESTINATION={to} SILENT=false"
    ))?;
    Ok(talk)
}

fn accept(network: &Testnet, id: &str) -> Talk {
    let mut talk = open(network);
    talk.ask(&format!("STREAM ACCEPT ID={id} SILENT=false"))
        .unwrap();
    talk
}

/// Returns a new public key and its private key.
fn keys(network: &Testnet) -> (String, String) {
    let reply = {
        let mut talk = open(network);
        talk.say("DEST GENERATE SIGNATURE_TYPE=7").unwrap();
        talk.hear().unwrap()
    };
    let value = |name: &str| {
        let word = reply.split(' ').find_map(|word| word.strip_prefix(name));
        word.unwrap().to_owned()
    };
    (value("PUB="), value("PRIV="))
}

/// Makes this many dials, each on a thread of its own, and asserts that every one succeeds.
fn dial_at_once(times: usize, network: &Testnet, from: &str, id: &str, address: &str) {
    let _accepted: Vec<_> = (0..times).map(|_| accept(network, id)).collect();
    thread::scope(|scope| {
        let start = |_| scope.spawn(|| dial(network, from, address));
        let dials: Vec<_> = (0..times).map(start).collect();
        for dialled in dials {
            dialled.join().unwrap().unwrap();
        }
    });
}

/// Sends a line each way and checks the lines that arrive.
fn assert_carries(accepted: &mut Talk, dialled: &mut Talk) {
    let _peer = accepted.hear().unwrap();
    dialled.say("from the dialler").unwrap();
    assert_eq!(accepted.hear().unwrap(), "from the dialler");
    accepted.say("from the listener").unwrap();
    assert_eq!(dialled.hear().unwrap(), "from the listener");
}

#[test]
fn two_sessions_exchange_a_stream() {
    let network = Testnet::start().unwrap();
    let mut alice = session(&network, "STREAM", "alice");
    let _bob = session(&network, "STREAM", "bob");
    let alice_address = alice.look_up("ME").unwrap();

    let mut accepted = accept(&network, "alice");
    let mut dialled = dial(&network, "bob", &alice_address).unwrap();

    assert_carries(&mut accepted, &mut dialled);
}

#[test]
fn sessions_that_have_met_can_make_twenty_dials_at_once() {
    let network = Testnet::start().unwrap();
    let mut alice = session(&network, "STREAM", "alice");
    let _bob = session(&network, "STREAM", "bob");
    let alice_address = alice.look_up("ME").unwrap();

    let mut first = accept(&network, "alice");
    assert_carries(
        &mut first,
        &mut dial(&network, "bob", &alice_address).unwrap(),
    );

    dial_at_once(20, &network, "bob", "alice", &alice_address);
}

#[test]
fn sessions_that_have_not_met_can_make_ten_dials_at_once() {
    let network = Testnet::start().unwrap();
    let mut alice = session(&network, "STREAM", "alice");
    let _bob = session(&network, "STREAM", "bob");
    let alice_address = alice.look_up("ME").unwrap();

    dial_at_once(10, &network, "bob", "alice", &alice_address);
}

#[test]
fn two_sessions_exchange_a_datagram() {
    let network = Testnet::start().unwrap();
    let inbox = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    inbox
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let port = inbox.local_addr().unwrap().port();
    let to_port = |id: &str, port: u16| format!("{id} PORT={port}");
    let mut alice = session(&network, "DATAGRAM", &to_port("alice", port));
    let _bob = session(&network, "DATAGRAM", &to_port("bob", port));
    let alice_address = alice.look_up("ME").unwrap();

    let datagram = format!("3.0 bob {alice_address}\nhello");
    inbox
        .send_to(datagram.as_bytes(), network.udp_address())
        .unwrap();

    let mut received = [0; 2048];
    let (length, _) = inbox.recv_from(&mut received).unwrap();
    assert!(received[..length].ends_with(b"\nhello"));
}

#[test]
fn a_registered_name_can_be_dialled() {
    let network = Testnet::start().unwrap();
    let mut alice = session(&network, "STREAM", "alice");
    let _bob = session(&network, "STREAM", "bob");
    network
        .add_host("alice.i2p", &alice.look_up("ME").unwrap())
        .unwrap();

    let mut accepted = accept(&network, "alice");
    let mut dialled = dial(&network, "bob", "alice.i2p").unwrap();

    assert_carries(&mut accepted, &mut dialled);
}

#[test]
fn a_registered_name_is_found_in_any_case() {
    let network = Testnet::start().unwrap();
    let mut alice = session(&network, "STREAM", "alice");
    let (destination, _) = keys(&network);
    network.add_host("Some.Host.i2p", &destination).unwrap();

    assert_eq!(alice.look_up("sOmE.hOsT.i2p").unwrap(), destination);
}

#[test]
fn an_unregistered_name_is_refused_and_the_bridge_lives_on() {
    let network = Testnet::start().unwrap();
    let _alice = session(&network, "STREAM", "alice");

    assert!(dial(&network, "alice", "nobody.i2p").is_err());

    open(&network);
}

#[test]
fn a_name_or_destination_that_cannot_be_one_is_not_registered() {
    let network = Testnet::start().unwrap();
    let (destination, private_key) = keys(&network);

    for (name, destination) in [
        ("alice", &*destination),
        ("alice.b32.i2p", &*destination),
        ("a lice.i2p", &*destination),
        ("alice.i2p", "not/base64"),
        ("alice.i2p", &destination[..100]),
        ("alice.i2p", &*private_key),
    ] {
        let error = network.add_host(name, destination).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
    }
}

#[test]
fn dropping_the_network_closes_its_bridge() {
    let network = Testnet::start().unwrap();
    let bridge = network.sam_address();
    let mut alice = session(&network, "STREAM", "alice");

    drop(network);

    assert!(TcpStream::connect(bridge).is_err());
    assert!(alice.hear().is_err());
}

#[test]
fn two_networks_do_not_reach_each_other() {
    let one = Testnet::start().unwrap();
    let other = Testnet::start().unwrap();
    let mut alice = session(&one, "STREAM", "alice");
    let _bob = session(&other, "STREAM", "bob");
    let alice_address = alice.look_up("ME").unwrap();
    let _accepted = accept(&one, "alice");

    assert!(dial(&other, "bob", &alice_address).is_err());
}

#[test]
fn networks_can_start_at_the_same_time() {
    let starts: Vec<_> = (0..3).map(|_| thread::spawn(Testnet::start)).collect();
    for start in starts {
        start.join().unwrap().unwrap();
    }
}

#[test]
fn the_probe_leaves_no_session_behind() {
    let network = Testnet::start().unwrap();
    session(&network, "STREAM", probe::LISTENER);
    session(&network, "STREAM", probe::DIALLER);
}

#[test]
fn a_session_that_was_dropped_frees_its_key_soon() {
    let network = Testnet::start().unwrap();
    let (_, private_key) = keys(&network);
    let create = || {
        Talk::session(
            network.sam_address(),
            soon(),
            "STREAM",
            "alice",
            &private_key,
        )
    };
    drop(create().unwrap());

    let dropped = Instant::now();
    while create().is_err() {
        assert!(dropped.elapsed() < Duration::from_secs(10), "still taken");
        thread::yield_now();
    }
}

#[test]
fn every_step_is_told_in_order() {
    let mut steps = Vec::new();
    Testnet::start_with(|step| steps.push(step)).unwrap();

    let started = |number| Progress::RouterStarted { number, total: 3 };
    let expected = [
        started(1),
        started(2),
        started(3),
        Progress::BuildingTunnels,
        Progress::WarmingUp,
        Progress::Ready,
    ];
    assert_eq!(steps, expected);
}

#[test]
fn a_start_that_runs_out_of_time_says_at_which_step() {
    let deadline = Deadline::after(Duration::ZERO);
    let error = Testnet::attempt(Ports::default(), deadline, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(
        error.to_string().contains("starting router 1 of 3"),
        "{error}"
    );
}

#[test]
fn a_bridge_that_gives_no_answer_is_a_timeout() {
    let silent = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address: SocketAddr = silent.local_addr().unwrap();
    let error = Talk::open(address, Deadline::after(Duration::from_millis(50))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}
