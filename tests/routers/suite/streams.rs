//! Streams, as users of `TcpStream` know them.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::thread;
use std::time::Duration;

use crate::router::Router;
use crate::suite::behaviours;
use crate::suite::data::{bytes, exchange, greet, put, rest, take};

behaviours! {
    one_byte_arrives_both_ways [Streams];
    sixty_four_kib_arrive_both_ways [Streams];
    one_mib_arrives_both_ways [Streams];
    eight_mib_arrive_both_ways [Streams];
    stream_starts_at_first_byte [Streams];
    acceptor_may_send_first [Streams];
    peek_consumes_nothing [Streams];
    timed_out_read_loses_nothing [Streams];
    non_blocking_read_would_block [Streams];
    clone_reads_while_other_writes [Streams];
    vectored_write_arrives_in_order [Streams];
    simultaneous_small_writes_arrive_whole [Streams];
    streams_of_one_pair_stay_separate [Streams];
    tcp_socket_of_stream_continues [Streams];
}

fn one_byte_arrives_both_ways(router: &Router) {
    let (near, far) = router.pair().dial();
    exchange(&near, &far, 1);
}

fn sixty_four_kib_arrive_both_ways(router: &Router) {
    let (near, far) = router.pair().dial();
    exchange(&near, &far, 64 * 1024);
}

fn one_mib_arrives_both_ways(router: &Router) {
    let pair = router.pair();
    let (near, far) = pair.dial();
    exchange(&near, &far, 1024 * 1024);
}

fn eight_mib_arrive_both_ways(router: &Router) {
    // The pair is not shared, since this behaviour transfers in bulk.
    let pair = router.pair();
    let (near, far) = pair.dial();
    exchange(&near, &far, 8 * 1024 * 1024);
}

fn stream_starts_at_first_byte(router: &Router) {
    let pair = router.pair();
    for _ in 0..10 {
        // Written before the accept is requested: it may arrive with the destination line.
        let near = pair.client.connect(pair.server.destination()).unwrap();
        put(&near, b"first bytes");
        assert_eq!(take(&pair.accept(), 11), b"first bytes");
    }
}

fn acceptor_may_send_first(router: &Router) {
    let (near, far) = router.pair().dial();
    put(&far, b"220 ready");
    assert_eq!(take(&near, 9), b"220 ready");
}

fn peek_consumes_nothing(router: &Router) {
    let (near, far) = router.pair().dial();
    put(&near, b"look");
    let mut view = [0; 4];
    while far.peek(&mut view).unwrap() < view.len() {}
    assert_eq!(&view, b"look");
    assert_eq!(take(&far, 4), b"look");
}

fn timed_out_read_loses_nothing(router: &Router) {
    let (near, far) = router.pair().dial();
    far.set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let error = (&far).read(&mut [0; 1]).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    far.set_read_timeout(None).unwrap();
    greet(&near, &far);
}

fn non_blocking_read_would_block(router: &Router) {
    let (near, far) = router.pair().dial();
    far.set_nonblocking(true).unwrap();
    let error = (&far).read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    far.set_nonblocking(false).unwrap();
    greet(&near, &far);
}

fn clone_reads_while_other_writes(router: &Router) {
    let (near, far) = router.pair().dial();
    let reader = near.try_clone().unwrap();
    let reading = thread::spawn(move || take(&reader, 5));
    put(&near, b"question");
    assert_eq!(take(&far, 8), b"question");
    put(&far, b"reply");
    assert_eq!(reading.join().unwrap(), b"reply");
}

fn vectored_write_arrives_in_order(router: &Router) {
    let (near, far) = router.pair().dial();
    let parts = [
        IoSlice::new(b"one "),
        IoSlice::new(b"two "),
        IoSlice::new(b"three"),
    ];
    assert_eq!((&near).write_vectored(&parts).unwrap(), 13);
    assert_eq!(take(&far, 13), b"one two three");
}

fn simultaneous_small_writes_arrive_whole(router: &Router) {
    let (near, far) = router.pair().dial();
    let sent = bytes(20_000, 5);
    thread::scope(|scope| {
        for (from, to) in [(&near, &far), (&far, &near)] {
            let sent = &sent;
            scope.spawn(move || sent.chunks(37).for_each(|piece| put(from, piece)));
            scope.spawn(move || assert_eq!(&take(to, sent.len()), sent));
        }
    });
}

fn streams_of_one_pair_stay_separate(router: &Router) {
    let pair = router.pair();
    let streams: Vec<_> = (0..5).map(|_| pair.dial()).collect();
    for (number, (near, _)) in streams.iter().enumerate() {
        put(near, &bytes(1000, number as u64));
    }
    for (number, (_, far)) in streams.iter().enumerate() {
        assert_eq!(take(far, 1000), bytes(1000, number as u64));
    }
}

fn tcp_socket_of_stream_continues(router: &Router) {
    let session = router.session();
    let pair = router.pair();
    let stream = session.connect(pair.server.destination()).unwrap();
    drop(session);
    let (mut socket, guard) = stream.into_parts().unwrap();
    let (far, _) = pair.listener.accept_timeout(crate::router::LONG).unwrap();
    socket.write_all(b"bare").unwrap();
    assert_eq!(take(&far, 4), b"bare");
    put(&far, b"back");
    let mut word = [0; 4];
    socket.read_exact(&mut word).unwrap();
    assert_eq!((&word, guard.loss()), (b"back", None));
    drop((socket, guard));
    assert!(rest(&far).is_empty());
}
