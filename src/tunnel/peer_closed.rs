use std::net::TcpStream;

/// Returns true if the other end of a connection is known to be fully closed, not only its writing. A FIN
/// does not show the difference, and a test by a write would send data.
///
/// A reset is visible on Unix. Linux also shows a full close within its network namespace: a socket
/// that was shut down still belongs to a program, a closed socket belongs to none. Other systems show
/// nothing, and neither does Linux if the two ends have different addresses that are not loopback
/// addresses.
pub(super) fn has_hung_up(socket: &TcpStream) -> bool {
    let reset = !matches!(socket.take_error(), Ok(None));
    reset || is_orphan(socket)
}

#[cfg(target_os = "linux")]
fn is_orphan(socket: &TcpStream) -> bool {
    linux::is_orphan(socket).unwrap_or(false)
}

#[cfg(not(target_os = "linux"))]
fn is_orphan(_: &TcpStream) -> bool {
    false
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{BufRead, BufReader};
    use std::net::{IpAddr, SocketAddr, TcpStream};

    /// Columns of `/proc/net/tcp`.
    const STATE: usize = 3;
    const INODE: usize = 9;

    /// States after a FIN was sent: `FIN_WAIT1` and `FIN_WAIT2`.
    const FIN_SENT: [&str; 2] = ["04", "05"];

    /// Returns `None` if the other end is not found.
    pub(super) fn is_orphan(socket: &TcpStream) -> Option<bool> {
        let (theirs, ours) = (socket.peer_addr().ok()?, socket.local_addr().ok()?);
        if theirs.ip() != ours.ip() && !theirs.ip().to_canonical().is_loopback() {
            return None;
        }
        let table = match theirs.ip().to_canonical() {
            IpAddr::V4(_) => "/proc/net/tcp",
            IpAddr::V6(_) => "/proc/net/tcp6",
        };
        let (theirs, ours) = (shown(theirs), shown(ours));
        let lines = BufReader::new(File::open(table).ok()?).lines();
        for line in lines.map_while(Result::ok) {
            let mut columns = line.split_ascii_whitespace().skip(1);
            if columns.next() == Some(&theirs) && columns.next() == Some(&ours) {
                let state = columns.next()?;
                let inode = columns.nth(INODE - STATE - 1)?;
                return Some(FIN_SENT.contains(&state) && inode == "0");
            }
        }
        None
    }

    /// Formats an address as the kernel does: 32-bit words in the byte order of the machine, and the port.
    fn shown(address: SocketAddr) -> String {
        let octets = match address.ip().to_canonical() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let mut text = String::new();
        for word in octets.chunks(4) {
            if let Ok(word) = word.try_into() {
                text.push_str(&format!("{:08X}", u32::from_ne_bytes(word)));
            }
        }
        text.push_str(&format!(":{:04X}", address.port()));
        text
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Shutdown, TcpListener};

    use super::*;

    fn ends(address: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(address).unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, far)
    }

    #[test]
    fn half_closed_connection_is_not_closed() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (mut near, far) = ends(address);
            assert!(!has_hung_up(&near));
            far.shutdown(Shutdown::Write).unwrap();
            assert_eq!(near.read(&mut [0]).unwrap(), 0);
            assert!(!has_hung_up(&near));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn closed_connection_is_recognized() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (mut near, far) = ends(address);
            drop(far);
            assert_eq!(near.read(&mut [0]).unwrap(), 0);
            assert!((0..100).any(|_| has_hung_up(&near)));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn connection_closed_after_shutdown_is_recognized() {
        let (mut near, far) = ends("127.0.0.1:0");
        far.shutdown(Shutdown::Write).unwrap();
        assert_eq!(near.read(&mut [0]).unwrap(), 0);
        drop(far);
        assert!((0..100).any(|_| has_hung_up(&near)));
    }
}
