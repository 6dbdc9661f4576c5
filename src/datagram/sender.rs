use std::fmt;

use crate::address::{AddressError, B32, Destination, I2pAddr, ToI2pAddr};

/// The sender of a datagram, proven or claimed.
///
/// It is an address: pass it to [`send_to`](crate::DatagramSession::send_to) to answer.
///
/// ```
/// use std::collections::HashSet;
/// use i2p_sam::{B32, Sender};
///
/// /// Only a sender that is proven can be on a list.
/// fn may_write(list: &HashSet<B32>, sender: &Sender) -> bool {
///     sender.destination().is_some_and(|destination| list.contains(&destination.b32()))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sender {
    /// The router has checked the sender's signature.
    Authenticated {
        /// The sender.
        destination: Destination,
        /// The I2CP port it was sent from, if the router sends it; i2pd does not.
        from_port: Option<u16>,
        /// The I2CP port it was sent to, if the router sends it; i2pd does not.
        to_port: Option<u16>,
    },
    /// Anyone may have sent it under this address: a `DATAGRAM3` has no signature.
    Unauthenticated {
        /// The claimed sender.
        address: B32,
        /// The I2CP port it was sent from, if the router sends it; i2pd does not.
        from_port: Option<u16>,
        /// The I2CP port it was sent to, if the router sends it; i2pd does not.
        to_port: Option<u16>,
    },
}

impl Sender {
    /// Returns the sender's destination if it is proven.
    pub fn destination(&self) -> Option<&Destination> {
        match self {
            Self::Authenticated { destination, .. } => Some(destination),
            Self::Unauthenticated { .. } => None,
        }
    }

    /// Returns true if the router has checked the sender's signature.
    pub fn is_authenticated(&self) -> bool {
        self.destination().is_some()
    }

    /// Returns the address for an answer: the sender, with the port it sent from if there is one.
    pub fn addr(&self) -> I2pAddr {
        let addr = match self {
            Self::Authenticated { destination, .. } => I2pAddr::from(destination),
            Self::Unauthenticated { address, .. } => I2pAddr::from(*address),
        };
        match self.from_port() {
            None => addr,
            Some(port) => addr.with_port(port),
        }
    }

    pub(super) fn with_ports(mut self, from: Option<u16>, to: Option<u16>) -> Self {
        match &mut self {
            Self::Authenticated {
                from_port, to_port, ..
            }
            | Self::Unauthenticated {
                from_port, to_port, ..
            } => (*from_port, *to_port) = (from, to),
        }
        self
    }

    /// Returns the I2CP port it was sent from, if the router sends it.
    pub fn from_port(&self) -> Option<u16> {
        match self {
            Self::Authenticated { from_port, .. } | Self::Unauthenticated { from_port, .. } => {
                *from_port
            }
        }
    }

    /// Returns the I2CP port it was sent to, if the router sends it.
    pub fn to_port(&self) -> Option<u16> {
        match self {
            Self::Authenticated { to_port, .. } | Self::Unauthenticated { to_port, .. } => *to_port,
        }
    }
}

/// Writes the address of [`Sender::addr`] in its short form, whether it is proven or claimed.
impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.addr().fmt(f)
    }
}

/// The address of [`Sender::addr`].
impl ToI2pAddr for Sender {
    fn to_i2p_addr(&self) -> Result<I2pAddr, AddressError> {
        Ok(self.addr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sender_is_shown_as_its_short_address_with_port() {
        let destination = Destination::from_bytes(&[0; 387]).unwrap();
        let address = destination.b32();
        let proven = Sender::Authenticated {
            destination,
            from_port: Some(7),
            to_port: None,
        };
        let claimed = Sender::Unauthenticated {
            address,
            from_port: None,
            to_port: None,
        };
        assert_eq!(proven.to_string(), format!("{address}:7"));
        assert_eq!(claimed.to_string(), address.to_string());
    }
}
