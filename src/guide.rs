//! The guide: pages that explain instead of listing.
//!
//! - [`concepts`]: I2P for someone who has used only TCP.
//! - [`choosing`]: which session, and which listener.
//! - [`tunnels`]: options of a session, the tunnels of a router, and the tunnels for TCP programs.
//! - [`datagrams`]: the styles, sizes and loss, ports, subsessions, replies.
//! - [`lifecycle`]: how long each value lives, and how a session ends.
//! - [`deadlines`]: time-outs, cancellation, and the end at Ctrl-C.
//! - [`deploying`]: the router's configuration, systemd, containers, key files, health checks.
//! - [`errors`]: what each error means, and what to do about it.
//! - [`troubleshooting`]: from the text of an error, or a symptom without one, to the remedy.
//! - [`security`]: what I2P hides, and what it does not.
//! - [`from_std`]: for users of `std::net`.
//! - [`from_i2plib`]: for users of Python's i2plib.
//! - [`from_yosemite`]: for users of the crate yosemite.

#[doc = include_str!("../docs/guide/choosing.md")]
pub mod choosing {}
#[doc = include_str!("../docs/guide/concepts.md")]
pub mod concepts {}
#[doc = include_str!("../docs/guide/datagrams.md")]
pub mod datagrams {}
#[doc = include_str!("../docs/guide/deadlines.md")]
pub mod deadlines {}
#[doc = include_str!("../docs/guide/deploying.md")]
pub mod deploying {}
#[doc = include_str!("../docs/guide/errors.md")]
pub mod errors {}
#[doc = include_str!("../docs/guide/from_i2plib.md")]
pub mod from_i2plib {}
#[doc = include_str!("../docs/guide/from_std.md")]
pub mod from_std {}
#[doc = include_str!("../docs/guide/from_yosemite.md")]
pub mod from_yosemite {}
#[doc = include_str!("../docs/guide/lifecycle.md")]
#[doc = include_str!("../docs/guide/sessions.svg")]
pub mod lifecycle {}
#[doc = include_str!("../docs/guide/security.md")]
pub mod security {}
#[doc = include_str!("../docs/guide/troubleshooting.md")]
pub mod troubleshooting {}
#[doc = include_str!("../docs/guide/tunnels.md")]
pub mod tunnels {}

#[cfg(test)]
mod quoted_texts;
