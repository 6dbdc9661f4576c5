//! Losses in a program that runs for long.

use std::env;

use crate::child::{self, Child};
use crate::router::Router;
use crate::soak::Usage;
use crate::suite::behaviours;

behaviours! {
    #[slow] long_run_loses_no_stream_or_memory [Streams];
}

/// The duration in seconds. CI runs one minute; forty cover four renewals of the tunnels.
const LENGTH_VARIABLE: &str = "I2P_SAM_SOAK_SECONDS";
const SHORTEST: u64 = 60;

/// The tolerated loss per thousand datagrams, since nobody sends them again.
const LOST_DATAGRAMS: u64 = 10;

/// The tolerated growth of the program: memory that its allocator keeps.
const GROWTH: u64 = 4096;

fn length() -> u64 {
    let Ok(text) = env::var(LENGTH_VARIABLE) else {
        return SHORTEST;
    };
    let seconds = text.parse().ok();
    seconds.unwrap_or_else(|| panic!("{LENGTH_VARIABLE}={text} is no number of seconds"))
}

fn long_run_loses_no_stream_or_memory(router: &Router) {
    let network = router.start_process();
    let bridge = network.bridge();
    let options = network.raw_options().iter();
    let mut command = child::command("soak").unwrap();
    command
        .arg(bridge.address())
        .arg(network.udp_address().to_string())
        .arg(length().to_string())
        .args(options.map(|(name, value)| format!("{name}={value}")));
    let program = Child::start(&mut command);
    let router_before = Usage::of(network.process_id());
    let result = loop {
        let line = program.next();
        println!("{}: {line}", router.name());
        if let Some(counts) = line.strip_prefix("result ") {
            break counts.to_owned();
        }
    };
    let router_after = Usage::of(network.process_id());
    program.finish();
    let counts: Vec<u64> = result.split(' ').map(|n| n.parse().unwrap()).collect();
    let [dialled, answered, sent, arrived, usage @ ..] = counts.as_slice() else {
        panic!("{result}");
    };
    let [
        memory,
        memory_after,
        descriptors,
        descriptors_after,
        threads,
        threads_after,
    ] = usage
    else {
        panic!("{result}");
    };
    println!(
        "{}: {answered} of {dialled} streams answered, {arrived} of {sent} datagrams arrived; \
         program: {memory} to {memory_after} kB, {descriptors} to {descriptors_after} descriptors, \
         {threads} to {threads_after} threads; router: {router_before:?} to {router_after:?}",
        router.name()
    );
    assert_eq!(answered, dialled);
    assert!((sent - arrived) * 1000 <= sent * LOST_DATAGRAMS, "{result}");
    assert!(*memory_after <= memory + GROWTH, "{result}");
    assert!(descriptors_after <= descriptors, "{result}");
    assert!(threads_after <= threads, "{result}");
}
