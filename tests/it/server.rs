//! The server of the examples: its limits, its deadlines and how it stops.

#[path = "../../examples/common/server.rs"]
mod example;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use example::{Counters, Handler, Limits, Outcome, Server};
use i2p_sam::{Error, SamStream, StreamSession};

use crate::support::ordered::{Ordered, calls};
use crate::support::{
    LONG, ScriptedBridge, Signal, Stage, Visit, eventually, in_background, key, milestone, outcome,
};

const SHORT: Duration = Duration::from_millis(200);

/// Limits that no test reaches unless it is about them.
const LIMITS: Limits = Limits {
    connections: 16,
    stack: 128 * 1024,
    time: LONG,
    grace: LONG,
};

/// A server that runs on a scripted bridge.
struct Serving {
    server: Arc<Server>,
    ended: mpsc::Receiver<Result<(), Error>>,
}

impl Serving {
    fn on(session: &StreamSession, limits: Limits, handler: impl Handler) -> Self {
        let server = Server::new(limits);
        let listener = session.listener().unwrap();
        let serving = Arc::clone(&server);
        let ended = in_background(move || serving.serve(listener, handler));
        Self { server, ended }
    }

    fn is_over(&self) -> bool {
        !matches!(self.ended.try_recv(), Err(mpsc::TryRecvError::Empty))
    }

    fn stop(self) -> Counters {
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
    let limits = Limits {
        connections: 3,
        ..LIMITS
    };
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
    let expected = Counters {
        accepted: 10,
        served: 10,
        most_at_once: 3,
        ..Counters::default()
    };
    assert_eq!(counters, expected);
}

#[test]
fn dripping_peer_is_ended_at_deadline() {
    let router = Ordered::start();
    let session = router.session(1);
    let limits = Limits {
        time: SHORT,
        ..LIMITS
    };
    let (told, tells) = mpsc::channel();
    let serving = Serving::on(&session, limits, move |stream| {
        // It reads a byte long before its read timeout, each time.
        stream.set_read_timeout(Some(LONG))?;
        let began = Instant::now();
        told.send((read_to_end(stream)?, began.elapsed()))?;
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
    let limits = Limits {
        connections: 1,
        time: SHORT,
        ..LIMITS
    };
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
    let expected = Counters {
        accepted: 2,
        served: 1,
        timed_out: 1,
        most_at_once: 1,
        ..Counters::default()
    };
    assert_eq!(counters, expected);
}

#[test]
fn stop_finishes_running_and_rejects_later_peers() {
    let router = Ordered::start();
    let session = router.session(1);
    let (began, begins) = milestone();
    let (open, pass) = door();
    let serving = Serving::on(&session, LIMITS, move |mut stream| {
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
    let limits = Limits {
        grace: SHORT,
        ..LIMITS
    };
    let serving = Serving::on(&session, limits, move |stream| {
        began.reached();
        read_to_end(stream)?;
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
    let expected = Counters {
        accepted: 2,
        cut_off: 2,
        most_at_once: 2,
        ..Counters::default()
    };
    assert_eq!(counters, expected);
}

#[test]
fn stuck_handler_does_not_delay_stop() {
    let router = Ordered::start();
    let session = router.session(1);
    let (began, begins) = milestone();
    let (_open, pass) = door();
    let limits = Limits {
        grace: SHORT,
        ..LIMITS
    };
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
    let limits = Limits {
        connections: 1,
        ..LIMITS
    };
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
    let serving = Serving::on(&session, LIMITS, |mut stream| {
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
    let server = Arc::clone(&serving.server);
    eventually("the last has ended", || server.stats().failed == 2);
    let expected = Counters {
        accepted: 5,
        served: 2,
        failed: 2,
        panicked: 1,
        most_at_once: 1,
        ..Counters::default()
    };
    assert_eq!(serving.stop(), expected);
    assert_eq!(
        expected.to_string(),
        "5 accepted: 2 served, 2 failed, 1 panicked, 0 timed out, 0 cut off; 1 at once at most"
    );
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
    let serving = Serving::on(&session, LIMITS, |_| Ok(()));
    assert!(!serving.is_over());
    lose.send(()).unwrap();
    let error = outcome(&serving.ended).unwrap_err();
    assert!(error.is_session_lost(), "{error}");
}
