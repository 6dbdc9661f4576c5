//! `sam tunnel`: TCP programs over I2P.

use std::path::Path;

use i2p_sam::{ClientTunnel, Error, I2pAddr, ServerTunnel, TunnelExit, TunnelOptions};

use crate::arguments::Tunnel;
use crate::context::Context;
use crate::failure::{Failure, in_full};

pub(crate) fn run(context: &Context, tunnel: &Tunnel) -> Result<(), Failure> {
    match tunnel {
        Tunnel::Client {
            listen,
            destination,
        } => client(context, listen, destination),
        Tunnel::Server { target, key } => server(context, target, key.as_deref()),
    }
}

fn client(context: &Context, listen: &str, peer: &I2pAddr) -> Result<(), Failure> {
    let session = context.healing(context.session(None)?)?;
    let tunnel = ClientTunnel::start(session.clone(), listen, peer, &options(context))?;
    context.output.result(&tunnel.local_addr().to_string())?;
    context
        .output
        .note(&format!("It leads to {peer}, until Ctrl-C."));
    let outcome = ended(context, tunnel.wait(None));
    session.close();
    outcome
}

fn server(context: &Context, target: &str, key: Option<&Path>) -> Result<(), Failure> {
    let session = context.healing(context.session(key)?)?;
    let listener = session.listener()?;
    let tunnel = ServerTunnel::start(listener, target, &options(context))?;
    context
        .output
        .result(&session.destination().b32().to_string())?;
    context
        .output
        .note(&format!("It leads to {target}, until Ctrl-C."));
    let outcome = ended(context, tunnel.wait(None));
    session.close();
    outcome
}

fn options(context: &Context) -> TunnelOptions {
    let output = context.output;
    TunnelOptions::new()
        .with_cancel(context.stop.cancel())
        .on_failure(move |failure| output.note(&in_full(failure)))
}

fn ended(context: &Context, exit: Option<TunnelExit>) -> Result<(), Failure> {
    match exit {
        Some(TunnelExit::Lost(error)) if !context.stop.is_stopped() => {
            Err(Error::GaveUp(error).into())
        }
        _ => Ok(()),
    }
}
