use crate::address::{Destination, I2pAddr};
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
}

impl OutgoingDatagram<'_> {
    /// Writes it as a packet for the bridge's UDP port.
    pub(crate) fn write_packet(
        &self,
        core: &SessionCore,
        last: &mut LastLine,
        packet: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if !last.is_of(self) {
            last.of = None;
            last.line.clear();
            self.write_line(core, &mut last.line)?;
            let (port, options) = (self.peer.port(), self.options.clone());
            let destination = self.peer.destination().cloned();
            last.of = destination.map(|destination| (destination, port, options));
        }
        packet.extend_from_slice(&last.line);
        packet.extend_from_slice(self.payload);
        Ok(())
    }

    /// Fails if no packet can be sent to this peer with these options.
    pub(crate) fn check_packet(&self, core: &SessionCore) -> Result<(), Error> {
        self.write_line(core, &mut Vec::new())
    }

    /// Writes the line before the payload of a packet.
    fn write_line(&self, core: &SessionCore, line: &mut Vec<u8>) -> Result<(), Error> {
        let (version, id) = (core.version, &core.id);
        push(line, format_args!("{version} {id} {}", self.peer.sam()));
        self.finish_line(version, None, line)
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
        self.finish_line(core.version, self.protocol, command)?;
        command.extend_from_slice(self.payload);
        if command.len() > MAX_COMMAND {
            let max = MAX_COMMAND.saturating_sub(command.len() - size);
            return Err(Error::DatagramSize { size, max });
        }
        Ok(())
    }

    /// Writes the options, which follow the destination, and the line end.
    fn finish_line(
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
        Ok(())
    }
}

/// The line before the payload of the last packet to a full destination. Packets to it repeat the line.
#[derive(Default)]
pub(crate) struct LastLine {
    of: Option<(Destination, Option<u16>, DatagramOptions)>,
    line: Vec<u8>,
}

impl LastLine {
    fn is_of(&self, datagram: &OutgoingDatagram<'_>) -> bool {
        let Some((destination, port, options)) = &self.of else {
            return false;
        };
        let peer = datagram.peer;
        peer.destination() == Some(destination)
            && peer.port() == *port
            && datagram.options == options
    }
}
