//! The users of a bridge, which only Java I2P supports.

use i2p_sam::Error;

use crate::router::Router;
use crate::suite::behaviours;

behaviours! {
    router_without_users_disconnects_and_continues [NoUsers];
}

fn router_without_users_disconnects_and_continues(router: &Router) {
    let bridge = router.bridge();
    for outcome in [bridge.auth_add("joe", "a b"), bridge.auth_enable()] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::UnexpectedEof { .. }), "{error}");
    }
    bridge.version().unwrap();
}
