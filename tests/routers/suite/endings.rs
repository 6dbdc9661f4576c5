//! How streams and sessions end.

use std::net::Shutdown;
use std::thread;

use i2p_sam::{Error, SessionLoss};

use crate::router::{LONG, Pair, Router};
use crate::suite::behaviours;
use crate::suite::data::{bytes, greet, put, rest};

behaviours! {
    the_dialler_hangs_up_and_the_other_side_reads_the_end [Streams];
    who_accepted_hangs_up_and_the_other_side_reads_the_end [Streams];
    what_is_written_just_before_the_end_arrives [Streams];
    what_a_passing_session_says_last_arrives [Streams];
    a_shutdown_ends_the_read_of_a_clone [Streams];
    the_end_of_a_stream_is_no_loss_of_the_session [Streams];
    a_stream_lives_on_when_its_session_was_dropped [Streams];
    a_listener_lives_on_when_its_session_was_dropped [Streams];
    closing_a_session_ends_its_streams_on_both_sides [Streams];
    closing_a_session_ends_what_waits_on_it;
    a_closed_session_says_so;
    a_session_can_be_closed_twice;
}

fn the_dialler_hangs_up_and_the_other_side_reads_the_end(router: &Router) {
    let (near, far) = router.pair().dial();
    greet(&near, &far);
    drop(near);
    assert!(rest(&far).is_empty());
}

fn who_accepted_hangs_up_and_the_other_side_reads_the_end(router: &Router) {
    let (near, far) = router.pair().dial();
    greet(&near, &far);
    drop(far);
    assert!(rest(&near).is_empty());
}

fn what_is_written_just_before_the_end_arrives(router: &Router) {
    let (near, far) = router.pair().dial();
    greet(&near, &far);
    let last = bytes(200_000, 3);
    put(&far, &last);
    drop(far);
    assert_eq!(rest(&near), last);
}

fn what_a_passing_session_says_last_arrives(router: &Router) {
    let pair = router.pair();
    let last = bytes(50_000, 4);
    put(
        &router.session().connect(pair.server.destination()).unwrap(),
        &last,
    );
    // Stream and session are gone by now.
    let (far, _) = pair.listener.accept_timeout(LONG).unwrap();
    assert_eq!(rest(&far), last);
}

fn a_shutdown_ends_the_read_of_a_clone(router: &Router) {
    let (near, _far) = router.pair().dial();
    let reader = near.try_clone().unwrap();
    let reading = thread::spawn(move || rest(&reader));
    near.shutdown(Shutdown::Both).unwrap();
    assert!(reading.join().unwrap().is_empty());
}

fn the_end_of_a_stream_is_no_loss_of_the_session(router: &Router) {
    let pair = router.pair();
    let (near, far) = pair.dial();
    greet(&near, &far);
    drop(far);
    assert!(rest(&near).is_empty());
    assert_eq!(near.session_error(), None);
    assert_eq!(pair.client.closed(), None);
}

fn a_stream_lives_on_when_its_session_was_dropped(router: &Router) {
    let pair = router.pair();
    let near = {
        let session = router.session();
        session.connect(pair.server.destination()).unwrap()
    };
    let (far, _) = pair.listener.accept_timeout(LONG).unwrap();
    greet(&near, &far);
}

fn a_listener_lives_on_when_its_session_was_dropped(router: &Router) {
    let pair = router.pair();
    let listener = router.session().listener().unwrap();
    let near = pair.client.connect(listener.local_addr()).unwrap();
    let (far, _) = listener.accept_timeout(LONG).unwrap();
    greet(&near, &far);
}

fn closing_a_session_ends_its_streams_on_both_sides(router: &Router) {
    let pair = Pair::new(router);
    let (near, far) = pair.dial();
    greet(&near, &far);
    pair.server.close();
    assert!(rest(&far).is_empty());
    assert_eq!(far.session_error(), Some(SessionLoss::Closed));
    assert!(rest(&near).is_empty(), "the far side is told");
    assert_eq!(near.session_error(), None);
}

fn closing_a_session_ends_what_waits_on_it(router: &Router) {
    let session = router.session();
    let listener = session.listener().unwrap();
    let waiting = session.clone();
    let accepting = thread::spawn(move || listener.accept().map(drop));
    let closing = thread::spawn(move || waiting.wait_closed(Some(LONG)));
    session.close();
    let closed = SessionLoss::Closed;
    let outcome = accepting.join().unwrap();
    assert!(matches!(outcome, Err(Error::SessionLost(loss)) if loss == closed));
    assert_eq!(closing.join().unwrap().unwrap(), closed);
}

fn a_closed_session_says_so(router: &Router) {
    let session = router.session();
    session.close();
    assert_eq!(session.closed(), Some(SessionLoss::Closed));
    let nobody = router
        .bridge()
        .generate(i2p_sam::SignatureType::Ed25519)
        .unwrap();
    let error = session.connect(nobody.destination()).unwrap_err();
    assert!(error.is_session_lost(), "{error}");
    assert!(session.listener().unwrap_err().is_session_lost());
}

fn a_session_can_be_closed_twice(router: &Router) {
    let session = router.session();
    session.close();
    session.clone().close();
    assert_eq!(session.closed(), Some(SessionLoss::Closed));
}
