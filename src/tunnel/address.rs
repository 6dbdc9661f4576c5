use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::bridge::Endpoint;
use crate::error::Error;

/// The TCP address of a tunnel's local side. Like [`ToSocketAddrs`](std::net::ToSocketAddrs), it accepts
/// `"host:port"`, `("host", port)`, a [`SocketAddr`], and an IP address with a port.
///
/// `std`'s trait resolves names itself. This one refuses a name that ends in `.i2p`: the system's resolver
/// would send it to name servers, which shows others who is interested in it. It cannot be implemented
/// outside this crate.
///
/// ```no_run
/// use std::net::Ipv4Addr;
/// use i2p_sam::{Error, SamListener, ServerTunnel, ToTcpAddr, TunnelOptions};
///
/// fn serve(listener: SamListener, service: impl ToTcpAddr) -> Result<ServerTunnel, Error> {
///     ServerTunnel::start(listener, service, &TunnelOptions::new())
/// }
///
/// # let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
/// serve(session.listener()?, "localhost:8080")?;
/// serve(session.listener()?, ("localhost", 8080))?;
/// serve(session.listener()?, (Ipv4Addr::LOCALHOST, 8080))?;
/// # Ok::<(), Error>(())
/// ```
pub trait ToTcpAddr: sealed::Sealed {}

impl<T: sealed::Sealed + ?Sized> ToTcpAddr for T {}

pub(super) mod sealed {
    use super::{Endpoint, Error};

    /// A name is stored unresolved, and resolved when it is dialled.
    pub struct TcpAddr(pub(in crate::tunnel) Endpoint);

    pub trait Sealed {
        /// # Errors
        ///
        /// [`Error::InvalidConfig`] if a text is not a host and a port, or the host ends in `.i2p`.
        fn to_tcp_addr(&self) -> Result<TcpAddr, Error>;
    }
}

use sealed::{Sealed, TcpAddr};

impl Sealed for str {
    fn to_tcp_addr(&self) -> Result<TcpAddr, Error> {
        Endpoint::of_setting("TCP address", self).map(TcpAddr)
    }
}

impl Sealed for String {
    fn to_tcp_addr(&self) -> Result<TcpAddr, Error> {
        self.as_str().to_tcp_addr()
    }
}

impl Sealed for SocketAddr {
    fn to_tcp_addr(&self) -> Result<TcpAddr, Error> {
        Ok(TcpAddr(Endpoint::Literal(*self)))
    }
}

impl Sealed for SocketAddrV4 {
    fn to_tcp_addr(&self) -> Result<TcpAddr, Error> {
        Ok(TcpAddr(Endpoint::Literal((*self).into())))
    }
}

impl Sealed for SocketAddrV6 {
    fn to_tcp_addr(&self) -> Result<TcpAddr, Error> {
        Ok(TcpAddr(Endpoint::Literal((*self).into())))
    }
}

impl Sealed for (IpAddr, u16) {
    fn to_tcp_addr(&self) -> Result<TcpAddr, Error> {
        Ok(TcpAddr(Endpoint::Literal((*self).into())))
    }
}

impl Sealed for (Ipv4Addr, u16) {
    fn to_tcp_addr(&self) -> Result<TcpAddr, Error> {
        Ok(TcpAddr(Endpoint::Literal((*self).into())))
    }
}

impl Sealed for (Ipv6Addr, u16) {
    fn to_tcp_addr(&self) -> Result<TcpAddr, Error> {
        Ok(TcpAddr(Endpoint::Literal((*self).into())))
    }
}

impl Sealed for (&str, u16) {
    fn to_tcp_addr(&self) -> Result<TcpAddr, Error> {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(ip) => (ip, port).to_tcp_addr(),
            Err(_) => format!("{host}:{port}").to_tcp_addr(),
        }
    }
}

impl Sealed for (String, u16) {
    fn to_tcp_addr(&self) -> Result<TcpAddr, Error> {
        (self.0.as_str(), self.1).to_tcp_addr()
    }
}

impl<T: Sealed + ?Sized> Sealed for &T {
    fn to_tcp_addr(&self) -> Result<TcpAddr, Error> {
        (**self).to_tcp_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(address: impl ToTcpAddr) -> String {
        address.to_tcp_addr().unwrap().0.to_string()
    }

    #[test]
    fn std_address_forms_are_read() {
        let v4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80);
        let v6 = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, 0);
        for address in [
            shown("127.0.0.1:80"),
            shown(String::from("127.0.0.1:80")),
            shown(SocketAddr::from(v4)),
            shown(v4),
            shown(("127.0.0.1", 80)),
            shown((String::from("127.0.0.1"), 80)),
            shown((Ipv4Addr::LOCALHOST, 80)),
            shown((IpAddr::from(Ipv4Addr::LOCALHOST), 80)),
        ] {
            assert_eq!(address, "127.0.0.1:80");
        }
        for address in [
            shown("[::1]:80"),
            shown(v6),
            shown(("::1", 80)),
            shown((Ipv6Addr::LOCALHOST, 80)),
        ] {
            assert_eq!(address, "[::1]:80");
        }
        assert_eq!(shown(("localhost", 80)), "localhost:80");
    }

    #[test]
    fn i2p_name_is_refused() {
        for name in ["stats.i2p", "STATS.I2P", "stats.i2p.", "a.b32.i2p"] {
            let outcome = (name, 80).to_tcp_addr();
            assert!(matches!(outcome, Err(Error::InvalidConfig(_))), "{name}");
            let outcome = format!("{name}:80").to_tcp_addr();
            assert!(matches!(outcome, Err(Error::InvalidConfig(_))), "{name}");
        }
        for name in ["i2p.example", "noti2p", "i2p", "localhost"] {
            assert!((name, 80).to_tcp_addr().is_ok(), "{name}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "localhost", "localhost:", "a b:80", ":80"] {
            let outcome = text.to_tcp_addr();
            assert!(matches!(outcome, Err(Error::InvalidConfig(_))), "{text:?}");
        }
        assert!(matches!(
            ("a:b", 80).to_tcp_addr(),
            Err(Error::InvalidConfig(_))
        ));
    }
}
