//! WebSocket by [tungstenite](https://docs.rs/tungstenite), on both sides.
//!
//! ```text
//! websocket                            to a server that runs inside this process
//! websocket server                     the server alone, until Ctrl-C
//! websocket ws://ADDRESS/PATH TEXT     sends a text, and prints the first reply
//! ```

#[path = "../../../common/mod.rs"]
mod common;

use std::time::Duration;

use common::{Outcome, Place};
use i2p_sam::{I2pAddr, SamStream};
use tungstenite::{Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => both(&Place::find()?),
        ["server"] => server(&Place::find()?),
        [url, text] => ask(&Place::find()?, url, text),
        _ => Err("usage: websocket [server | ws://ADDRESS/PATH TEXT]".into()),
    }
}

fn server(place: &Place) -> Outcome {
    let session = place.stream_session("websocket-server")?;
    let server = common::server();
    common::stop_on_ctrl_c(&server)?;
    println!(
        "Try: {}cargo run -p i2p-sam-recipes --bin websocket ws://{}/ hello",
        place.environment(),
        session.destination().b32()
    );
    server.serve(session.listener()?, |stream| serve(stream).map(drop))?;
    println!("{}", server.stats());
    Ok(())
}

/// Sends a text to a server, and prints the first reply.
fn ask(place: &Place, url: &str, text: &str) -> Outcome {
    let client = place.stream_session("websocket-client")?;
    let stream = client.connect(I2pAddr::from_url(url)?)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut socket, _) = tungstenite::client(url, stream)?;
    socket.send(Message::text(text))?;
    println!("{}", socket.read()?);
    socket.close(None)?;
    read_to_close(&mut socket)
}

fn both(place: &Place) -> Outcome {
    let server = place.stream_session("websocket-server")?;
    let client = place.stream_session("websocket-client")?;
    let listener = server.listener()?;
    let serving = std::thread::spawn(move || serve(listener.accept()?.0));

    let stream = client.connect(server.destination())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let url = format!("ws://{}/chat", server.destination().b32());
    let (mut socket, response) = tungstenite::client(url, stream)?;
    println!("The server switched protocols: {}", response.status());
    for text in ["one", "two", "three"] {
        socket.send(Message::text(text))?;
        let reply = socket.read()?.into_text()?;
        println!("{text}: {reply}");
        if reply != text.to_uppercase() {
            return Err("the reply is another".into());
        }
    }
    socket.close(None)?;
    read_to_close(&mut socket)?;
    let served = serving.join().map_err(|_| "the server panicked")??;
    println!("The server replied to {served} messages");
    match served {
        3 => Ok(()),
        _ => Err("it received another number".into()),
    }
}

/// Serves one connection, and returns the number of messages.
fn serve(stream: SamStream) -> Outcome<usize> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut socket = tungstenite::accept(stream).map_err(|error| error.to_string())?;
    let mut served = 0;
    loop {
        match socket.read()? {
            Message::Text(text) => {
                socket.send(Message::text(text.to_uppercase()))?;
                served += 1;
            }
            Message::Close(_) => break,
            _ => {}
        }
    }
    read_to_close(&mut socket)?;
    Ok(served)
}

/// Completes the closing handshake, in which the server closes the stream.
fn read_to_close(socket: &mut WebSocket<SamStream>) -> Outcome {
    loop {
        match socket.read() {
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
