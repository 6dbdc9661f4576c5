//! `sam bridge`: the library's bridge for tests, as a program.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use i2p_sam::testing::TestBridge;

use crate::arguments::Bridge;
use crate::context::Context;
use crate::failure::Failure;

pub(crate) fn run(context: &Context, arguments: &Bridge) -> Result<(), Failure> {
    let builder = TestBridge::builder().profile(arguments.profile.profile());
    let started = builder.speed(arguments.speed).start();
    let bridge = started.map_err(Failure::io("the bridge cannot start"))?;
    let address = match arguments.address {
        Some(address) => forward(address, bridge.address())?,
        None => bridge.address(),
    };
    let (stop, stopped) = mpsc::channel();
    context.stop.also(move || {
        let _ = stop.send(());
    });
    context
        .output
        .result(&format!("I2P_SAM_ADDRESS={address}"))?;
    context
        .output
        .result(&format!("I2P_SAM_UDP_ADDRESS={}", bridge.udp_address()))?;
    context
        .output
        .note("A bridge for tests, without a router, until Ctrl-C.");
    // An error means that nothing will ever send: it is the end too.
    let _ = stopped.recv();
    Ok(())
}

/// Accepts connections at the address and leads them to the bridge, which chooses its port itself.
fn forward(address: SocketAddr, bridge: SocketAddr) -> Result<SocketAddr, Failure> {
    let taken = Failure::io(format!("{address} cannot be listened on"));
    let listener = TcpListener::bind(address).map_err(taken)?;
    let address = listener
        .local_addr()
        .map_err(Failure::io("the port is unknown"))?;
    thread::spawn(move || {
        for client in listener.incoming().filter_map(Result::ok) {
            // A connection that cannot be made ends with its client's socket.
            let _ = join(client, bridge);
        }
    });
    Ok(address)
}

fn join(client: TcpStream, bridge: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(bridge)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (back, forth) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || copy(client, server));
    thread::spawn(move || copy(back, forth));
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
