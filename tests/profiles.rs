//! The behaviours of `tests/routers` on the profiles of the test bridge, in seconds.
//!
//! Each profile must show what its router shows, and must fail where its router fails: both come from the
//! table in `tests/routers/router.rs`.

use std::process::ExitCode;

#[path = "routers/main.rs"]
mod routers;

use routers::{
    ON_PROFILES, child, command, crowd, embedded, healed, i2pd, passer_by, relay, router, soak,
    suite,
};

fn main() -> ExitCode {
    routers::main()
}
