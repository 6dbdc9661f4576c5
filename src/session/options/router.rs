use std::time::Duration;

use super::{INT_MAX, SessionOptions};

/// The shortest time after which Java I2P regards a session as idle: 5 minutes.
const IDLE_MIN: i64 = 300_000;

/// The reports of a router about the delivery of each message.
///
/// ```
/// use i2p_sam::{MessageReliability, SessionOptions};
///
/// let options = SessionOptions::new().message_reliability(MessageReliability::BestEffort);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MessageReliability {
    /// The router reports.
    BestEffort,
    /// The router does not report.
    None,
}

impl MessageReliability {
    const fn word(self) -> &'static str {
        match self {
            Self::BestEffort => "BestEffort",
            Self::None => "None",
        }
    }
}

/// # The session at its router
///
/// Idleness, compression, access lists, and the connection of Java's bridge to its own router.
impl SessionOptions {
    /// Sets `i2cp.reduceOnIdle`: if true, the router keeps fewer tunnels while the session is idle.
    ///
    /// Default: false. Read by Java I2P only.
    pub fn reduce_on_idle(self, reduce: bool) -> Self {
        self.flag("i2cp.reduceOnIdle", reduce)
    }

    /// Sets `i2cp.reduceIdleTime`: the time without traffic after which
    /// [`reduce_on_idle`](Self::reduce_on_idle) reduces the tunnels. At least 5 minutes, in whole
    /// milliseconds.
    ///
    /// Default: 20 minutes. Read by Java I2P only.
    pub fn reduce_idle_time(self, time: Duration) -> Self {
        self.millis("i2cp.reduceIdleTime", time, IDLE_MIN..=INT_MAX)
    }

    /// Sets `i2cp.reduceQuantity`: the number of tunnels that
    /// [`reduce_on_idle`](Self::reduce_on_idle) leaves in each direction, 1 to 5.
    ///
    /// Default: 1. Read by Java I2P only.
    pub fn reduce_quantity(self, tunnels: u8) -> Self {
        self.number("i2cp.reduceQuantity", tunnels, 1..=5)
    }

    /// Sets `i2cp.closeOnIdle`: if true, the router ends the session when it is idle.
    ///
    /// Default: false. Read by Java I2P only.
    pub fn close_on_idle(self, close: bool) -> Self {
        self.flag("i2cp.closeOnIdle", close)
    }

    /// Sets `i2cp.closeIdleTime`: the time without traffic after which
    /// [`close_on_idle`](Self::close_on_idle) ends the session. At least 5 minutes, in whole
    /// milliseconds.
    ///
    /// Default: 30 minutes. Read by Java I2P only.
    pub fn close_idle_time(self, time: Duration) -> Self {
        self.millis("i2cp.closeIdleTime", time, IDLE_MIN..=INT_MAX)
    }

    /// Sets `i2cp.gzip`: if true, the router compresses what the session sends.
    ///
    /// Default: true. False keeps the gzip format but saves the effort: use it for data that is
    /// compressed already. Read by Java I2P only.
    pub fn gzip(self, compress: bool) -> Self {
        self.flag("i2cp.gzip", compress)
    }

    /// Sets `i2cp.fastReceive`: if true, the router delivers messages without a prior request.
    ///
    /// Default: true. Read by Java I2P only.
    pub fn fast_receive(self, fast: bool) -> Self {
        self.flag("i2cp.fastReceive", fast)
    }

    /// Sets `i2cp.messageReliability`: selects whether the router reports the delivery of each message
    /// to its SAM bridge.
    ///
    /// Default: [`None`](MessageReliability::None). Read by Java I2P only.
    pub fn message_reliability(self, reliability: MessageReliability) -> Self {
        self.text("i2cp.messageReliability", reliability.word())
    }

    /// Sets `crypto.tagsToSend`: the number of session tags sent to a peer at once, 1 to 128. For
    /// [`ElGamal`](crate::EncryptionType::ElGamal) only.
    ///
    /// Default: 40. Read by Java I2P and i2pd.
    pub fn tags_to_send(self, tags: u8) -> Self {
        self.number("crypto.tagsToSend", tags, 1..=128)
    }

    /// Sets `crypto.lowTagThreshold`: the number of remaining session tags below which more are
    /// sent, 1 to 128, sensibly two thirds of [`tags_to_send`](Self::tags_to_send). For
    /// [`ElGamal`](crate::EncryptionType::ElGamal) only.
    ///
    /// Default: 30. Read by Java I2P only.
    pub fn low_tag_threshold(self, tags: u8) -> Self {
        self.number("crypto.lowTagThreshold", tags, 1..=128)
    }

    /// Sets `crypto.ratchet.inboundTags`: the number of tags kept ready for the messages of a peer,
    /// at least 1. For [`EciesX25519`](crate::EncryptionType::EciesX25519).
    ///
    /// Read by i2pd only.
    pub fn ratchet_inbound_tags(self, tags: u16) -> Self {
        self.number("crypto.ratchet.inboundTags", tags, 1..=i64::from(u16::MAX))
    }

    /// Sets `clientMessageTimeout`: the time for which the router tries to deliver a message. 8 to
    /// 120 seconds, in whole milliseconds.
    ///
    /// Default: 60 seconds. Read by Java I2P only.
    pub fn client_message_timeout(self, time: Duration) -> Self {
        self.millis("clientMessageTimeout", time, 8_000..=120_000)
    }

    /// Sets `i2cp.username`: the user name with which the bridge logs in to its router.
    ///
    /// It is not the bridge's own `USER`, which belongs to [`SamBridge`](crate::SamBridge).
    /// Default: none. Read by Java I2P only.
    pub fn i2cp_username(self, name: &str) -> Self {
        self.text("i2cp.username", name)
    }

    /// Sets `i2cp.password`: the password with which the bridge logs in to its router. A secret.
    ///
    /// It is not the bridge's own `PASSWORD`, which belongs to [`SamBridge`](crate::SamBridge).
    /// Default: none. Read by Java I2P only.
    pub fn i2cp_password(self, password: &str) -> Self {
        self.text("i2cp.password", password)
    }

    /// Sets `i2cp.tcp.host`: the host on which the bridge finds its router, if it does not run
    /// inside it. Without blanks, quotes and backslashes.
    ///
    /// Read by Java I2P only.
    pub fn i2cp_tcp_host(self, host: &str) -> Self {
        self.unquoted("i2cp.tcp.host", host)
    }

    /// Sets `i2cp.tcp.port`: the TCP port on which the bridge finds its router, 1 to 65535.
    ///
    /// Read by Java I2P only.
    pub fn i2cp_tcp_port(self, port: u16) -> Self {
        self.number("i2cp.tcp.port", port, 1..=i64::from(u16::MAX))
    }

    /// Sets `i2cp.SSL`: if true, the bridge connects to its router over TLS.
    ///
    /// Read by Java I2P only.
    pub fn i2cp_ssl(self, tls: bool) -> Self {
        self.flag("i2cp.SSL", tls)
    }

    /// Sets `i2cp.accessList`: the destinations that
    /// [`enable_access_list`](Self::enable_access_list) allows or
    /// [`enable_black_list`](Self::enable_black_list) blocks, each as base64 of its hash.
    ///
    /// An option has room for five hashes: more are refused. An empty list is refused too. Read by
    /// Java I2P only: **on i2pd every peer may still connect**.
    ///
    /// ```
    /// use i2p_sam::SessionOptions;
    ///
    /// # let hash_of_alice = "A".repeat(43) + "=";
    /// let friends_only = SessionOptions::new()
    ///     .access_list([hash_of_alice])
    ///     .enable_access_list(true);
    /// ```
    pub fn access_list(self, hashes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.base64_list("i2cp.accessList", hashes)
    }

    /// Sets `i2cp.enableAccessList`: if true, only destinations on the
    /// [`access_list`](Self::access_list) may connect.
    ///
    /// Default: false. Read by Java I2P only.
    pub fn enable_access_list(self, enable: bool) -> Self {
        self.flag("i2cp.enableAccessList", enable)
    }

    /// Sets `i2cp.enableBlackList`: if true, destinations on the [`access_list`](Self::access_list)
    /// may not connect; all others may.
    ///
    /// Default: false. Read by Java I2P only.
    pub fn enable_black_list(self, enable: bool) -> Self {
        self.flag("i2cp.enableBlackList", enable)
    }

    /// Sets `sam.udp.host`: the address on which the bridge receives datagrams to send. Without
    /// blanks, quotes and backslashes.
    ///
    /// For datagrams. Default: `127.0.0.1`. Read by Java I2P only.
    pub fn sam_udp_host(self, host: &str) -> Self {
        self.unquoted("sam.udp.host", host)
    }

    /// Sets `sam.udp.port`: the UDP port on which the bridge receives datagrams to send, 1 to
    /// 65535.
    ///
    /// For datagrams. Default: 7655. Read by Java I2P only.
    pub fn sam_udp_port(self, port: u16) -> Self {
        self.number("sam.udp.port", port, 1..=i64::from(u16::MAX))
    }
}
