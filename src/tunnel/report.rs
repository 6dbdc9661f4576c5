use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;

/// Why one connection of a tunnel failed. The tunnel goes on.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TunnelFailure {
    /// The peer could not be dialled: the local connection was closed.
    #[error("the peer was not reached")]
    Peer(#[source] Arc<Error>),
    /// The local service did not take the connection: the stream was ended.
    #[error("the local service was not reached")]
    Service(#[source] Arc<io::Error>),
    /// It broke while it was carried: the local side reset it, or the session was lost. Or the local
    /// side hung up before the peer was reached (`ConnectionAborted`).
    #[error("a connection broke")]
    Broken(#[source] Arc<io::Error>),
    /// No byte went either way for the [idle time-out](crate::TunnelOptions::idle_timeout).
    #[error("a connection was idle for {0:?}")]
    Idle(Duration),
    /// An accept failed, or a thread could not be had. It is tried again, after a pause.
    #[error("accepting failed")]
    Accept(#[source] Arc<Error>),
}

/// Why a tunnel accepts no more.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TunnelEnd {
    /// We closed it: by a method, by its handle, by dropping it.
    Closed,
    /// Nothing more can come, or be dialled: the session, or the forwarding, is lost.
    Lost(Arc<Error>),
}

/// What a tunnel has carried so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelCounters {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Those of them that are open, or being dialled.
    pub open: usize,
    /// Those of them for which the other side, the peer or the local service, was not reached.
    pub refused: u64,
    /// Those of them that broke, or were idle for too long.
    pub broken: u64,
    /// Bytes that went from the local side into I2P.
    pub sent: u64,
    /// Bytes that went from I2P to the local side.
    pub received: u64,
}
