use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use crate::bridge::SamBridge;
use crate::error::Error;

/// The ports of one router on loopback.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) sam: u16,
    pub(super) router: u16,
}

impl Ports {
    /// Returns ports that no program has bound. The one below SAM's is free for UDP: i2pd uses it for datagrams,
    /// and 2.45 can be configured with no other.
    pub(super) fn free() -> io::Result<Self> {
        for _ in 0..100 {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let sam = listener.local_addr()?.port();
            if UdpSocket::bind((Ipv4Addr::LOCALHOST, sam.saturating_sub(1))).is_err() {
                continue;
            }
            // Bound while the other port is bound, so that the two differ.
            let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let router = other.local_addr()?.port();
            return Ok(Self { sam, router });
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// Returns the bridge of the router at these ports.
    pub(super) fn bridge(self) -> Result<SamBridge, Error> {
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string();
        SamBridge::builder()
            .address(address(self.sam))
            .udp_address(address(self.sam.saturating_sub(1)))
            .build()
    }
}
