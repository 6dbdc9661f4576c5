use crate::bridge::SamBridge;
use crate::session::StreamSession;

/// What a [`MultihomedSession`](crate::MultihomedSession) has at one of its bridges, at the moment it
/// was asked.
#[derive(Clone, Debug)]
pub struct Home {
    bridge: SamBridge,
    session: Option<StreamSession>,
}

impl Home {
    pub(super) fn new(bridge: &SamBridge, session: Option<StreamSession>) -> Self {
        Self {
            bridge: bridge.clone(),
            session,
        }
    }

    /// The bridge, by itself.
    pub fn bridge(&self) -> &SamBridge {
        &self.bridge
    }

    /// The session there is; none while it is being made, or when it is gone for good. It is a plain
    /// one, and not healed for who holds it.
    pub fn session(&self) -> Option<&StreamSession> {
        self.session.as_ref()
    }
}
