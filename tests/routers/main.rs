//! The behaviours of the library on real routers: one suite, written once, run on each.
//!
//! The suite always runs on the embedded network, and on i2pd, old and new, if `fetch-i2pd` has fetched
//! them; a router that `SAM_ROUTER_COMMAND` starts replaces all these. Behaviours that a router cannot show
//! are listed by name, with the reason, and counted separately. The last lines show how many behaviours ran
//! on which router, how often one stopped, and which routers were not found.

mod child;
mod command;
mod crowd;
mod embedded;
mod healed;
mod i2pd;
mod passer_by;
mod relay;
mod router;
mod soak;
mod suite;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use router::Router;
use suite::Behaviour;

/// Behaviours mostly wait for routers.
const THREADS: usize = 16;

fn main() -> ExitCode {
    if let Some(code) = child::run() {
        return code;
    }
    let mut args = Arguments::from_args();
    args.test_threads = args.test_threads.or(Some(THREADS));
    let (routers, missing) = router::all();
    // Behaviours that cannot be shown are listed with those that are not run, and never run.
    let list_unable = !(args.ignored || args.include_ignored);
    let trials = suite::all()
        .flat_map(|behaviour| routers.iter().map(move |router| (router, behaviour)))
        .filter_map(|(router, behaviour)| match router.cannot(behaviour) {
            None => Some(trial(router, behaviour)),
            Some(reason) => {
                router.count_unable();
                list_unable.then(|| unable(router, behaviour, &reason))
            }
        })
        .collect();
    let conclusion = libtest_mimic::run(&args, trials);
    if !args.list {
        println!("Behaviours that ran over real I2P networks:");
        for router in &routers {
            println!("  {}", router.tally());
        }
        for name in missing {
            println!("  {name}: not found; tests/routers/fetch-i2pd provides it");
        }
    }
    // Routers are processes and threads. They end before the result is printed.
    drop(routers);
    if let Some(how) = router::ended() {
        println!("Processes of routers that ended by themselves: {how}");
    }
    conclusion.exit_code()
}

fn trial(router: &Arc<Router>, behaviour: &'static Behaviour) -> Trial {
    let name = format!("{}::{}", router.name(), behaviour.name);
    let router = Arc::clone(router);
    let run = move || {
        router.show(behaviour);
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(behaviour.slow)
}

fn unable(router: &Router, behaviour: &Behaviour, reason: &str) -> Trial {
    let name = format!("{}::{}", router.name(), behaviour.name);
    Trial::test(name, || Err("it cannot be shown".into()))
        .with_kind(reason)
        .with_ignored_flag(true)
}
