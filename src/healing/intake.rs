use crate::address::I2pAddr;
use crate::error::Error;
use crate::forward::ForwardListener;
use crate::listener::SamListener;
use crate::session::StreamSession;
use crate::stream::SamStream;
use crate::sync::Call;

/// How one of the sessions takes in what peers dial.
pub(super) enum Intake {
    Accepts(SamListener),
    Forward(ForwardListener),
}

impl Intake {
    pub(super) fn open(session: &StreamSession, forward: bool) -> Result<Self, Error> {
        match forward {
            true => session.forward().map(Self::Forward),
            false => session.listener().map(Self::Accepts),
        }
    }

    pub(super) fn accept(
        &self,
        call: Call,
        nonblocking: bool,
    ) -> Result<(SamStream, I2pAddr), Error> {
        match self {
            Self::Accepts(listener) => listener.accept_for(call, nonblocking),
            Self::Forward(listener) => listener.accept_for(call, nonblocking),
        }
    }
}
