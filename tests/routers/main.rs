//! The behaviours of the library on real routers: one suite, written once, run on each.
//!
//! What a router cannot do is listed by name, with the reason, and counted apart. The last lines
//! say how many behaviours ran on which router.

mod router;
mod suite;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use router::Router;
use suite::Behaviour;

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let listing = args.list;
    let routers: Vec<Arc<Router>> = router::all();
    let trials = routers
        .iter()
        .flat_map(|router| suite::all().map(|behaviour| trial(router, behaviour)))
        .collect();
    let conclusion = libtest_mimic::run(&args, trials);
    if !listing {
        println!("Behaviours that ran over real I2P networks:");
        for router in &routers {
            println!("  {}", router.tally());
        }
        for missing in router::missing() {
            println!("  {missing}");
        }
    }
    // Routers are processes and threads; they end before the result is told.
    drop(routers);
    conclusion.exit_code()
}

fn trial(router: &Arc<Router>, behaviour: &'static Behaviour) -> Trial {
    let name = format!("{}::{}", router.name(), behaviour.name);
    let Some(reason) = router.cannot(behaviour) else {
        let router = Arc::clone(router);
        let slow = behaviour.slow;
        return Trial::test(name, move || {
            (behaviour.run)(&router);
            router.count_run();
            Ok(())
        })
        .with_ignored_flag(slow);
    };
    router.count_unable();
    Trial::test(name, || Ok(()))
        .with_kind(reason)
        .with_ignored_flag(true)
}
