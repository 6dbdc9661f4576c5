//! The behaviours of the library on real routers: one suite, written once, run on each.
//!
//! The suite always runs on the embedded network, and on i2pd, old and new, if `fetch-i2pd` has fetched
//! them; a router that `SAM_ROUTER_COMMAND` starts replaces all these. Behaviours that a router cannot show
//! are listed by name, with the reason, and counted separately. The last lines show how many behaviours ran
//! on which router, how often one stopped, and which routers were not found.

pub(crate) mod child;
pub(crate) mod command;
pub(crate) mod crowd;
pub(crate) mod embedded;
pub(crate) mod healed;
pub(crate) mod i2pd;
pub(crate) mod passer_by;
pub(crate) mod relay;
pub(crate) mod router;
pub(crate) mod soak;
pub(crate) mod suite;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use router::Router;
use suite::{Behaviour, Need};

/// Behaviours mostly wait for routers.
const THREADS: usize = if ON_PROFILES { 56 } else { 16 };

/// This program is `profiles`, which shows the behaviours on the test bridge instead of routers.
pub(crate) const ON_PROFILES: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"profiles");

pub(crate) fn main() -> ExitCode {
    if let Some(code) = child::run() {
        return code;
    }
    let mut args = Arguments::from_args();
    args.test_threads = args.test_threads.or(Some(THREADS));
    let (routers, missing) = match ON_PROFILES {
        true => (router::profiles(), Vec::new()),
        false => router::all(),
    };
    // Behaviours that cannot be shown are listed with those that are not run, and never run.
    let list_unable = !(args.ignored || args.include_ignored);
    // The slow ones are about the time and the volume of real networks.
    let mut shows: Vec<_> = suite::all()
        .filter(|behaviour| !(ON_PROFILES && behaviour.slow))
        .flat_map(|behaviour| routers.iter().map(move |router| (router, behaviour)))
        .collect();
    if ON_PROFILES {
        // Those that mostly wait come first, so that the others do not wait for them in the end. Those that
        // measure times come last, when the machine is less busy.
        shows.sort_by_key(|(router, behaviour)| {
            let rests = [Need::KeyAgain, Need::Restart]
                .iter()
                .any(|need| behaviour.needs.contains(need));
            let is_timed = ["within", "deadline"]
                .iter()
                .any(|word| behaviour.name.contains(word));
            (is_timed, !rests, router.cannot(behaviour).is_none())
        });
    }
    let trials = shows
        .into_iter()
        .filter_map(|(router, behaviour)| match router.cannot(behaviour) {
            None => Some(trial(router, behaviour)),
            Some(_) if ON_PROFILES => Some(failing(router, behaviour)),
            Some(reason) => {
                router.count_unable();
                list_unable.then(|| unable(router, behaviour, &reason))
            }
        })
        .collect();
    let conclusion = libtest_mimic::run(&args, trials);
    if !args.list {
        match ON_PROFILES {
            true => println!("Behaviours that ran over the test bridge:"),
            false => println!("Behaviours that ran over real I2P networks:"),
        }
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

/// A profile must not show what its router cannot.
fn failing(router: &Arc<Router>, behaviour: &'static Behaviour) -> Trial {
    let name = format!("{}::{}", router.name(), behaviour.name);
    let router = Arc::clone(router);
    Trial::test(name, move || match router.fails(behaviour) {
        true => Ok(()),
        false => Err("it shows what its router cannot".into()),
    })
    .with_kind("fails, as on its router")
}

fn unable(router: &Router, behaviour: &Behaviour, reason: &str) -> Trial {
    let name = format!("{}::{}", router.name(), behaviour.name);
    Trial::test(name, || Err("it cannot be shown".into()))
        .with_kind(reason)
        .with_ignored_flag(true)
}
