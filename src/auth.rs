use crate::bridge::SamBridge;
use crate::error::{Error, Phase};
use crate::sync::Deadline;
use crate::wire::{Command, CommandError};

/// Users of the bridge. Only Java I2P has users; i2pd and emissary close the connection if they
/// receive these commands ([`Error::UnexpectedEof`]).
///
/// Any program that reaches the bridge can send them while passwords are not required.
///
/// Users belong to one bridge: if there are [several](SamBridge#several-bridges), call these
/// methods on each of [`bridges`](SamBridge::bridges).
impl SamBridge {
    /// Makes the bridge require a user's name and password on every socket from now on. Add a user
    /// first: this bridge then needs those [`credentials`](crate::SamBridgeBuilder::credentials)
    /// itself.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Refused`] if the bridge refuses, [`Error::UnexpectedEof`] if it has no
    /// users, [`Error::Setting`] for several bridges. Other errors are those of
    /// [`version`](SamBridge::version).
    ///
    /// ```no_run
    /// let bridge = i2p_sam::SamBridge::from_env()?;
    /// bridge.auth_add("joe", "correct horse")?;
    /// bridge.auth_enable()?;
    /// assert!(bridge.version().is_err());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn auth_enable(&self) -> Result<(), Error> {
        self.auth(&Command::new("AUTH", "ENABLE"))
    }

    /// Lets any program that reaches the bridge use it from now on.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`auth_enable`](SamBridge::auth_enable).
    pub fn auth_disable(&self) -> Result<(), Error> {
        self.auth(&Command::new("AUTH", "DISABLE"))
    }

    /// Adds a user. The password is sent in the clear.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Command`] if the name or the password is empty or contains CR, LF or NUL;
    /// nothing is sent in that case. Returns [`Error::Refused`] if the user exists already. Other
    /// errors are those of [`auth_enable`](SamBridge::auth_enable). No error shows the password.
    pub fn auth_add(&self, user: &str, password: &str) -> Result<(), Error> {
        let command = user_command("ADD", user)?.pair("PASSWORD", password)?;
        self.auth(&command)
    }

    /// Removes a user.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Command`] if the name cannot be sent, [`Error::Refused`] if there is no
    /// such user. Other errors are those of [`auth_enable`](SamBridge::auth_enable).
    pub fn auth_remove(&self, user: &str) -> Result<(), Error> {
        self.auth(&user_command("REMOVE", user)?)
    }

    fn auth(&self, command: &Command) -> Result<(), Error> {
        if self.is_several() {
            return Err(Error::setting(
                "bridge",
                self.address(),
                "it is one of several, and users belong to one bridge: call this on each of `bridges`",
            ));
        }
        let mut connection = self.open()?;
        let deadline = Deadline::after(self.config().timeouts.command);
        connection.request(command, Phase::Command, deadline)?;
        Ok(())
    }
}

fn user_command(action: &'static str, user: &str) -> Result<Command, CommandError> {
    Command::new("AUTH", action).pair("USER", user)
}
