//! Lookups of addresses.

use i2p_sam::wire::Command;
use i2p_sam::{Error, I2pAddr, ResultCode};

use crate::router::{KNOWN_NAME, Router, known_key};
use crate::suite::behaviours;

behaviours! {
    own_address_is_found;
    lookup_of_destination_returns_it;
    known_name_is_found [SessionlessLookup, KnownName];
    known_b32_is_found [SessionlessLookup];
    dialled_b32_is_found_by_session [Streams];
    options_lookup_works_without_router_support [SessionlessLookup, KnownName];
    unknown_name_is_peer_fault;
    unknown_b32_is_peer_fault;
    raw_request_returns_refusal;
}

fn own_address_is_found(router: &Router) {
    let pair = router.pair();
    let found = pair.server.lookup(pair.server.destination().b32());
    assert_eq!(&found.unwrap(), pair.server.destination());
}

fn lookup_of_destination_returns_it(router: &Router) {
    let pair = router.pair();
    let found = router.bridge().lookup(pair.server.destination());
    assert_eq!(&found.unwrap(), pair.server.destination());
}

fn known_name_is_found(router: &Router) {
    let found = router.bridge().lookup((KNOWN_NAME, 80));
    assert_eq!(&found.unwrap(), known_key().destination());
}

fn known_b32_is_found(router: &Router) {
    let pair = router.pair();
    let b32 = pair.server.destination().b32();
    assert_eq!(
        &router.bridge().lookup(b32).unwrap(),
        pair.server.destination()
    );
}

fn dialled_b32_is_found_by_session(router: &Router) {
    let pair = router.pair();
    let _streams = pair.dial();
    let b32 = pair.server.destination().b32();
    assert_eq!(&pair.client.lookup(b32).unwrap(), pair.server.destination());
}

fn options_lookup_works_without_router_support(router: &Router) {
    let pair = router.pair();
    let own = pair.server.destination();
    for address in [I2pAddr::from(own), own.b32().into()] {
        let found = router.bridge().lookup_record(&address).unwrap();
        assert_eq!(found.destination(), own);
        assert_eq!(found.options().count(), 0, "{found:?}");
    }
    let found = router.bridge().lookup_record(KNOWN_NAME).unwrap();
    assert_eq!(found.destination(), known_key().destination());
}

fn unknown_name_is_peer_fault(router: &Router) {
    let error = router
        .bridge()
        .lookup("nobody-has-this-name.i2p")
        .unwrap_err();
    assert!(error.is_peer_fault(), "{error}");
}

fn unknown_b32_is_peer_fault(router: &Router) {
    let nobody: I2pAddr = format!("{}.b32.i2p", "a".repeat(52)).parse().unwrap();
    let error: Error = router.bridge().lookup(&nobody).unwrap_err();
    assert!(error.is_peer_fault(), "{error}");
}

fn raw_request_returns_refusal(router: &Router) {
    let command = Command::naming_lookup("nobody-has-this-name.i2p").unwrap();
    let reply = router.bridge().request(&command).unwrap();
    let message = reply.message();
    assert!(message.is("NAMING", "REPLY"), "{reply:?}");
    let result = message.result();
    assert!(
        matches!(
            result,
            Some(ResultCode::KeyNotFound | ResultCode::InvalidKey)
        ),
        "{result:?}"
    );
}
