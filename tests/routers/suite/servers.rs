//! The server of the examples, in its own process, with many streams.

use std::fs;

use crate::child::{self, Child};
use crate::router::Router;
use crate::suite::behaviours;

behaviours! {
    #[slow] thousand_open_streams_carry_data [Streams];
}

const STREAMS: usize = 1000;

/// The limit of resident memory for a server with so many streams, in kB.
const MEMORY: u64 = 64 * 1024;

fn thousand_open_streams_carry_data(router: &Router) {
    let network = router.start_process();
    let child = |name| {
        let mut command = child::command(name).unwrap();
        command.envs(network.environment());
        command
    };
    let server = Child::start(&mut child("echo-server"));
    let address = server.hear("Serving ");
    let idle = resident(&server);
    let count = STREAMS.to_string();
    let mut dialler = Child::start(child("dial-many").args([&address, &count]));
    assert_eq!(dialler.hear("open: "), count);
    dialler.tell("again");
    assert_eq!(dialler.hear("echoed: "), count);
    let busy = resident(&server);
    dialler.tell("again");
    assert_eq!(dialler.hear("echoed: "), count);
    dialler.tell("hang up");
    for _ in 0..STREAMS {
        server.hear(": 3000 bytes echoed");
    }
    dialler.finish();
    let counters = server.finish();
    println!(
        "{}: {busy} kB are resident in a server with {STREAMS} streams open, {idle} kB with none",
        router.name()
    );
    assert!(busy < MEMORY, "{busy} kB are resident");
    let expected = format!(
        "{STREAMS} accepted: {STREAMS} served, 0 failed, 0 panicked, 0 timed out, 0 cut off; \
         {STREAMS} at once at most"
    );
    assert_eq!(counters, expected);
}

/// Returns the resident memory of a child, in kB.
fn resident(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse().unwrap()
}
