//! Dials for both sides of the proxy, over one session, and ends their connections.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use i2p_sam::{Error, HealingSession, I2pAddr, SamStream};

use crate::failure::in_full;
use crate::output::Output;
use crate::relay::carry;

/// The time for which a peer may be silent after the client has ended its writing.
const SILENCE: Duration = Duration::from_secs(30);
/// The time that a client gets to read the end before its socket closes.
const GOODBYE: Duration = Duration::from_secs(5);
const LARGEST_REST: u64 = 1024 * 1024;

/// The session that all connections share.
pub(crate) struct Dialler {
    pub(crate) session: HealingSession,
    pub(crate) output: Output,
}

impl Dialler {
    /// Dials, and notes a failure.
    pub(crate) fn dial(&self, address: &I2pAddr) -> Result<SamStream, Error> {
        let dialled = self.session.connect(address);
        if let Err(error) = &dialled {
            self.output.note(&in_full(error));
        }
        dialled
    }
}

/// Returns the address of a host and a port; `None` if the host is not inside of I2P.
pub(crate) fn address(host: &str, port: u16) -> Option<I2pAddr> {
    let host = host.to_ascii_lowercase();
    if !host.ends_with(".i2p") {
        return None;
    }
    let address: I2pAddr = host.parse().ok()?;
    // A port inside of the host would be a second one.
    address.port().is_none().then(|| address.with_port(port))
}

/// Carries a connection whose first bytes were read already, until both sides have ended.
pub(crate) fn join(client: TcpStream, first: Vec<u8>, stream: SamStream) -> io::Result<()> {
    client.set_read_timeout(None)?;
    let input = io::Cursor::new(first).chain(client.try_clone()?);
    let carried = carry(&Arc::new(stream), input, &mut &client, Some(SILENCE), drop);
    let _ = client.shutdown(Shutdown::Write);
    if let Ok(carried) = carried {
        // A socket that is closed at once loses what its client has not read yet.
        let _ = carried.input.recv_timeout(GOODBYE);
    }
    let _ = client.shutdown(Shutdown::Both);
    Ok(())
}

/// Sends the last reply, and reads what the client still sends, so that the reply is not lost.
pub(crate) fn part(mut client: &TcpStream, reply: &[u8]) -> io::Result<()> {
    client.write_all(reply)?;
    client.shutdown(Shutdown::Write)?;
    client.set_read_timeout(Some(GOODBYE))?;
    io::copy(&mut client.take(LARGEST_REST), &mut io::sink())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_inside_of_i2p_has_an_address() {
        let found = address("Stats.I2P", 80).map(|address| address.to_string());
        assert_eq!(found.as_deref(), Some("stats.i2p:80"));
    }

    #[test]
    fn host_outside_of_i2p_has_none() {
        for host in [
            "example.com",
            "127.0.0.1",
            "[::1]",
            "i2p",
            ".i2p",
            "stats.i2p.",
            "a.i2p:1.i2p",
            "x.i2p@y.i2p",
            "",
        ] {
            assert_eq!(address(host, 80), None, "{host}");
        }
    }
}
