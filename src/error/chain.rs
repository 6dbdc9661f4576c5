use super::Error;
use crate::logging::debug_as_sentence;

debug_as_sentence!(Error:
    Unreachable UdpClosed Timeout Cancelled WouldBlock DatagramSize BufferTooSmall Refused SessionLost GaveUp
    ForwardLost UnexpectedEof Protocol WrongDestination Version InvalidConfig Conflict Unsupported Command Address Key
    KeyFile Io);
