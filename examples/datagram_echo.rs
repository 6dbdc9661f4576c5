//! A datagram and its reply: server and client in one process.

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{Outcome, Place};
use i2p_sam::{DatagramSession, DatagramStyle, Error};

/// The wait for a reply before the datagram is sent again.
const AGAIN: Duration = Duration::from_secs(2);
const TIMES: u32 = 30;

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let place = Place::find()?;
    let server = place.session("echo-server");
    let server = server.datagram(DatagramStyle::Datagram)?;
    println!("The server is {}", server.destination().b32());
    let echoing = server.clone();
    let serving = thread::spawn(move || echo(&echoing));

    let client = place.session("echo-client");
    let client = client.datagram(DatagramStyle::Datagram)?;
    println!("The client is {}", client.destination().b32());
    ask(&client, &server)?;

    server.close();
    serving.join().map_err(|_| "the server panicked")?;
    Ok(())
}

/// Sends back each datagram until the session ends.
fn echo(session: &DatagramSession) {
    let mut buf = [0; 32_768];
    loop {
        let answered = session.recv_from(&mut buf).and_then(|(len, sender)| {
            println!("{len} bytes from {}", sender.addr());
            session.send_to(&buf[..len], &sender)
        });
        match answered {
            Ok(_) => {}
            Err(error) if error.is_session_lost() => return,
            Err(error) => eprintln!("{error}"),
        }
    }
}

/// Sends a datagram until a reply comes. Datagrams are sometimes lost, and on i2pd the first to a
/// peer always is.
fn ask(client: &DatagramSession, server: &DatagramSession) -> Outcome {
    let question = b"is anybody there?";
    let mut answer = [0; 32_768];
    client.set_read_timeout(Some(AGAIN))?;
    let start = Instant::now();
    for _ in 0..TIMES {
        client.send_to(question, server.destination())?;
        match client.recv_from(&mut answer) {
            Ok((len, sender)) if answer[..len] == *question => {
                println!("ECHO from {} after {:?}", sender.addr(), start.elapsed());
                return Ok(());
            }
            Ok(_) | Err(Error::Timeout { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err("no reply came".into())
}
