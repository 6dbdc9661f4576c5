use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use emissary_core::Error;
use emissary_core::runtime;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net;

/// The MTU that the routers assume for a path by default.
const MTU: usize = 1500;

/// The routers bind some sockets to every interface. These sockets bind the loopback interface instead.
fn confined(address: SocketAddr) -> Option<SocketAddr> {
    let ip = address.ip();
    if ip.is_loopback() {
        return Some(address);
    }
    if !ip.is_unspecified() {
        return None;
    }
    let loopback = match address {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    Some(SocketAddr::new(loopback, address.port()))
}

/// A TCP connection within this host.
#[derive(Debug)]
pub(crate) struct Stream(net::TcpStream);

impl Stream {
    fn new(stream: net::TcpStream) -> Self {
        // Routers write small messages and wait for the reply. A socket that refuses the option is slower,
        // not wrong.
        let _ = stream.set_nodelay(true);
        Self(stream)
    }
}

impl runtime::TcpStream for Stream {
    async fn connect(address: SocketAddr) -> Option<Self> {
        if !address.ip().is_loopback() {
            return None;
        }
        net::TcpStream::connect(address).await.ok().map(Self::new)
    }
}

impl runtime::AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<emissary_core::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf)).map_err(lost)?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl runtime::AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<emissary_core::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf).map_err(lost)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<emissary_core::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx).map_err(lost)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<emissary_core::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx).map_err(lost)
    }
}

/// The routers' own error for a lost connection cannot be named outside their crate.
fn lost(error: io::Error) -> Error {
    Error::Custom(error.to_string())
}

/// A TCP port of the loopback interface.
#[derive(Debug)]
pub(crate) struct Listener(net::TcpListener);

impl runtime::TcpListener<Stream> for Listener {
    async fn bind(address: SocketAddr) -> Option<Self> {
        let listener = net::TcpListener::bind(confined(address)?).await;
        listener.ok().map(Self)
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Stream, SocketAddr)>> {
        match ready!(self.0.poll_accept(cx)) {
            Ok((stream, peer)) => Poll::Ready(Some((Stream::new(stream), peer))),
            // `None` would close the port for good because of one lost connection.
            Err(_) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn local_address(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }
}

/// A UDP port of the loopback interface.
///
/// If a send or receive fails, the bridge stops reading and sending datagrams for good. So none fails here:
/// a datagram that cannot be sent is lost, as datagrams may be, and a failed receive is tried again.
#[derive(Debug, Clone)]
pub(crate) struct Datagrams {
    socket: Arc<net::UdpSocket>,
    mtu: usize,
}

impl runtime::UdpSocket for Datagrams {
    async fn bind(address: SocketAddr) -> Option<Self> {
        Self::bind_with_mtu(address, MTU).await
    }

    async fn bind_with_mtu(address: SocketAddr, mtu: usize) -> Option<Self> {
        let socket = net::UdpSocket::bind(confined(address)?).await.ok()?;
        Some(Self {
            socket: Arc::new(socket),
            mtu,
        })
    }

    async fn send_to(&mut self, buf: &[u8], target: SocketAddr) -> Option<usize> {
        if target.ip().is_loopback() {
            let _ = self.socket.send_to(buf, target).await;
        }
        Some(buf.len())
    }

    async fn recv_from(&mut self, buf: &mut [u8]) -> Option<(usize, SocketAddr)> {
        loop {
            if let Ok(received) = self.socket.recv_from(buf).await {
                return Some(received);
            }
        }
    }

    fn poll_send_to(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<Option<usize>> {
        if target.ip().is_loopback() {
            let _ = ready!(self.socket.poll_send_to(cx, buf, target));
        }
        Poll::Ready(Some(buf.len()))
    }

    fn poll_recv_from(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Option<(usize, SocketAddr)>> {
        loop {
            let mut buf = ReadBuf::new(buf);
            if let Ok(peer) = ready!(self.socket.poll_recv_from(cx, &mut buf)) {
                return Poll::Ready(Some((buf.filled().len(), peer)));
            }
        }
    }

    fn local_address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    fn mtu(&self) -> usize {
        self.mtu
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emissary_core::runtime::{TcpListener as _, TcpStream as _, UdpSocket as _};
    use std::future::Future;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(future)
    }

    /// Reserved for documentation: no host has it.
    const ELSEWHERE: &str = "192.0.2.1:9";

    #[test]
    fn an_unspecified_bind_becomes_a_loopback_one() {
        block_on(async {
            let any = "0.0.0.0:0".parse().unwrap();
            let tcp = Listener::bind(any).await.unwrap();
            let udp = Datagrams::bind(any).await.unwrap();
            assert!(tcp.local_address().unwrap().ip().is_loopback());
            assert!(udp.local_address().unwrap().ip().is_loopback());
        });
    }

    #[test]
    fn an_address_elsewhere_is_neither_bound_nor_dialled() {
        block_on(async {
            let elsewhere = ELSEWHERE.parse().unwrap();
            assert!(Listener::bind(elsewhere).await.is_none());
            assert!(Datagrams::bind(elsewhere).await.is_none());
            assert!(Stream::connect(elsewhere).await.is_none());
        });
    }

    #[test]
    fn a_datagram_for_elsewhere_is_dropped() {
        block_on(async {
            let mut socket = Datagrams::bind("0.0.0.0:0".parse().unwrap()).await.unwrap();
            let sent = socket.send_to(b"x", ELSEWHERE.parse().unwrap()).await;
            assert_eq!(sent, Some(1));
        });
    }

    #[test]
    fn a_datagram_that_cannot_be_sent_does_not_close_the_port() {
        block_on(async {
            let mut socket = Datagrams::bind("0.0.0.0:0".parse().unwrap()).await.unwrap();
            let itself = socket.local_address().unwrap();
            assert!(socket.send_to(&[0; 70_000], itself).await.is_some());
        });
    }
}
