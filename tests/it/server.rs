//! The server: its limits, its deadlines and its end.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use i2p_sam::server::{Server, ServerFailure, ServerOptions, ServerStats};
use i2p_sam::{Cancel, Error, SamStream, StreamSession};

use crate::support::ordered::{Ordered, calls};
use crate::support::{
    LONG, ScriptedBridge, Signal, Stage, Visit, eventually, in_background, key, milestone, outcome,
};

const SHORT: Duration = Duration::from_millis(200);

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Limits that no test reaches unless it is about them.
fn limits() -> ServerOptions {
    ServerOptions::new()
        .max_connections(16)
        .connection_timeout(Some(LONG))
        .grace(LONG)
}

/// A server that runs on a scripted bridge.
struct Serving {
    server: Server,
    ended: mpsc::Receiver<Result<(), Error>>,
}

impl Serving {
    fn on(
        session: &StreamSession,
        options: ServerOptions,
        handler: impl Fn(SamStream) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        let server = Server::new(&options);
        let listener = session.listener().unwrap();
        let serving = server.clone();
        let ended = in_background(move || serving.serve(listener, handler));
        Self { server, ended }
    }

    fn is_over(&self) -> bool {
        !matches!(self.ended.try_recv(), Err(mpsc::TryRecvError::Empty))
    }

    fn stop(self) -> ServerStats {
        self.server.stop();
        outcome(&self.ended).unwrap();
        self.server.stats()
    }
}

/// A gate at which handlers wait until the test lets them through, one at a time.
fn door() -> (mpsc::Sender<()>, impl Fn() + Send + Sync + 'static) {
    let (open, opened) = mpsc::channel();
    let opened = Mutex::new(opened);
    let pass = move || {
        // Without a test behind the gate, handlers pass.
        let _ = opened.lock().unwrap().recv();
    };
    (open, pass)
}

/// A peer that sends hello, and signals when its connection is closed.
fn told(hung_up: Signal) -> impl FnOnce(&mut Visit<'_, '_>) + Send + 'static {
    move |visit| {
        calls(1)(visit);
        hung_up.reached();
    }
}

fn read_to_end(mut stream: &SamStream) -> Outcome<usize> {
    Ok(stream.read_to_end(&mut Vec::new())?)
}

#[test]
fn concurrency_is_bounded_and_waiting_peers_served() {
    let router = Ordered::start();
    let session = router.session(4);
    let (began, begins) = milestone();
    let (open, pass) = door();
    let running = AtomicUsize::new(0);
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let limits = limits().max_connections(3);
    let serving = Serving::on(&session, limits, move |_| {
        seen.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        began.reached();
        pass();
        running.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    });
    let (called, calling) = milestone();
    for seed in 0..10 {
        let called = called.clone();
        router.order(move |visit| {
            called.reached();
            calls(seed)(visit);
        });
    }
    (0..10).for_each(|_| outcome(&calling));
    (0..3).for_each(|_| outcome(&begins));
    for _ in 3..10 {
        assert!(begins.try_recv().is_err());
        open.send(()).unwrap();
        outcome(&begins);
    }
    drop(open);
    let counters = serving.stop();
    assert_eq!(most.load(Ordering::SeqCst), 3);
    let expected = "10 accepted, 0 open, 10 served, 0 failed, 0 panicked, 0 timed out, 0 cut off, 3 at once at most";
    assert_eq!(counters.to_string(), expected);
}

#[test]
fn dripping_peer_is_ended_at_deadline() {
    let router = Ordered::start();
    let session = router.session(1);
    let limits = limits().connection_timeout(Some(SHORT));
    let (told, tells) = mpsc::channel();
    let serving = Serving::on(&session, limits, move |stream| {
        // It reads a byte long before its read timeout, each time.
        stream.set_read_timeout(Some(LONG))?;
        let began = Instant::now();
        told.send((read_to_end(&stream)?, began.elapsed()))?;
        Ok(())
    });
    router.order(|visit| {
        visit.say(&format!("{}\n", key(1).destination()));
        visit.drip(&[b'x'; 2000], Duration::from_millis(10));
    });
    let (bytes, took) = outcome(&tells);
    assert!(bytes > 1, "{bytes} bytes came");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let counters = serving.stop();
    assert_eq!((counters.timed_out, counters.served), (1, 0));
}

#[test]
fn silent_peer_does_not_block_full_server() {
    let router = Ordered::start();
    let session = router.session(1);
    let limits = limits().max_connections(1).connection_timeout(Some(SHORT));
    let (heard, hears) = milestone();
    let serving = Serving::on(&session, limits, move |mut stream| {
        stream.read_exact(&mut [0; 5])?;
        heard.reached();
        Ok(())
    });
    router.order(|visit| {
        visit.say(&format!("{}\n", key(1).destination()));
        visit.rest();
    });
    router.order(calls(2));
    outcome(&hears);
    let counters = serving.stop();
    let expected = "2 accepted, 0 open, 1 served, 0 failed, 0 panicked, 1 timed out, 0 cut off, 1 at once at most";
    assert_eq!(counters.to_string(), expected);
}

#[test]
fn stop_finishes_running_and_rejects_later_peers() {
    let router = Ordered::start();
    let session = router.session(1);
    let (began, begins) = milestone();
    let (open, pass) = door();
    let serving = Serving::on(&session, limits(), move |mut stream| {
        began.reached();
        pass();
        Ok(stream.write_all(b"answered")?)
    });
    let (answer, answers) = mpsc::channel();
    router.order(move |visit| {
        visit.say(&format!("{}\n", key(1).destination()));
        answer.send(visit.rest()).unwrap();
    });
    outcome(&begins);
    serving.server.stop();
    let (hung_up, hangs_up) = milestone();
    router.order(told(hung_up));
    outcome(&hangs_up);
    assert!(!serving.is_over());
    assert!(answers.try_recv().is_err());
    open.send(()).unwrap();
    assert_eq!(outcome(&answers), b"answered");
    let counters = serving.stop();
    assert_eq!((counters.accepted, counters.served), (1, 1));
}

#[test]
fn unfinished_handlers_are_cut_after_grace() {
    let router = Ordered::start();
    let session = router.session(2);
    let (began, begins) = milestone();
    let limits = limits().grace(SHORT);
    let serving = Serving::on(&session, limits, move |stream| {
        began.reached();
        read_to_end(&stream)?;
        Ok(())
    });
    let (hung_up, hangs_up) = milestone();
    for _ in 0..2 {
        router.order(told(hung_up.clone()));
        outcome(&begins);
    }
    assert!(hangs_up.try_recv().is_err());
    let counters = serving.stop();
    (0..2).for_each(|_| outcome(&hangs_up));
    let expected = "2 accepted, 0 open, 0 served, 0 failed, 0 panicked, 0 timed out, 2 cut off, 2 at once at most";
    assert_eq!(counters.to_string(), expected);
}

#[test]
fn stuck_handler_does_not_delay_stop() {
    let router = Ordered::start();
    let session = router.session(1);
    let (began, begins) = milestone();
    let (_open, pass) = door();
    let limits = limits().grace(SHORT);
    let serving = Serving::on(&session, limits, move |_| {
        began.reached();
        pass();
        Ok(())
    });
    router.order(calls(1));
    outcome(&begins);
    assert_eq!(serving.stop().cut_off, 1);
}

#[test]
fn panicking_handler_frees_place_and_stream() {
    let router = Ordered::start();
    let session = router.session(1);
    let limits = limits().max_connections(1);
    let (heard, hears) = milestone();
    let panicking = AtomicUsize::new(3);
    let serving = Serving::on(&session, limits, move |_| {
        if panicking.load(Ordering::SeqCst) > 0 {
            panicking.fetch_sub(1, Ordering::SeqCst);
            panic!("this is what the test is about");
        }
        heard.reached();
        Ok(())
    });
    let (hung_up, hangs_up) = milestone();
    for _ in 0..3 {
        router.order(told(hung_up.clone()));
        outcome(&hangs_up);
    }
    router.order(calls(1));
    outcome(&hears);
    let counters = serving.stop();
    assert_eq!((counters.panicked, counters.served), (3, 1));
}

#[test]
fn every_outcome_is_counted() {
    let router = Ordered::start();
    let session = router.session(1);
    let (ended, ends) = milestone();
    let serving = Serving::on(&session, limits(), |mut stream| {
        let mut word = [0; 4];
        stream.read_exact(&mut word)?;
        match &word {
            b"good" => Ok(()),
            b"loop" => panic!("this is what the test is about"),
            word => Err(format!("what is {word:?}?").into()),
        }
    });
    for word in ["good", "loop", "evil", "good", "end"] {
        let ended = ended.clone();
        router.order(move |visit| {
            visit.say(&format!("{}\n{word}", key(1).destination()));
            if word != "end" {
                visit.rest();
            }
            ended.reached();
        });
        outcome(&ends);
    }
    let server = serving.server.clone();
    eventually("the last has ended", || server.stats().failed == 2);
    let expected = "5 accepted, 0 open, 2 served, 2 failed, 1 panicked, 0 timed out, 0 cut off, 1 at once at most";
    assert_eq!(serving.stop().to_string(), expected);
}

#[test]
fn session_loss_ends_server_with_reason() {
    let (lose, lost) = mpsc::channel::<()>();
    let lost = Mutex::new(lost);
    let bridge = ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => {
            let _ = lost.lock().unwrap().recv();
        }
        _ => drop(visit.rest()),
    });
    let session = bridge
        .bridge()
        .session()
        .pending_accepts(1)
        .stream()
        .unwrap();
    let serving = Serving::on(&session, limits(), |_| Ok(()));
    assert!(!serving.is_over());
    lose.send(()).unwrap();
    let error = outcome(&serving.ended).unwrap_err();
    assert!(error.is_session_lost(), "{error}");
}

#[test]
fn closed_server_ends_connections_at_once() {
    let router = Ordered::start();
    let session = router.session(1);
    let (began, begins) = milestone();
    let cancel = Cancel::new();
    let serving = Serving::on(&session, limits().with_cancel(&cancel), move |stream| {
        began.reached();
        read_to_end(&stream)?;
        Ok(())
    });
    router.order(calls(1));
    outcome(&begins);
    // `close` of the server does the same.
    cancel.cancel();
    outcome(&serving.ended).unwrap();
    assert!(serving.server.is_stopped());
    assert_eq!(serving.server.stats().cut_off, 1);
}

#[test]
fn server_closed_before_it_serves_returns_at_once() {
    let router = Ordered::start();
    let session = router.session(1);
    let server = Server::new(&limits());
    server.close();
    let handler = |_| Outcome::Ok(());
    server.serve(session.listener().unwrap(), handler).unwrap();
    assert_eq!(server.stats(), ServerStats::default());
}

#[test]
fn failures_name_peer_and_reason() {
    let router = Ordered::start();
    let session = router.session(1);
    let (failure, failures) = mpsc::channel();
    let failure = Mutex::new(failure);
    let options = limits()
        .connection_timeout(Some(SHORT))
        .on_failure(move |found| {
            let failed = match found {
                ServerFailure::Handler { source, .. } => format!("{found}: {source}"),
                found => found.to_string(),
            };
            failure.lock().unwrap().send(failed).unwrap();
            // The server continues.
            panic!("this is what the test is about");
        });
    let calls_so_far = AtomicUsize::new(0);
    let serving = Serving::on(&session, options, move |stream| {
        match calls_so_far.fetch_add(1, Ordering::SeqCst) {
            0 => Err("out of paper".into()),
            1 => panic!("this is what the test is about"),
            _ => read_to_end(&stream).map(drop),
        }
    });
    let peer = key(1).destination().b32();
    for expected in [
        format!("the connection of {peer} failed: out of paper"),
        format!("the handler of {peer} panicked"),
        format!("the connection of {peer} took longer than {SHORT:?}"),
    ] {
        router.order(|visit| {
            visit.say(&format!("{}\n", key(1).destination()));
            visit.rest();
        });
        assert_eq!(outcome(&failures), expected);
    }
    let counters = serving.stop();
    let ended = (counters.failed, counters.panicked, counters.timed_out);
    assert_eq!((ended, counters.served), ((1, 1, 1), 0));
}
