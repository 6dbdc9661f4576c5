use std::time::Duration;

use super::{INT_MAX, SessionOptions};

/// # Tunnels
///
/// Tunnels are one-way: *inbound* tunnels carry messages to the session, *outbound* tunnels carry
/// them away. More hops hide better and are slower; more tunnels carry more load and fail less
/// often.
impl SessionOptions {
    /// Sets the hops of all tunnels, 0 to 7: [`inbound_length`](Self::inbound_length) and
    /// [`outbound_length`](Self::outbound_length) at once.
    ///
    /// ```
    /// use i2p_sam::SessionOptions;
    ///
    /// let fast_and_less_anonymous = SessionOptions::new().tunnel_length(1);
    /// ```
    pub fn tunnel_length(self, hops: u8) -> Self {
        self.inbound_length(hops).outbound_length(hops)
    }

    /// Sets the tunnels in each direction, 1 to 16: [`inbound_quantity`](Self::inbound_quantity)
    /// and [`outbound_quantity`](Self::outbound_quantity) at once.
    pub fn tunnel_quantity(self, tunnels: u8) -> Self {
        self.inbound_quantity(tunnels).outbound_quantity(tunnels)
    }

    /// Sets `inbound.length`: hops of an inbound tunnel, 0 to 7, sensibly 1 to 3. Routers default
    /// to 3.
    ///
    /// With 0 there is no anonymity: every peer that dials learns the session's router. Read by
    /// Java I2P and i2pd.
    pub fn inbound_length(self, hops: u8) -> Self {
        self.number("inbound.length", hops, 0..=7)
    }

    /// Sets `outbound.length`: hops of an outbound tunnel, 0 to 7, sensibly 1 to 3. Routers default
    /// to 3.
    ///
    /// With 0 there is no anonymity: every dialled peer learns the session's router. Read by Java
    /// I2P and i2pd.
    pub fn outbound_length(self, hops: u8) -> Self {
        self.number("outbound.length", hops, 0..=7)
    }

    /// Sets `inbound.lengthVariance`: hops by which the length of inbound tunnels varies, -7 to 7,
    /// sensibly -1 to 2. Routers default to 0.
    ///
    /// If `x` is above 0, 0 to `x` hops are added at random; below 0, up to that many are added or
    /// removed. Read by Java I2P and i2pd.
    pub fn inbound_length_variance(self, hops: i8) -> Self {
        self.number("inbound.lengthVariance", hops, -7..=7)
    }

    /// Sets `outbound.lengthVariance`: hops by which the length of outbound tunnels varies, -7 to
    /// 7, as with [`inbound_length_variance`](Self::inbound_length_variance).
    ///
    /// Routers default to 0. Read by Java I2P and i2pd.
    pub fn outbound_length_variance(self, hops: i8) -> Self {
        self.number("outbound.lengthVariance", hops, -7..=7)
    }

    /// Sets `inbound.quantity`: inbound tunnels, 1 to 16, sensibly 1 to 6.
    ///
    /// [`new`](Self::new) sets 3. Java I2P defaults to 2, i2pd to 5; both read it.
    pub fn inbound_quantity(self, tunnels: u8) -> Self {
        self.number("inbound.quantity", tunnels, 1..=16)
    }

    /// Sets `outbound.quantity`: outbound tunnels, 1 to 16, sensibly 1 to 6.
    ///
    /// [`new`](Self::new) sets 3. Java I2P defaults to 2, i2pd to 5; both read it.
    pub fn outbound_quantity(self, tunnels: u8) -> Self {
        self.number("outbound.quantity", tunnels, 1..=16)
    }

    /// Sets `inbound.backupQuantity`: spare inbound tunnels, 0 to 3, which replace one that fails.
    ///
    /// Default: 0. Read by Java I2P only.
    pub fn inbound_backup_quantity(self, tunnels: u8) -> Self {
        self.number("inbound.backupQuantity", tunnels, 0..=3)
    }

    /// Sets `outbound.backupQuantity`: spare outbound tunnels, 0 to 3, which replace one that
    /// fails.
    ///
    /// Default: 0. Read by Java I2P only.
    pub fn outbound_backup_quantity(self, tunnels: u8) -> Self {
        self.number("outbound.backupQuantity", tunnels, 0..=3)
    }

    /// Sets `inbound.allowZeroHop`: if true, the router may fall back to inbound tunnels without
    /// hops.
    ///
    /// Default: true. Read by Java I2P only.
    pub fn inbound_allow_zero_hop(self, allow: bool) -> Self {
        self.flag("inbound.allowZeroHop", allow)
    }

    /// Sets `outbound.allowZeroHop`: if true, the router may fall back to outbound tunnels without
    /// hops.
    ///
    /// Default: true. Read by Java I2P only.
    pub fn outbound_allow_zero_hop(self, allow: bool) -> Self {
        self.flag("outbound.allowZeroHop", allow)
    }

    /// Sets `inbound.IPRestriction`: the number of leading bytes of an IP address, 0 to 4, that no
    /// two hops of an inbound tunnel may share. 0 switches the restriction off.
    ///
    /// Default: 2. Read by Java I2P only.
    pub fn inbound_ip_restriction(self, bytes: u8) -> Self {
        self.number("inbound.IPRestriction", bytes, 0..=4)
    }

    /// Sets `outbound.IPRestriction`: the number of leading bytes of an IP address, 0 to 4, that no
    /// two hops of an outbound tunnel may share. 0 switches the restriction off.
    ///
    /// Default: 2. Read by Java I2P only.
    pub fn outbound_ip_restriction(self, bytes: u8) -> Self {
        self.number("outbound.IPRestriction", bytes, 0..=4)
    }

    /// Sets the name of the session in the router's console:
    /// [`inbound_nickname`](Self::inbound_nickname) and
    /// [`outbound_nickname`](Self::outbound_nickname) at once.
    ///
    /// Peers never see it. Blanks, quotes and backslashes are refused, since i2pd has no quotes and
    /// would split the name.
    pub fn nickname(self, name: &str) -> Self {
        self.inbound_nickname(name).outbound_nickname(name)
    }

    /// Sets `inbound.nickname`: the name of the inbound tunnels in the router's console, without
    /// blanks, quotes and backslashes.
    ///
    /// Read by Java I2P, which shows the session under this name, and by i2pd.
    pub fn inbound_nickname(self, name: &str) -> Self {
        self.unquoted("inbound.nickname", name)
    }

    /// Sets `outbound.nickname`: the name of the outbound tunnels in the router's console, without
    /// blanks, quotes and backslashes.
    ///
    /// Read by Java I2P and i2pd.
    pub fn outbound_nickname(self, name: &str) -> Self {
        self.unquoted("outbound.nickname", name)
    }

    /// Sets `inbound.randomKey`: base64 of 32 random bytes that order the peers of inbound tunnels.
    ///
    /// The same key gives the same order after a restart of the router, which makes some attacks
    /// on long-lived servers harder. Default: a new one each time. Keep it secret. Read by Java
    /// I2P only.
    pub fn inbound_random_key(self, base64: &str) -> Self {
        self.base64("inbound.randomKey", base64)
    }

    /// Sets `outbound.randomKey`: base64 of 32 random bytes that order the peers of outbound
    /// tunnels, as with [`inbound_random_key`](Self::inbound_random_key).
    ///
    /// Read by Java I2P only.
    pub fn outbound_random_key(self, base64: &str) -> Self {
        self.base64("outbound.randomKey", base64)
    }

    /// Sets `outbound.priority`: the priority of the session among those of the router under load,
    /// -25 to 25; higher goes first.
    ///
    /// Default: 0. Read by Java I2P only.
    pub fn outbound_priority(self, priority: i8) -> Self {
        self.number("outbound.priority", priority, -25..=25)
    }

    /// Sets `explicitPeers`: the routers to build tunnels through, each as base64 of its hash.
    ///
    /// For debugging only: it costs anonymity. An option has room for five hashes. Read by Java
    /// I2P and i2pd.
    pub fn explicit_peers(self, hashes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.base64_list("explicitPeers", hashes)
    }

    /// Sets `latency.min`: tunnels faster than this are not used. At least 1 ms, in whole
    /// milliseconds.
    ///
    /// Default: no bound. Read by i2pd only.
    pub fn latency_min(self, latency: Duration) -> Self {
        self.millis("latency.min", latency, 1..=INT_MAX)
    }

    /// Sets `latency.max`: tunnels slower than this are not used. At least 1 ms, in whole
    /// milliseconds.
    ///
    /// Default: no bound. Read by i2pd only.
    pub fn latency_max(self, latency: Duration) -> Self {
        self.millis("latency.max", latency, 1..=INT_MAX)
    }
}
