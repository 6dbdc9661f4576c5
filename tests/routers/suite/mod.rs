//! The behaviours that must hold on every router that supports them.

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

/// One behaviour, named `subject_condition_result`.
pub(crate) struct Behaviour {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Router),
    pub(crate) needs: &'static [Need],
    /// Takes longer than a minute: run only on request.
    pub(crate) slow: bool,
}

/// A capability that a router needs for a behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Streams between two sessions of one router.
    Streams,
    /// I2CP ports, reported to the accepting side.
    Ports,
    /// Dialling the own destination.
    OwnDial,
    /// Signature types other than Ed25519.
    OtherSignatures,
    /// Finding a destination by its b32 without a session.
    SessionlessLookup,
    /// Delivering more than some kilobytes after the end of a stream.
    BulkBeforeEnd,
    /// The router survives that a server's connections are cut many times under load.
    ManyCuts,
    /// Carrying some megabytes a second.
    Bulk,
    /// Ending a forwarding with its socket, so that the session can have another.
    ForwardAgain,
    /// A reply to a refused command, rather than silence.
    Refusals,
    /// DATAGRAM2 and DATAGRAM3.
    NewDatagrams,
    /// Datagrams of 11 kB.
    LargeDatagrams,
    /// Datagrams on the control socket.
    ControlSocketDatagrams,
    /// Encrypted lease sets.
    EncryptedLeaseSets,
    /// Subsessions for datagrams.
    DatagramSubsessions,
    /// Subsessions for streams, and none for datagrams.
    StreamSubsessionsOnly,
    /// An address book with a name that the suite chooses.
    KnownName,
    /// Closing the connection on AUTH commands, which it does not support.
    NoUsers,
    /// Finding the new lease set of a key whose last session has ended.
    KeyAgain,
    /// Being started as often as a behaviour requires, killed, and started again in the same place.
    Restart,
}

impl Need {
    /// The names that the environment may use.
    pub(crate) const ALL: &[Self] = &[
        Self::Streams,
        Self::Ports,
        Self::OwnDial,
        Self::OtherSignatures,
        Self::SessionlessLookup,
        Self::BulkBeforeEnd,
        Self::ManyCuts,
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

/// Lists functions as behaviours; `slow` marks those that take more than a minute.
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
