//! Example servers, each in a process of its own, and a program that dials one of them many times.

#[path = "../../examples/echo_server.rs"]
#[allow(
    dead_code,
    clippy::duplicate_mod,
    reason = "it is started from here, not by its own `main`, and has the same parts as the other"
)]
mod echo_server;

#[path = "../../examples/http_server.rs"]
#[allow(
    dead_code,
    clippy::duplicate_mod,
    reason = "it is started from here, not by its own `main`, and has the same parts as the other"
)]
mod http_server;

use std::io::{self, BufRead, Write};
use std::iter;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use echo_server::common::{Outcome, Place};
use i2p_sam::SamStream;
use i2p_sam::server::{Server, ServerOptions};

use crate::suite::data;

/// Bytes that a stream carries at a time.
const PIECE: usize = 1000;

/// Streams that are dialled, or at work, at the same time.
const WORKERS: usize = 16;

/// Longest wait for a reply.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program of the server's process: the example, with more room, until its input ends.
pub(crate) fn serve(_: &[String]) -> io::Result<()> {
    let options = ServerOptions::new().max_connections(1100);
    let server = Server::new(&options.stack_size(128 * 1024));
    let stopping = server.clone();
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        stopping.stop();
    });
    let place = Place::find().map_err(io::Error::other)?;
    echo_server::run(&place, &server, || Ok(())).map_err(io::Error::other)
}

/// The program of a process that serves pages: the example, with this key file.
pub(crate) fn serve_pages(args: &[String]) -> io::Result<()> {
    // It serves until it is killed, or until its parent has ended.
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(0);
    });
    http_server::run(args.first().map(String::as_str)).map_err(io::Error::other)
}

/// The program of the other process: it dials an echo server this many times, and prints a line when all
/// streams are open and have carried data. For each line `again` in its input, all of them carry new data.
/// The line `hang up` ends this.
pub(crate) fn dial(args: &[String]) -> io::Result<()> {
    dial_many(args).map_err(io::Error::other)
}

fn dial_many(args: &[String]) -> Outcome {
    let [address, count] = args else {
        return Err("dial-many ADDRESS COUNT".into());
    };
    let count = count.parse()?;
    let session = Place::find()?.stream_session("dial-many")?;
    let dial = |number| {
        let stream = session.connect(address.as_str())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        echo(&stream, number, 0)?;
        Ok(stream)
    };
    // A router looks the address up for the first dial, and knows it for the others.
    let first = dial(count)?;
    let mut streams = in_parallel(count - 1, dial)?;
    streams.push(first);
    println!("open: {}", streams.len());
    let mut lines = io::stdin().lock().lines();
    for (round, line) in lines.by_ref().enumerate() {
        if line? == "hang up" {
            break;
        }
        in_parallel(count, |number| echo(&streams[number], number, round + 1))?;
        println!("echoed: {}", streams.len());
    }
    drop(streams);
    // When the session ends, a router drops the data that it has not sent to the far side yet.
    lines.for_each(drop);
    Ok(())
}

/// Sends data that no other stream sends in any round, and checks the echo.
fn echo(mut stream: &SamStream, number: usize, round: usize) -> Outcome {
    let sent = data::bytes(PIECE, ((round << 32) + number) as u64);
    stream.write_all(&sent)?;
    if data::take(stream, PIECE) == sent {
        return Ok(());
    }
    Err(format!("stream {number} brought something else in round {round}").into())
}

/// Runs the work for each number below `count`, some of them at the same time.
fn in_parallel<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Outcome<T> + Sync,
) -> Outcome<Vec<T>> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let number = || next.fetch_add(1, Ordering::Relaxed);
        let numbers = iter::repeat_with(number).take_while(|number| *number < count);
        numbers.map(&work).collect::<Outcome<Vec<_>>>()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        let parts = workers.into_iter().map(|worker| worker.join().unwrap());
        Ok(parts
            .collect::<Outcome<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect())
    })
}
