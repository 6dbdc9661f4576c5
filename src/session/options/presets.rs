use super::{SessionOptions, StreamingProfile};

/// # Presets
///
/// Each starts with [`new`](Self::new) and fits one need. A setter after it replaces a part of it.
///
/// ```
/// use i2p_sam::SessionOptions;
///
/// let options = SessionOptions::busy_server().nickname("blog").tunnel_quantity(8);
/// ```
impl SessionOptions {
    /// Creates options for tests on one machine: tunnels without hops.
    ///
    /// **There is no anonymity**: a peer that knows the destination can find the router. It works on a router that knows
    /// no other router: Java I2P creates such a session at once, i2pd takes 3 to 20 s. emissary 0.4.0 does not reply
    /// to such a request: use one hop there.
    ///
    /// | option | value | because |
    /// |---|---|---|
    /// | `inbound.length`, `outbound.length` | 0 | no other router is needed |
    /// | `inbound.quantity`, `outbound.quantity` | 1 | without hops, more tunnels distribute nothing |
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::SessionOptions;
    ///
    /// let session = bridge.session().options(SessionOptions::local_test()).stream()?;
    /// # drop(session);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn local_test() -> Self {
        Self::new().tunnel_length(0).tunnel_quantity(1)
    }

    /// Creates options for a chat, a shell or a game: small messages both ways, for which delay matters more than
    /// distance.
    ///
    /// | option | value | because |
    /// |---|---|---|
    /// | `inbound.length`, `outbound.length` | 2 | a third less delay than with the routers' 3 hops, and less anonymity |
    /// | `inbound.quantity`, `outbound.quantity` | 2 | small messages need no more; one may fail |
    /// | `i2p.streaming.profile` | 2, interactive | Java I2P and i2pd |
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::SessionOptions;
    ///
    /// let session = bridge.session().options(SessionOptions::interactive()).nickname("chat").stream()?;
    /// # drop(session);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn interactive() -> Self {
        Self::new()
            .tunnel_length(2)
            .tunnel_quantity(2)
            .streaming_profile(StreamingProfile::Interactive)
    }

    /// Creates options for a server with some users at once, which should be reached although a tunnel fails.
    ///
    /// | option | value | because |
    /// |---|---|---|
    /// | `inbound.quantity`, `outbound.quantity` | 3 | as [`new`](Self::new); the hops are the routers' 3 |
    /// | `inbound.backupQuantity`, `outbound.backupQuantity` | 1 | a spare tunnel replaces one that fails at once (Java I2P) |
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::SessionOptions;
    ///
    /// let session = bridge.session().options(SessionOptions::server()).nickname("blog").stream()?;
    /// let listener = session.listener()?;
    /// # drop(listener);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn server() -> Self {
        Self::new()
            .inbound_backup_quantity(1)
            .outbound_backup_quantity(1)
    }

    /// Creates options for a server with many users at once.
    ///
    /// | option | value | because |
    /// |---|---|---|
    /// | `inbound.quantity`, `outbound.quantity` | 6 | the load is shared by more tunnels; each costs the router and others work |
    /// | `inbound.backupQuantity`, `outbound.backupQuantity` | 1 | as for [`server`](Self::server) |
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::SessionOptions;
    ///
    /// // The backlog is for the crowd after a link to the site was posted.
    /// let options = SessionOptions::busy_server();
    /// let session = bridge.session().options(options).backlog(512).stream()?;
    /// let listener = session.listener()?;
    /// # drop(listener);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn busy_server() -> Self {
        Self::server().tunnel_quantity(6)
    }
}
