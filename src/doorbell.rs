use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::cancel::Wake;

/// Ends the wait for a caller by calling: `std` has no other way.
pub(crate) struct Doorbell(pub(crate) SocketAddr);

impl Wake for Doorbell {
    fn wake(&self) {
        /// A door at which even loopback takes this long has callers enough.
        const RING: Duration = Duration::from_millis(50);

        let mut address = self.0;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let _ = TcpStream::connect_timeout(&address, RING);
    }
}
