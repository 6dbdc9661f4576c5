//! Lease sets that can be read only with the b33 address, or with a key.

use i2p_sam::{
    LeaseSetAuth, LeaseSetType, SamStream, SessionOptions, SignatureType, StreamSession,
};

use crate::router::{LONG, Router};
use crate::suite::behaviours;
use crate::suite::data::{greet, persist, rest};

behaviours! {
    encrypted_service_is_reached_by_b33 [Streams, EncryptedLeaseSets];
    encrypted_service_with_reddsa_key_is_reached [Streams, EncryptedLeaseSets];
    encrypted_service_accepts_private_client_key [Streams, EncryptedLeaseSets];
    encrypted_service_accepts_shared_client_key [Streams, EncryptedLeaseSets];
}

// The pairs of RFC 7748, section 6.1, in I2P's base64.
const PRIVATE_OF_ALICE: &str = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
const PUBLIC_OF_ALICE: &str = "hSDwCYkwp1R0i33ctD73Wg2~Og0mOBr066SpjqqbTmo=";
const OF_MALLORY: &str = "XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ~-I4Os=";

fn encrypted_service_is_reached_by_b33(router: &Router) {
    dial_encrypted(router, SignatureType::Ed25519);
}

fn encrypted_service_with_reddsa_key_is_reached(router: &Router) {
    dial_encrypted(router, SignatureType::RedDsa);
}

fn dial_encrypted(router: &Router, signature_type: SignatureType) {
    let options = encrypted(router);
    let builder = router.builder().transient(signature_type).options(options);
    let service = builder.stream().unwrap();
    let listener = service.listener().unwrap();
    let client = router.session();
    let address = service.destination().b33().unwrap().to_string();
    let near = eventually_connect(&client, &address);
    let (far, caller) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(caller.destination(), Some(client.destination()));
    greet(&near, &far);
}

fn encrypted_service_accepts_private_client_key(router: &Router) {
    let service = encrypted(router)
        .lease_set_auth(LeaseSetAuth::Dh)
        .lease_set_client_dh("alice", PUBLIC_OF_ALICE);
    let_in_one(router, service, PRIVATE_OF_ALICE);
}

fn encrypted_service_accepts_shared_client_key(router: &Router) {
    let service = encrypted(router)
        .lease_set_auth(LeaseSetAuth::Psk)
        .lease_set_client_psk("alice", PRIVATE_OF_ALICE);
    let_in_one(router, service, PRIVATE_OF_ALICE);
}

fn let_in_one(router: &Router, service: SessionOptions, key: &str) {
    let service = router.builder().options(service).stream().unwrap();
    let listener = service.listener().unwrap();
    let address = service.destination().b33().unwrap().with_client_key();
    let address = address.to_string();
    let with = |key| {
        let options = router.options().lease_set_decryption_key(key);
        router.builder().options(options).stream().unwrap()
    };

    // i2pd reports a successful dial before it has looked the peer up; the stream ends then.
    let mallory = with(OF_MALLORY);
    match mallory.connect(address.as_str()) {
        Ok(stream) => assert_eq!(rest(&stream), b""),
        Err(error) => assert!(error.is_peer_fault(), "{error}"),
    }

    let alice = with(key);
    let near = eventually_connect(&alice, &address);
    let (far, caller) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(caller.destination(), Some(alice.destination()));
    greet(&near, &far);
}

/// A lease set is found some seconds after the session was created.
fn eventually_connect(client: &StreamSession, address: &str) -> SamStream {
    persist(|| match client.connect(address) {
        Ok(stream) => Some(stream),
        Err(error) => {
            assert!(error.is_peer_fault(), "{error}");
            None
        }
    })
}

fn encrypted(router: &Router) -> SessionOptions {
    router.options().lease_set_type(LeaseSetType::Encrypted)
}
