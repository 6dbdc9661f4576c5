//! The instructions of the calls that use sockets, by callgrind. The threads of a process are counted
//! together.

use crate::Failure;
use crate::client::KINDS;
use crate::table::{self, COMPARED, compared, figure, ratio};
use crate::tools::{self, Job};

pub fn print() -> Result<(), Failure> {
    match rows() {
        Ok((streams, datagrams)) => {
            table::print("Instructions of a stream", &COMPARED, &streams);
            let columns = ["", "UdpSocket", "i2p-sam", "i2p-sam / UdpSocket"];
            table::print(
                "Instructions of a datagram of 1000 bytes",
                &columns,
                &datagrams,
            );
        }
        Err(error) => println!("\nNo instructions: {error}. They need `valgrind`."),
    }
    Ok(())
}

type Rows = Vec<Vec<String>>;

fn rows() -> Result<(Rows, Rows), Failure> {
    let mut streams = Vec::new();
    for (job, names) in [
        (
            Job::STREAMS,
            ["connect, echo, close", "accept, echo, close"],
        ),
        (
            Job::WORDS,
            ["write and read 32 bytes", "read and write 32 bytes"],
        ),
    ] {
        let mut sides = [[0.0; 3]; 2];
        for (at, kind) in KINDS.iter().enumerate() {
            for (side, count) in sides.iter_mut().zip(tools::instructions(job, kind)?) {
                side[at] = count;
            }
        }
        streams.extend(
            names
                .iter()
                .zip(sides)
                .map(|(name, counts)| compared(name, counts)),
        );
    }
    let mut datagrams = Vec::new();
    for (program, name) in [
        ("datagrams-out", "send to one peer"),
        ("datagrams-out-turn", "send to two peers in turn"),
        ("datagrams-in", "receive from one peer"),
        ("datagrams-in-turn", "receive from two peers in turn"),
    ] {
        let count = |kind| tools::instructions(Job::Datagrams(program), kind);
        let (plain, ours) = (count("std")?[0], count("i2p-sam")?[0]);
        datagrams.push(vec![
            name.to_owned(),
            figure(plain),
            figure(ours),
            ratio(ours, plain),
        ]);
    }
    Ok((streams, datagrams))
}
