//! Who an address belongs to.

use i2p_sam::{Error, I2pAddr};

use crate::router::{KNOWN_NAME, Router, known_key};
use crate::suite::behaviours;

behaviours! {
    the_own_address_is_known;
    a_full_destination_is_its_own_answer;
    a_known_name_is_found [SessionlessLookup, KnownName];
    a_known_b32_is_found [SessionlessLookup];
    a_b32_that_was_dialled_is_found_by_the_session [Streams];
    options_may_be_asked_of_a_router_that_has_none [SessionlessLookup, KnownName];
    an_unknown_name_is_the_peers_fault;
    an_unknown_b32_is_the_peers_fault;
}

fn the_own_address_is_known(router: &Router) {
    let pair = router.pair();
    let found = pair.server.lookup(pair.server.destination().b32());
    assert_eq!(&found.unwrap(), pair.server.destination());
}

fn a_full_destination_is_its_own_answer(router: &Router) {
    let pair = router.pair();
    let found = router.bridge().lookup(pair.server.destination());
    assert_eq!(&found.unwrap(), pair.server.destination());
}

fn a_known_name_is_found(router: &Router) {
    let found = router.bridge().lookup((KNOWN_NAME, 80));
    assert_eq!(&found.unwrap(), known_key().destination());
}

fn a_known_b32_is_found(router: &Router) {
    let pair = router.pair();
    let b32 = pair.server.destination().b32();
    assert_eq!(
        &router.bridge().lookup(b32).unwrap(),
        pair.server.destination()
    );
}

fn a_b32_that_was_dialled_is_found_by_the_session(router: &Router) {
    let pair = router.pair();
    let _streams = pair.dial();
    let b32 = pair.server.destination().b32();
    assert_eq!(&pair.client.lookup(b32).unwrap(), pair.server.destination());
}

fn options_may_be_asked_of_a_router_that_has_none(router: &Router) {
    let pair = router.pair();
    let own = pair.server.destination();
    for address in [I2pAddr::from(own), own.b32().into()] {
        let found = router.bridge().lookup_with_options(&address).unwrap();
        assert_eq!(found.destination(), own);
        assert_eq!(found.options().count(), 0, "{found:?}");
    }
    let found = router.bridge().lookup_with_options(KNOWN_NAME).unwrap();
    assert_eq!(found.destination(), known_key().destination());
}

fn an_unknown_name_is_the_peers_fault(router: &Router) {
    let error = router
        .bridge()
        .lookup("nobody-has-this-name.i2p")
        .unwrap_err();
    assert!(error.is_peer_fault(), "{error}");
}

fn an_unknown_b32_is_the_peers_fault(router: &Router) {
    let nobody: I2pAddr = format!("{}.b32.i2p", "a".repeat(52)).parse().unwrap();
    let error: Error = router.bridge().lookup(&nobody).unwrap_err();
    assert!(error.is_peer_fault(), "{error}");
}
