use crate::address::{PrivateKey, SignatureType};

use super::client::Client;
use super::keys;
use super::profile::Signatures;
use super::request::Request;
use super::router::Router;

/// Carries out DEST GENERATE. Returns false if the connection is at its end.
pub(super) fn obey(client: &mut Client, request: &Request) -> bool {
    let commands = &client.router.facts.commands;
    if request.action() != "GENERATE" {
        return client.answer(commands.not_generate, &[]);
    }
    if client.session.is_some() && !commands.generates_on_control_socket {
        return true;
    }
    let named = request.filled("SIGNATURE_TYPE");
    let signature_type = match (signature_type(named), &commands.signatures) {
        (Some(SignatureType::Ed25519), Signatures::Ed25519) if named == Some("7") => {
            SignatureType::Ed25519
        }
        (_, Signatures::Ed25519) => return true,
        (Some(signature_type), _) => signature_type,
        (None, Signatures::Known { unknown }) => {
            return client.answer(*unknown, &[("value", named.unwrap_or_default())]);
        }
        (None, Signatures::KnownOrCrash) => {
            client.router.stop();
            return false;
        }
    };
    client.settled = true;
    let Some(key) = new_key(&client.router, signature_type) else {
        return false;
    };
    let (public, private) = (key.destination(), key.expose_base64());
    client
        .link
        .send_line(&format!("DEST REPLY PUB={public} PRIV={private}"))
}

/// Reads a type by its number or its name. None is DSA, the oldest.
pub(super) fn signature_type(named: Option<&str>) -> Option<SignatureType> {
    let Some(named) = named else {
        return Some(SignatureType::DsaSha1);
    };
    let known = [0, 1, 2, 3, 7, 11];
    let mut known = known.into_iter().filter_map(SignatureType::from_code);
    known.find(|known| known.code().to_string() == named || known.to_string() == named)
}

pub(super) fn new_key(router: &Router, signature_type: SignatureType) -> Option<PrivateKey> {
    let mut state = router.state.lock();
    keys::generate(&mut state.random, signature_type).ok()
}
