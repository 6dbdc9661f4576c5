//! Random schedules: pieces, delays and cuts that a seed decides, over streams, datagrams and sessions that
//! heal. No schedule hangs, panics or loses a byte.
//!
//! `I2P_SAM_SEEDS=2000 cargo test --test it schedules` runs more of them; `I2P_SAM_SEED=7` runs one.

use std::env;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use i2p_sam::testing::{Fault, Profile, TestBridge};
use i2p_sam::{DatagramStyle, DatagramTransport, HealingOptions, SamListener, SamStream};

use crate::support::LONG;

/// The schedules that run by default.
const SEEDS: u64 = 80;

const THREADS: usize = 8;

/// The numbers of one seed (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.below(most))
            .map(|_| self.below(256) as u8)
            .collect()
    }
}

/// Starts a bridge that splits and delays as the seed decides.
fn start(seed: u64, numbers: &mut Numbers) -> TestBridge {
    let profiles = [Profile::Java, Profile::Emissary];
    let profile = profiles[numbers.below(2) as usize];
    let builder = TestBridge::builder().profile(profile).seed(seed);
    let bridge = builder.start().unwrap();
    if !numbers.one_in(4) {
        let (largest, pause) = (1 + numbers.below(700), numbers.below(200));
        let split = Fault::split(largest as usize, Duration::from_micros(pause));
        bridge.inject_each("HELLO", split);
    }
    for command in ["HELLO", "SESSION", "STREAM ACCEPT", "STREAM CONNECT"] {
        if numbers.one_in(2) {
            let delay = Duration::from_micros(numbers.below(3000));
            bridge.inject_each(command, Fault::delay(delay));
        }
    }
    bridge
}

fn echo_all(listener: &SamListener) {
    // An error that is not final is no end: the iterator knows.
    for stream in listener.incoming().filter_map(Result::ok) {
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = (&stream).read(&mut bytes) {
                if (&stream).write_all(&bytes[..read]).is_err() {
                    return;
                }
            }
        });
    }
}

/// Sends bytes, and returns those that come back before the stream ends.
fn echoed(stream: &SamStream, bytes: &[u8]) -> Vec<u8> {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut back = vec![0; bytes.len()];
    let mut len = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = stream;
            let _ = writer.write_all(bytes);
        });
        while len < back.len() {
            let mut reader = stream;
            match reader.read(&mut back[len..]) {
                Ok(read @ 1..) => len += read,
                Ok(_) => break,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("{error}"),
            }
        }
    });
    back.truncate(len);
    back
}

fn streams(seed: u64, numbers: &mut Numbers) {
    let bridge = start(seed, numbers);
    let server = bridge.bridge().session().stream().unwrap();
    let listener = server.listener().unwrap();
    let accepting = listener.try_clone().unwrap();
    thread::spawn(move || echo_all(&accepting));
    let client = bridge.bridge().session().stream().unwrap();
    for _ in 0..3 {
        let bytes = numbers.bytes(20_000);
        let cut = numbers.one_in(3).then(|| 24 + numbers.below(4000));
        if let Some(cut) = cut {
            bridge.inject("STREAM CONNECT", Fault::cut_after(cut));
        }
        let stream = client.connect(server.destination()).unwrap();
        let back = echoed(&stream, &bytes);
        assert!(bytes.starts_with(&back), "bytes were altered");
        assert!(
            cut.is_some() || back.len() == bytes.len(),
            "bytes were lost"
        );
    }
    assert_eq!((server.loss(), client.loss()), (None, None));
}

fn datagrams(seed: u64, numbers: &mut Numbers) {
    let bridge = TestBridge::builder().seed(seed).start().unwrap();
    let split = Fault::split(1 + numbers.below(900) as usize, Duration::from_micros(50));
    bridge.inject_each("HELLO", split);
    let transport = match numbers.one_in(2) {
        true => DatagramTransport::ControlSocket,
        false => DatagramTransport::default(),
    };
    let session = || {
        let builder = bridge
            .bridge()
            .session()
            .datagram_transport(transport.clone());
        let session = builder.datagram(DatagramStyle::Datagram).unwrap();
        session.set_read_timeout(Some(LONG)).unwrap();
        session
    };
    let (one, two) = (session(), session());
    let mut buf = vec![0; 40_000];
    for _ in 0..8 {
        let bytes = [&[1][..], &numbers.bytes(7600)].concat();
        one.send_to(&bytes, two.destination()).unwrap();
        let (len, sender) = two.recv_from(&mut buf).unwrap();
        assert_eq!(sender.destination(), Some(one.destination()));
        assert!(buf[..len] == bytes, "a datagram was altered");
    }
}

fn healing(seed: u64, numbers: &mut Numbers) {
    let bridge = start(seed, numbers);
    let pause = Duration::from_millis(5);
    let options = HealingOptions::new()
        .initial_backoff(pause)
        .max_backoff(pause);
    let server = bridge.bridge().session().healing_with(&options).unwrap();
    let listener = server.listener().unwrap();
    let accepting = listener.try_clone().unwrap();
    thread::spawn(move || echo_all(&accepting));
    let client = bridge.bridge().session().healing_with(&options).unwrap();
    for _ in 0..2 {
        match numbers.below(3) {
            0 => assert!(bridge.lose_session(server.destination())),
            1 => {
                bridge.lose_session(client.destination());
            }
            _ => bridge.restart().unwrap(),
        }
        // A dial fails as long as a session is away; none hangs.
        let bytes = numbers.bytes(3000);
        let answered = (0..400).any(|_| {
            let stream = client.connect_timeout(server.destination(), LONG);
            let back = stream.map(|stream| echoed(&stream, &bytes));
            let answered = back.is_ok_and(|back| back.len() == bytes.len());
            if !answered {
                thread::park_timeout(Duration::from_millis(10));
            }
            answered
        });
        assert!(answered, "the sessions never came back");
    }
}

fn run(seed: u64) {
    let mut numbers = Numbers(seed);
    match seed % 4 {
        0 | 1 => streams(seed, &mut numbers),
        2 => datagrams(seed, &mut numbers),
        _ => healing(seed, &mut numbers),
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

#[test]
fn random_schedules_lose_nothing_and_end() {
    if let Some(seed) = number("I2P_SAM_SEED") {
        return run(seed);
    }
    let seeds = number("I2P_SAM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    run(seed);
                }
            });
        }
    });
}
