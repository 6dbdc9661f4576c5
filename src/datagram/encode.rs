use std::collections::VecDeque;

use crate::address::{Destination, I2pAddr};
use crate::datagram::options::{DatagramOptions, push};
use crate::error::Error;
use crate::session::{DefaultPorts, SessionCore};
use crate::wire::{CommandError, CommandFault, MAX_COMMAND, MAX_DATAGRAM_HEADER, Version};

/// Most lines that are remembered.
const MAX_RECENT: usize = 16;

/// A datagram to send.
pub(crate) struct OutgoingDatagram<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) peer: &'a I2pAddr,
    pub(crate) options: &'a DatagramOptions,
    /// The session's own protocol. A bridge applies it only to datagrams that are sent by UDP.
    pub(crate) protocol: Option<u8>,
    /// The ports of a datagram that names none.
    pub(crate) ports: DefaultPorts,
}

impl OutgoingDatagram<'_> {
    /// Writes it as a packet for the bridge's UDP port, into an empty buffer.
    pub(crate) fn write_packet(
        &self,
        core: &SessionCore,
        recent: &mut RecentLines,
        packet: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match recent.find(self) {
            Some(line) => packet.extend_from_slice(line),
            None => {
                self.write_line(core, packet)?;
                recent.keep(self, packet);
            }
        }
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
        let port = self.peer.port();
        self.options.write(port, self.ports, protocol, line)?;
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

/// The lines before the payloads of the last packets to full destinations. Packets to them repeat the lines.
#[derive(Default)]
pub(crate) struct RecentLines {
    lines: VecDeque<RecentLine>,
}

struct RecentLine {
    destination: Destination,
    port: Option<u16>,
    options: DatagramOptions,
    ports: DefaultPorts,
    line: Vec<u8>,
}

impl RecentLines {
    fn find(&self, datagram: &OutgoingDatagram<'_>) -> Option<&[u8]> {
        let destination = datagram.peer.destination()?;
        let port = datagram.peer.port();
        let found = self.lines.iter().find(|recent| {
            recent.destination == *destination
                && recent.port == port
                && recent.options == *datagram.options
                && recent.ports == datagram.ports
        });
        found.map(|recent| recent.line.as_slice())
    }

    fn keep(&mut self, datagram: &OutgoingDatagram<'_>, line: &[u8]) {
        let Some(destination) = datagram.peer.destination() else {
            return;
        };
        let oldest = (self.lines.len() >= MAX_RECENT).then(|| self.lines.pop_back());
        let mut kept = oldest.flatten().map_or_else(Vec::new, |oldest| oldest.line);
        kept.clear();
        kept.extend_from_slice(line);
        self.lines.push_front(RecentLine {
            destination: destination.clone(),
            port: datagram.peer.port(),
            options: datagram.options.clone(),
            ports: datagram.ports,
            line: kept,
        });
    }
}
