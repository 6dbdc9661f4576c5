//! Faults and timing against a scripted bridge, in one process.
//!
//! Tests that count what their process holds are programs of their own: `leaks`, `allocations` and
//! `exhaustion`. `descriptors`, `environment` and `resolver` run this program again as a child
//! process, which alone gets the limit or the environment.

mod support;

mod accept;
mod backlog;
mod cancel;
mod connected_datagrams;
mod control_datagrams;
mod corpus;
mod datagram;
mod descriptors;
mod environment;
mod failover;
mod faults;
mod finish;
mod forward;
mod gaps;
mod handshake;
mod healing;
mod injection;
mod java;
mod java_datagrams;
mod keeper;
mod key_reuse;
#[cfg(unix)]
mod launch;
mod logging;
mod lookups;
mod multihomed;
mod pending_accepts;
mod ports;
mod primary;
mod replay;
mod replies;
mod resolver;
mod router_gone;
mod schedules;
mod secrets;
mod server;
mod session_lookups;
mod streams;
mod test_bridge;
mod test_streams;
mod tunnels;
