//! The program `sam`, run against the bridge for tests: its outputs and exit codes.

#![cfg(unix)]

mod bridge;
mod doctor;
mod get;
mod keys;
mod lookup;
mod netcat;
mod ping;
mod proxy;
mod support;
mod terminal;
mod tunnel;
mod usage;
