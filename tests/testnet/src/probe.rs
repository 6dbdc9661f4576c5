use std::io;
use std::net::SocketAddr;

use crate::deadline::Deadline;
use crate::network::at;
use crate::progress::Progress;
use crate::sam::Talk;

pub(crate) const LISTENER: &str = "testnet-probe-listener";
pub(crate) const DIALLER: &str = "testnet-probe-dialler";

/// Waits until the bridge at `bridge` has carried a stream, and leaves no session behind.
pub(crate) fn run(
    bridge: SocketAddr,
    deadline: Deadline,
    progress: &mut dyn FnMut(Progress),
) -> io::Result<()> {
    progress(Progress::BuildingTunnels);
    let mut listener = create(bridge, deadline, LISTENER)?;
    let dialler = create(bridge, deadline, DIALLER)?;

    // The routers first connect for this stream. Without it, some of several parallel dials are lost.
    progress(Progress::WarmingUp);
    warm_up(bridge, deadline, &mut listener).map_err(at("sending a first stream"))?;

    listener.quit().map_err(at("ending the probe's sessions"))?;
    dialler.quit().map_err(at("ending the probe's sessions"))
}

fn create(bridge: SocketAddr, deadline: Deadline, id: &str) -> io::Result<Talk> {
    Talk::session(bridge, deadline, "STREAM", id, "TRANSIENT")
        .map_err(at("building the tunnels of a first session"))
}

fn warm_up(bridge: SocketAddr, deadline: Deadline, listener: &mut Talk) -> io::Result<()> {
    let destination = listener.look_up("ME")?;

    let mut accepted = Talk::open(bridge, deadline)?;
    accepted.ask(&format!("STREAM ACCEPT ID={LISTENER} SILENT=false"))?;
    let mut dialled = Talk::open(bridge, deadline)?;
    dialled.ask(&format!(
        "STREAM CONNECT ID={DIALLER} DESTINATION={destination} SILENT=false"
    ))?;

    let _peer = accepted.hear()?;
    dialled.say("ping")?;
    expect("ping", &accepted.hear()?)?;
    accepted.say("pong")?;
    expect("pong", &dialled.hear()?)
}

fn expect(said: &str, heard: &str) -> io::Result<()> {
    if said == heard {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "sent {said:?}, received {heard:?}"
    )))
}
