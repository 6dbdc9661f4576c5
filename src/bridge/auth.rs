use super::sam_bridge::SamBridge;
use crate::error::{Error, Phase};
use crate::sync::Deadline;
use crate::wire::{Command, CommandError};

/// The users of a bridge. [`SamBridge::auth`] returns it.
///
/// Only Java I2P has users. i2pd and emissary close the connection instead of a reply
/// ([`Error::UnexpectedEof`]). As long as the bridge does not require passwords, any program that
/// reaches it can use these methods.
///
/// Users belong to one bridge. For a [`SamBridge`] with fallbacks every method returns
/// [`Error::InvalidConfig`]: use the `auth` of each of its [`routers`](SamBridge::routers).
///
/// ```no_run
/// let bridge = i2p_sam::SamBridge::from_env()?;
/// bridge.auth().add("joe", "correct horse")?;
/// bridge.auth().enable()?;
/// assert!(bridge.version().is_err());
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does nothing by itself"]
pub struct Auth {
    bridge: SamBridge,
}

impl SamBridge {
    /// Returns a handle to the users of the bridge. Nothing is sent.
    pub fn auth(&self) -> Auth {
        let bridge = self.clone();
        Auth { bridge }
    }
}

impl Auth {
    /// Makes the bridge require a user name and a password on every new socket. Add a user first:
    /// this program then needs [credentials](crate::SamBridgeBuilder::credentials) itself.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the bridge refuses, [`Error::UnexpectedEof`] if it has no users,
    /// [`Error::InvalidConfig`] if the [`SamBridge`] has fallbacks. Otherwise as
    /// [`SamBridge::version`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use i2p_sam::SamBridge;
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// let bridge = router.bridge();
    /// bridge.auth().add("joe", "correct horse")?;
    /// bridge.auth().enable()?;
    /// assert!(bridge.version().is_err());
    /// let address = router.address().to_string();
    /// let joe = SamBridge::builder().address(address).credentials("joe", "correct horse").build()?;
    /// assert!(joe.version().is_ok());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn enable(&self) -> Result<(), Error> {
        self.send(&Command::new("AUTH", "ENABLE"))
    }

    /// Lets every program that reaches the bridge use it.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// let bridge = router.bridge();
    /// bridge.auth().disable()?;
    /// assert!(bridge.version().is_ok());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn disable(&self) -> Result<(), Error> {
        self.send(&Command::new("AUTH", "DISABLE"))
    }

    /// Adds a user. The password is sent in the clear.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] if the name or the password is empty or contains CR, LF or NUL; nothing was
    /// sent then. [`Error::Refused`] if the user exists. Otherwise as [`enable`](Self::enable). No
    /// error shows the password.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// let users = router.bridge().auth();
    /// users.add("joe", "correct horse")?;
    /// assert!(users.add("joe", "battery staple").is_err());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add(&self, user: &str, password: &str) -> Result<(), Error> {
        self.send(&user_command("ADD", user)?.pair("PASSWORD", password)?)
    }

    /// Removes a user.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] if the name cannot be sent, [`Error::Refused`] if there is no such user.
    /// Otherwise as [`enable`](Self::enable).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// let users = router.bridge().auth();
    /// users.add("joe", "correct horse")?;
    /// users.remove("joe")?;
    /// assert!(users.remove("joe").is_err());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&self, user: &str) -> Result<(), Error> {
        self.send(&user_command("REMOVE", user)?)
    }

    fn send(&self, command: &Command) -> Result<(), Error> {
        if self.bridge.routers().len() > 1 {
            return Err(Error::setting(
                "bridge",
                self.bridge.address(),
                "it has fallbacks, and users belong to one bridge: use each of `routers`",
            ));
        }
        let mut connection = self.bridge.open()?;
        let deadline = Deadline::after(self.bridge.config().timeouts.command);
        connection.request(command, Phase::Command, deadline)?;
        Ok(())
    }
}

fn user_command(action: &'static str, user: &str) -> Result<Command, CommandError> {
    Command::new("AUTH", action).pair("USER", user)
}
