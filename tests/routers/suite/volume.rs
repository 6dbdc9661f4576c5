//! Many datagrams: unaltered, not confused with each other, and few lost.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use i2p_sam::{DatagramSession, DatagramStyle, DroppedDatagrams};

use super::data;
use super::datagrams::{deliver, pair};
use crate::router::Router;
use crate::suite::behaviours;

behaviours! {
    #[slow] ten_thousand_datagrams_arrive_unaltered [LargeDatagrams];
    #[slow] paced_datagrams_lose_under_one_percent;
}

const EACH_WAY: u64 = 5000;
const LARGEST: u64 = 11_000;
const PACED: u64 = 2000;

/// The number of datagrams that are sent before the sender checks how many have arrived.
const WINDOW: u64 = 16;

/// The time to wait for datagrams in flight.
const PATIENCE: Duration = Duration::from_millis(500);

/// Every size from 1 to 11 000 bytes occurs, and no two datagrams are equal.
fn datagram(number: u64, of: u64) -> Vec<u8> {
    let size = 1 + number.wrapping_mul(7919) % LARGEST;
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend(data::bytes(size as usize, number * 2 + of));
    bytes.truncate(size as usize);
    bytes
}

/// Returns the number of a datagram if it was sent by the test. If it has fewer than eight bytes,
/// only these are compared.
fn number(received: &[u8], of: u64) -> u64 {
    let Some((head, _)) = received.split_first_chunk() else {
        let sent = (0..EACH_WAY).find(|number| datagram(*number, of) == received);
        return sent.expect("nobody sent this");
    };
    let number = u64::from_be_bytes(*head);
    assert!(number < EACH_WAY, "nobody sent this");
    assert!(datagram(number, of) == received, "{number} was altered");
    number
}

/// Sends all numbers, a window at a time, and returns how many have arrived.
fn send_all(from: &DatagramSession, to: &DatagramSession, of: u64) -> usize {
    let (came, comes) = mpsc::channel();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (sender, done) = (from.destination(), &done);
        let receiver = scope.spawn(move || {
            let mut buf = vec![0; 65_536];
            let mut seen = vec![false; EACH_WAY as usize];
            while !done.load(Ordering::Relaxed) {
                let Ok((len, who)) = to.recv_from(&mut buf) else {
                    continue;
                };
                assert_eq!(who.destination(), Some(sender));
                seen[number(&buf[..len], of) as usize] = true;
                let _ = came.send(());
            }
            seen.into_iter().filter(|seen| *seen).count()
        });
        for window in 0..EACH_WAY.div_ceil(WINDOW) {
            let numbers = window * WINDOW..EACH_WAY.min((window + 1) * WINDOW);
            let sent = numbers.end - numbers.start;
            for number in numbers {
                from.send_to(&datagram(number, of), to.destination())
                    .unwrap();
            }
            for _ in 0..sent {
                if comes.recv_timeout(PATIENCE).is_err() {
                    break;
                }
            }
        }
        while comes.recv_timeout(PATIENCE).is_ok() {}
        done.store(true, Ordering::Relaxed);
        receiver.join().unwrap()
    })
}

/// Sends packets that resemble a bridge's, for as long as the sessions run.
fn forge(at: [&DatagramSession; 2], until: &AtomicBool) -> u64 {
    let forger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let [near, far] = at;
    let mut sent = 0;
    while !until.load(Ordering::Relaxed) {
        for (to, pretended) in [(near, far), (far, near)] {
            let packet = format!("{}\nforged", pretended.destination());
            let to = to.udp_addr().unwrap();
            forger.send_to(packet.as_bytes(), to).unwrap();
            sent += 1;
        }
        pause(Duration::from_millis(1));
    }
    sent
}

fn ten_thousand_datagrams_arrive_unaltered(router: &Router) {
    let (near, far) = pair(router, DatagramStyle::Datagram);
    warm(&near, &far);
    let ended = AtomicBool::new(false);
    let (came, forged) = thread::scope(|scope| {
        let forger = scope.spawn(|| forge([&near, &far], &ended));
        let other = scope.spawn(|| send_all(&far, &near, 1));
        let came = send_all(&near, &far, 0) + other.join().unwrap();
        ended.store(true, Ordering::Relaxed);
        (came as u64, forger.join().unwrap())
    });
    let sent = 2 * EACH_WAY;
    println!(
        "{}: {came} of {sent} datagrams of 1 to {LARGEST} bytes came, and none of {forged} forged",
        router.name()
    );
    assert!(came >= sent * 9 / 10, "{came} of {sent} came");
    for session in [&near, &far] {
        let DroppedDatagrams {
            foreign, malformed, ..
        } = session.dropped();
        assert!(foreign > 0, "no forged packet came");
        assert_eq!(malformed, 0);
    }
}

fn paced_datagrams_lose_under_one_percent(router: &Router) {
    let (near, far) = pair(router, DatagramStyle::Datagram);
    warm(&near, &far);
    let came = thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut buf = vec![0; 2000];
            let mut came = 0;
            // The timeout is longer than any pause of the sender.
            while let Ok((len, _)) = far.recv_from(&mut buf) {
                came += u64::from(len == 1000);
            }
            came
        });
        for number in 0..PACED {
            let payload = data::bytes(1000, number);
            near.send_to(&payload, far.destination()).unwrap();
            pause(Duration::from_millis(4));
        }
        receiver.join().unwrap()
    });
    let lost = PACED.saturating_sub(came);
    println!("{}: {lost} of {PACED} paced datagrams lost", router.name());
    assert!(lost * 100 < PACED, "{lost} of {PACED} are lost");
}

/// The first datagrams only make routers look each other up.
fn warm(near: &DatagramSession, far: &DatagramSession) {
    deliver(near, far, b"warm there");
    deliver(far, near, b"warm back");
    let mut buf = [0; 100];
    for session in [near, far] {
        // Datagrams that were sent again.
        while session.recv_from(&mut buf).is_ok() {}
    }
}

fn pause(time: Duration) {
    let (_hold, clock) = mpsc::channel::<()>();
    let _ = clock.recv_timeout(time);
}
