//! What must hold on every router that can do it.

mod accepting;
pub(crate) mod data;
mod datagrams;
mod dialling;
mod encrypted;
mod endings;
mod forwarding;
mod healing;
mod keys;
mod lookups;
mod multihomed;
mod primary;
mod returning;
mod servers;
mod soak;
mod streams;
mod tunnels;
mod users;
mod volume;

use crate::router::Router;

/// One behaviour, named as a sentence.
pub(crate) struct Behaviour {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Router),
    pub(crate) needs: &'static [Need],
    /// Takes longer than a minute: run only when asked for.
    pub(crate) slow: bool,
}

/// What a router must be able to do for a behaviour to be shown on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Streams between two sessions of one router.
    Streams,
    /// I2CP ports, told to the accepting side.
    Ports,
    /// Dialling the own destination.
    OwnDial,
    /// Signature types other than Ed25519.
    OtherSignatures,
    /// Finding a destination by its b32 without a session.
    SessionlessLookup,
    /// Delivering more than some kilobytes behind the end of a stream.
    BulkBeforeEnd,
    /// Carrying some megabytes a second.
    Bulk,
    /// Ending a forward with its socket, so that the session can have another.
    ForwardAgain,
    /// An answer to what is refused, rather than silence.
    Refusals,
    /// DATAGRAM2 and DATAGRAM3.
    NewDatagrams,
    /// Datagrams of 11 kB.
    LargeDatagrams,
    /// Datagrams on the control socket.
    ControlSocketDatagrams,
    /// Lease sets that only some can read.
    EncryptedLeaseSets,
    /// Subsessions for datagrams.
    DatagramSubsessions,
    /// Subsessions for streams, and for nothing else.
    StreamSubsessionsOnly,
    /// An address book with a name that the suite chooses.
    KnownName,
    /// Hanging up when it is asked for users of the bridge, which it does not have.
    NoUsers,
    /// Finding the new lease set of a key whose last session has ended.
    KeyAgain,
    /// Being started as often as a behaviour asks for, killed, and started again where it was.
    Restart,
}

impl Need {
    /// What can be named in the environment.
    pub(crate) const ALL: &[Self] = &[
        Self::Streams,
        Self::Ports,
        Self::OwnDial,
        Self::OtherSignatures,
        Self::SessionlessLookup,
        Self::BulkBeforeEnd,
        Self::Bulk,
        Self::ForwardAgain,
        Self::Refusals,
        Self::NewDatagrams,
        Self::LargeDatagrams,
        Self::ControlSocketDatagrams,
        Self::EncryptedLeaseSets,
        Self::DatagramSubsessions,
        Self::StreamSubsessionsOnly,
        Self::KnownName,
        Self::NoUsers,
        Self::KeyAgain,
        Self::Restart,
    ];
}

/// Lists functions as behaviours; `slow` in front of those that take more than a minute.
macro_rules! behaviours {
    ($($(#[$slow:ident])? $name:ident $([$($need:ident),+])?;)+) => {
        pub(crate) const ALL: &[crate::suite::Behaviour] = &[$(
            crate::suite::Behaviour {
                name: stringify!($name),
                run: $name,
                needs: &[$($(crate::suite::Need::$need),+)?],
                slow: behaviours!(@slow $($slow)?),
            },
        )+];
    };
    (@slow slow) => { true };
    (@slow) => { false };
}
use behaviours;

pub(crate) fn all() -> impl Iterator<Item = &'static Behaviour> {
    [
        keys::ALL,
        lookups::ALL,
        dialling::ALL,
        accepting::ALL,
        streams::ALL,
        endings::ALL,
        healing::ALL,
        returning::ALL,
        users::ALL,
        forwarding::ALL,
        datagrams::ALL,
        volume::ALL,
        encrypted::ALL,
        primary::ALL,
        multihomed::ALL,
        servers::ALL,
        tunnels::ALL,
        soak::ALL,
    ]
    .into_iter()
    .flatten()
}
