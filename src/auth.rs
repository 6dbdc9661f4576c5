use crate::bridge::SamBridge;
use crate::error::{Error, Phase};
use crate::sync::Deadline;
use crate::wire::{Command, CommandError};

/// Who may use the bridge. Java I2P alone knows users; i2pd and emissary hang up when they are told
/// of them ([`Error::UnexpectedEof`]).
///
/// Any program that reaches the bridge may say all this while passwords are not asked for.
///
/// Users belong to one bridge: of [several](SamBridge#several-bridges), speak to each of
/// [`bridges`](SamBridge::bridges) by itself.
impl SamBridge {
    /// Makes the bridge ask every socket for a user's name and password, from now on. Add a user
    /// first: this bridge then needs those [`credentials`](crate::SamBridgeBuilder::credentials)
    /// itself.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the bridge says no, [`Error::UnexpectedEof`] when it knows no users,
    /// [`Error::Setting`] for several bridges. Otherwise as [`version`](SamBridge::version).
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

    /// Lets anybody use the bridge who reaches it, from now on.
    ///
    /// # Errors
    ///
    /// As [`auth_enable`](SamBridge::auth_enable).
    pub fn auth_disable(&self) -> Result<(), Error> {
        self.auth(&Command::new("AUTH", "DISABLE"))
    }

    /// Adds a user. The password is sent in the clear.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] when name or password is empty or holds CR, LF or NUL: nothing was sent
    /// then. [`Error::Refused`] when there is such a user already. Otherwise as
    /// [`auth_enable`](SamBridge::auth_enable). No error shows the password.
    pub fn auth_add(&self, user: &str, password: &str) -> Result<(), Error> {
        let command = user_command("ADD", user)?.pair("PASSWORD", password)?;
        self.auth(&command)
    }

    /// Removes a user.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] when the name cannot be sent, [`Error::Refused`] when there is no such
    /// user. Otherwise as [`auth_enable`](SamBridge::auth_enable).
    pub fn auth_remove(&self, user: &str) -> Result<(), Error> {
        self.auth(&user_command("REMOVE", user)?)
    }

    fn auth(&self, command: &Command) -> Result<(), Error> {
        if self.is_several() {
            return Err(Error::setting(
                "bridge",
                self.address(),
                "it is one of several, and users belong to one: ask each of `bridges` by itself",
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
