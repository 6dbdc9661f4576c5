use crate::address::I2pAddr;
use crate::datagram::options::{DatagramOptions, push};
use crate::error::Error;
use crate::session::SessionCore;
use crate::wire::{CommandError, CommandFault, MAX_COMMAND, MAX_DATAGRAM_HEADER, Version};

/// A datagram to send.
pub(crate) struct OutgoingDatagram<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) peer: &'a I2pAddr,
    pub(crate) options: &'a DatagramOptions,
    /// The session's own protocol. A bridge applies it only to datagrams that are sent by UDP.
    pub(crate) protocol: Option<u8>,
    /// The line before the payload of a packet, if it was written before.
    pub(crate) header: Option<&'a [u8]>,
}

impl OutgoingDatagram<'_> {
    /// Writes it as a packet for the bridge's UDP port.
    pub(crate) fn write_packet(
        &self,
        core: &SessionCore,
        packet: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if let Some(header) = self.header {
            packet.extend_from_slice(header);
            packet.extend_from_slice(self.payload);
            return Ok(());
        }
        let (version, id) = (core.version, &core.id);
        push(packet, format_args!("{version} {id} {}", self.peer.sam()));
        self.finish(version, None, packet)
    }

    /// Writes it as a command for the control socket.
    pub(crate) fn write_command(
        &self,
        topic: &str,
        core: &SessionCore,
        command: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if self.peer.destination().is_none() {
            return Err(Error::setting(
                "address",
                self.peer,
                "on the control socket a datagram goes to a full destination: look the address up",
            ));
        }
        let (peer, size) = (self.peer.sam(), self.payload.len());
        push(
            command,
            format_args!("{topic} SEND DESTINATION={peer} SIZE={size}"),
        );
        self.finish(core.version, self.protocol, command)?;
        if command.len() > MAX_COMMAND {
            let max = MAX_COMMAND.saturating_sub(command.len() - size);
            return Err(Error::DatagramSize { size, max });
        }
        Ok(())
    }

    /// Writes the options, which follow the destination, and the payload.
    fn finish(
        &self,
        version: Version,
        protocol: Option<u8>,
        line: &mut Vec<u8>,
    ) -> Result<(), Error> {
        // A bridge before SAM 3.2 accepts no options, and the caller did not set the session's protocol for
        // this datagram.
        let protocol = protocol.filter(|_| version >= Version::V3_2);
        let without_options = line.len();
        self.options.write(self.peer.port(), protocol, line)?;
        if version < Version::V3_2 && line.len() > without_options {
            let options = line.get(without_options..).unwrap_or_default();
            return Err(Error::setting(
                "options",
                String::from_utf8_lossy(options).trim(),
                "a bridge before SAM 3.2 takes no ports and options with a datagram",
            ));
        }
        line.push(b'\n');
        if line.len() > MAX_DATAGRAM_HEADER {
            let fault = CommandFault::TooLong(MAX_DATAGRAM_HEADER);
            return Err(CommandError::new("DESTINATION", fault).into());
        }
        line.extend_from_slice(self.payload);
        Ok(())
    }
}
