use std::sync::Arc;
use std::time::Duration;

use crate::session::control::ControlSocket;
use crate::sync::Lifetime;

/// The end of a session. A session that stands alone ends with its control socket, and a subsession ends
/// when the bridge removes it.
pub(crate) trait SessionEnd: Send + Sync {
    /// Returns the lifetime of the session. That of a subsession ends with its primary session's.
    fn lifetime(&self) -> &Arc<Lifetime>;

    /// Ends everything that depends on the session at once, and the session itself when `parting` has
    /// passed. Waits until the bridge has confirmed it, for at most 2 s more.
    fn close(self: Arc<Self>, parting: Duration);

    /// Closes the session in the background when this time has passed. Until then its streams can deliver
    /// their last bytes.
    fn close_after(self: Arc<Self>, time: Duration);
}

impl SessionEnd for ControlSocket {
    fn lifetime(&self) -> &Arc<Lifetime> {
        Self::lifetime(self)
    }

    fn close(self: Arc<Self>, parting: Duration) {
        self.quit(parting);
        self.wait_hung_up(parting);
        self.hang_up();
    }

    fn close_after(self: Arc<Self>, time: Duration) {
        self.quit_after(time);
    }
}
