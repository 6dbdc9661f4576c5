//! `sam proxy`: HTTP and SOCKS5 for `.i2p` addresses alone. No name is ever resolved outside of I2P.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use i2p_sam::Error;

use crate::arguments::Proxy;
use crate::context::Context;
use crate::dialler::Dialler;
use crate::failure::Failure;
use crate::{proxy_http, proxy_socks};

const HTTP_PORT: u16 = 4444;
const SOCKS_PORT: u16 = 4447;
/// The most connections at once; further ones are closed.
const MOST: usize = 256;
/// The time in which a client sends its request.
const REQUEST: Duration = Duration::from_secs(30);

pub(crate) fn run(context: &Context, proxy: &Proxy) -> Result<(), Failure> {
    let (http, socks) = addresses(proxy);
    // Before the tunnels are built, which takes time.
    let http = http.map(listen).transpose()?;
    let socks = socks.map(listen).transpose()?;
    let session = context.healing(context.session(None)?)?;
    let dialler = Arc::new(Dialler {
        session: session.clone(),
        output: context.output,
    });
    if let Some((listener, address)) = http {
        announce(context, "http", address)?;
        serve(listener, &dialler, proxy_http::attend);
    }
    if let Some((listener, address)) = socks {
        announce(context, "socks5h", address)?;
        serve(listener, &dialler, proxy_socks::attend);
    }
    let outcome = match session.wait_closed(None) {
        Ok(Some(error)) => Err(Error::GaveUp(error).into()),
        Ok(None) | Err(Error::Cancelled { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    };
    session.close();
    outcome
}

fn addresses(proxy: &Proxy) -> (Option<SocketAddr>, Option<SocketAddr>) {
    let at = |port| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    match (proxy.http, proxy.socks) {
        (None, None) => (at(HTTP_PORT), at(SOCKS_PORT)),
        chosen => chosen,
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = TcpListener::bind(address);
    let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) =
        bound.map_err(Failure::io(format!("{address} cannot be listened on")))?;
    Ok((listener, address))
}

fn announce(context: &Context, scheme: &str, address: SocketAddr) -> Result<(), Failure> {
    if !address.ip().is_loopback() {
        let warning = format!("Warning: everyone who reaches {address} can use this proxy.");
        context.output.error(&warning);
    }
    context.output.result(&format!("{scheme}://{address}"))
}

type Attend = fn(&Dialler, TcpStream) -> io::Result<()>;

/// Serves each connection on a thread of its own, until the process ends.
fn serve(listener: TcpListener, dialler: &Arc<Dialler>, attend: Attend) {
    let dialler = Arc::clone(dialler);
    let open = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for client in listener.incoming().filter_map(Result::ok) {
            let (dialler, open) = (Arc::clone(&dialler), Arc::clone(&open));
            if open.fetch_add(1, Ordering::Relaxed) >= MOST {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            thread::spawn(move || {
                let prepared = client
                    .set_nodelay(true)
                    .and(client.set_read_timeout(Some(REQUEST)));
                // A client that breaks off is no fault of the proxy.
                let _ = prepared.and_then(|()| attend(&dialler, client));
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
}
