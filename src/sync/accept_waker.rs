use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::monitor::Wake;
use super::thread::spawn;

/// Unblocks the `accept` of a TCP listener, and every later one.
///
/// On Linux the listener's socket is shut down, which needs neither a new descriptor nor time.
/// Elsewhere a listener cannot be shut down, and a connection to it unblocks it. The thread that
/// connects ends by itself, after 50 ms at the latest.
pub(crate) struct AcceptWaker {
    address: SocketAddr,
    /// The listener's socket as a stream, because `std` can shut down only streams.
    #[cfg(unix)]
    socket: TcpStream,
}

impl AcceptWaker {
    pub(crate) fn of(listener: &TcpListener) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            address: reachable(listener.local_addr()?),
            #[cfg(unix)]
            socket: std::os::fd::OwnedFd::from(listener.try_clone()?).into(),
        }))
    }

    #[cfg(unix)]
    fn shut_down(&self) -> bool {
        self.socket.shutdown(std::net::Shutdown::Both).is_ok()
    }

    #[cfg(not(unix))]
    fn shut_down(&self) -> bool {
        false
    }
}

impl Wake for AcceptWaker {
    fn wake(&self) {
        if !self.shut_down() {
            let address = self.address;
            // The connection takes time if the listener's queue is full, and `wake` must not block.
            if spawn("i2p-sam-wake", move || connect(address)).is_err() {
                connect(address);
            }
        }
    }
}

fn connect(address: SocketAddr) {
    /// A connection to loopback that takes longer waits in a full queue. The connections before it wake the
    /// thread.
    const TIME: Duration = Duration::from_millis(50);

    let _ = TcpStream::connect_timeout(&address, TIME);
}

/// Returns the address at which this machine reaches a listener that is bound to this one.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    /// Returns the channel over which the outcome of an `accept` comes.
    fn accept(listener: TcpListener) -> mpsc::Receiver<bool> {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(listener.accept().is_ok()));
        receiver
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn accept_on_linux_ends_without_connection() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let waker = AcceptWaker::of(&listener).unwrap();
            let outcome = accept(listener);
            waker.wake();
            assert!(!outcome.recv_timeout(LONG).unwrap(), "{address}");
        }
    }

    #[test]
    fn accept_elsewhere_ends_by_connection() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let address = reachable(listener.local_addr().unwrap());
            let outcome = accept(listener);
            connect(address);
            assert!(outcome.recv_timeout(LONG).unwrap(), "{address}");
        }
    }
}
