//! Accepting: from many threads, with and without a timeout.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{Cancel, Error};

use crate::ON_PROFILES;
use crate::router::{LONG, Router};
use crate::suite::behaviours;
use crate::suite::data::{bytes, checksum, greet, persist, put, rest, take};

behaviours! {
    accepted_peer_is_the_dialler [Streams];
    two_callers_are_distinguished [Streams];
    timed_out_accept_loses_no_peer [Streams];
    thousand_timed_out_accepts_lose_no_peer [Streams];
    non_blocking_accept_finds_peer [Streams];
    cancelled_accept_loses_no_peer [Streams];
    second_listener_accepts [Streams];
    stream_without_listener_is_closed [Streams];
    eight_threads_accept_400_streams [Streams];
    incoming_yields_every_stream [Streams];
    two_thousand_consecutive_dials_find_listener [Streams];
    #[slow] accept_pending_for_a_minute_succeeds [Streams];
}

fn accepted_peer_is_the_dialler(router: &Router) {
    let pair = router.pair();
    let (near, far) = pair.dial();
    assert_eq!(far.peer_destination(), Some(pair.client.destination()));
    assert_eq!(
        far.local_addr().destination(),
        Some(pair.server.destination())
    );
    assert_eq!(
        near.local_addr().destination(),
        Some(pair.client.destination())
    );
}

fn two_callers_are_distinguished(router: &Router) {
    let other = router.session();
    let pair = router.pair();
    let _first = pair.client.connect(pair.server.destination()).unwrap();
    let _second = other.connect(pair.server.destination()).unwrap();
    let accept = || pair.listener.accept_timeout(LONG).unwrap().1;
    let came = HashSet::from([accept().b32(), accept().b32()]);
    let dialled = [pair.client.destination(), other.destination()];
    assert_eq!(came, HashSet::from(dialled.map(|peer| Some(peer.b32()))));
}

fn timed_out_accept_loses_no_peer(router: &Router) {
    accept_in_vain(router, Duration::from_millis(50));
}

fn accept_in_vain(router: &Router, timeout: Duration) {
    let pair = router.pair();
    let error = pair.listener.accept_timeout(timeout).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let (near, far) = pair.dial();
    greet(&near, &far);
}

fn thousand_timed_out_accepts_lose_no_peer(router: &Router) {
    let pair = router.pair();
    for _ in 0..1000 {
        let outcome = pair.listener.accept_timeout(Duration::from_millis(1));
        assert!(outcome.unwrap_err().is_timeout());
    }
    let (near, far) = pair.dial();
    greet(&near, &far);
}

fn non_blocking_accept_finds_peer(router: &Router) {
    let pair = router.pair();
    let listener = pair.listener.try_clone().unwrap();
    listener.set_nonblocking(true).unwrap();
    assert!(matches!(listener.accept(), Err(Error::WouldBlock)));
    let near = pair.client.connect(pair.server.destination()).unwrap();
    let deadline = Instant::now() + LONG;
    let far = loop {
        match listener.accept() {
            Ok((far, _)) => break far,
            Err(error) => assert!(matches!(error, Error::WouldBlock), "{error}"),
        }
        assert!(Instant::now() < deadline, "nobody came");
        thread::yield_now();
    };
    listener.set_nonblocking(false).unwrap();
    greet(&near, &far);
}

fn cancelled_accept_loses_no_peer(router: &Router) {
    let pair = router.pair();
    let cancel = Cancel::new();
    let listener = pair.listener.with_cancel(&cancel);
    let waiting = thread::spawn(move || (listener.accept().map(drop), Instant::now()));
    let fired = Instant::now();
    cancel.cancel();
    let (outcome, ended) = waiting.join().unwrap();
    assert!(matches!(outcome, Err(Error::Cancelled { .. })));
    assert!(ended < fired + Duration::from_millis(100));
    let (near, far) = pair.dial();
    greet(&near, &far);
}

fn second_listener_accepts(router: &Router) {
    let (server, pair) = (router.session(), router.pair());
    for _ in 0..2 {
        let listener = server.listener().unwrap();
        let near = pair.client.connect(server.destination()).unwrap();
        let (far, _) = listener.accept_timeout(LONG).unwrap();
        greet(&near, &far);
    }
}

fn stream_without_listener_is_closed(router: &Router) {
    let (server, pair) = (router.session(), router.pair());
    drop(server.listener().unwrap());
    let near = pair.client.connect(server.destination()).unwrap();
    assert!(rest(&near).is_empty());
}

/// The acceptance test of pending accepts: many threads on both sides, and no stream is lost.
fn eight_threads_accept_400_streams(router: &Router) {
    const THREADS: usize = 8;
    const STREAMS: usize = 400;
    const SIZE: usize = 4096;
    let pair = router.pair();
    let cancel = Cancel::new();
    let (served, dialled) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let seen = Mutex::new(HashSet::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let listener = pair.listener.with_cancel(&cancel);
            let (served, seen) = (&served, &seen);
            scope.spawn(move || {
                for stream in listener.incoming() {
                    let stream = match stream {
                        Err(Error::Cancelled { .. }) => return,
                        stream => stream.unwrap(),
                    };
                    let received = take(&stream, SIZE);
                    seen.lock().unwrap().insert(checksum(&received));
                    put(&stream, &received);
                    assert!(rest(&stream).is_empty());
                    served.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let mut dialling = Vec::new();
        for _ in 0..THREADS {
            let (pair, dialled) = (&pair, &dialled);
            dialling.push(scope.spawn(move || {
                loop {
                    let number = dialled.fetch_add(1, Ordering::SeqCst);
                    if number >= STREAMS {
                        return;
                    }
                    let sent = bytes(SIZE, number as u64 + 1000);
                    let stream = pair.client.connect(pair.server.destination()).unwrap();
                    stream.set_read_timeout(Some(LONG)).unwrap();
                    put(&stream, &sent);
                    assert_eq!(checksum(&take(&stream, SIZE)), checksum(&sent));
                }
            }));
        }
        let all_dialled = dialling.into_iter().all(|thread| thread.join().is_ok());
        let deadline = Instant::now() + LONG;
        while all_dialled && served.load(Ordering::SeqCst) < STREAMS && Instant::now() < deadline {
            thread::yield_now();
        }
        cancel.cancel();
        assert!(all_dialled, "a dial failed");
    });
    assert_eq!(served.into_inner(), STREAMS);
    assert_eq!(seen.into_inner().unwrap().len(), STREAMS);
}

fn incoming_yields_every_stream(router: &Router) {
    let pair = router.pair();
    let near: Vec<_> = (0..5)
        .map(|_| pair.client.connect(pair.server.destination()).unwrap())
        .collect();
    for far in pair.listener.incoming().take(near.len()) {
        put(&far.unwrap(), b"!");
    }
    for stream in near {
        assert_eq!(take(&stream, 1), b"!");
    }
}

fn accept_pending_for_a_minute_succeeds(router: &Router) {
    accept_in_vain(router, Duration::from_secs(61));
}

fn two_thousand_consecutive_dials_find_listener(router: &Router) {
    const DIALS: u64 = if ON_PROFILES { 500 } else { 2000 };
    const DIALLERS: u64 = 4;
    let (server, client) = (router.session(), router.session());
    let listener = server.listener().unwrap();
    let serving = thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            thread::spawn(move || {
                let mut word = [0; 8];
                let answered = { &stream }.read_exact(&mut word);
                // One of the diallers that reached the listener sends nothing.
                if answered.is_ok() {
                    put(&stream, &word);
                    rest(&stream);
                }
            });
        }
    });
    let dial = |word: u64| {
        let near = client.connect(server.destination()).unwrap();
        near.set_read_timeout(Some(LONG)).unwrap();
        put(&near, &word.to_be_bytes());
        assert_eq!(take(&near, 8), word.to_be_bytes());
    };
    persist(|| client.connect(server.destination()).ok());
    let start = Instant::now();
    thread::scope(|scope| {
        for dialler in 0..DIALLERS {
            scope.spawn(move || (0..DIALS / DIALLERS).for_each(|n| dial(dialler * DIALS + n)));
        }
    });
    println!(
        "{}: {DIALS} dials, none refused, in {:.1?}",
        router.name(),
        start.elapsed()
    );
    server.close();
    serving.join().unwrap();
}
