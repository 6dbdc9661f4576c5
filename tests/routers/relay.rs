//! A relay between the library and a bridge, which can end connections while the router stays up.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Relays TCP connections to a bridge. It accepts until the process ends.
pub(crate) struct Relay {
    address: SocketAddr,
    open: Arc<Mutex<BTreeMap<u64, [TcpStream; 2]>>>,
}

impl Relay {
    pub(crate) fn start(bridge: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(Mutex::new(BTreeMap::new()));
        let connections = Arc::clone(&open);
        thread::spawn(move || {
            for (number, near) in (0..).zip(listener.incoming().map_while(Result::ok)) {
                let open = Arc::clone(&connections);
                // If the bridge is gone, the library must notice it.
                thread::spawn(move || carry(near, bridge, number, &open));
            }
        });
        Self { address, open }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, on both sides, and returns how many there were.
    pub(crate) fn cut(&self) -> usize {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = std::mem::take(&mut *open);
        for socket in cut.values().flatten() {
            // This fails if the connection has ended by itself.
            let _ = socket.shutdown(Shutdown::Both);
        }
        cut.len()
    }
}

fn carry(
    near: TcpStream,
    bridge: SocketAddr,
    number: u64,
    open: &Mutex<BTreeMap<u64, [TcpStream; 2]>>,
) -> io::Result<()> {
    let far = TcpStream::connect(bridge)?;
    let ends = [near.try_clone()?, far.try_clone()?];
    let lock = || open.lock().unwrap_or_else(PoisonError::into_inner);
    lock().insert(number, ends);
    thread::scope(|scope| {
        scope.spawn(|| copy(&near, &far));
        copy(&far, &near);
    });
    lock().remove(&number);
    Ok(())
}

/// Copies until either socket ends, and shuts down the other.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    // Data that cannot be written any more is not read, either.
    let _ = from.shutdown(Shutdown::Read);
}
