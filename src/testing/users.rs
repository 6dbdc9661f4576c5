use super::client::Client;
use super::request::Request;
use super::state::State;

/// Carries out an AUTH command. Returns false if the connection is at its end.
pub(super) fn obey(client: &mut Client, request: &Request) -> bool {
    client.settled = true;
    let outcome = client
        .router
        .state
        .update(|state| change(state, request))
        .map_or_else(
            |error| format!(r#"AUTH STATUS RESULT=I2P_ERROR MESSAGE="{error}""#),
            |()| "AUTH STATUS RESULT=OK".to_owned(),
        );
    client.link.send_line(&outcome)
}

fn change(state: &mut State, request: &Request) -> Result<(), String> {
    let (user, password) = (request.filled("USER"), request.filled("PASSWORD"));
    match (request.action(), user, password) {
        ("ENABLE", ..) => state.users_required = true,
        ("DISABLE", ..) => state.users_required = false,
        ("ADD", Some(user), Some(password)) => {
            if state.users.contains_key(user) {
                return Err(format!("user {user} already exists"));
            }
            state.users.insert(user.to_owned(), password.to_owned());
        }
        ("ADD", ..) => return Err("USER and PASSWORD required".to_owned()),
        ("REMOVE", Some(user), _) => {
            let removed = state.users.remove(user);
            removed.ok_or_else(|| format!("user {user} not found"))?;
        }
        ("REMOVE", None, _) => return Err("USER required".to_owned()),
        _ => return Err("Unknown AUTH command".to_owned()),
    }
    Ok(())
}
