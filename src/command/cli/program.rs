//! What the command line starts, and what it tells of: handed in, since everything that a server is about stands beside it.

use std::pin::Pin;

use crate::config::{Config, ConfigError};
use crate::signals::Signals;
use crate::site::addresses::Addresses;
use crate::spec::Spec;
use crate::spec::coverage::Coverage;

/// Work that the command line waits for.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The program behind the command line.
pub trait Program: Sync {
    /// Serves in the foreground until a signal, with the ready line on standard output.
    ///
    /// # Errors
    /// It cannot start, or has to stop; the setting to blame is named.
    fn serve(&self, config: Config, signals: Signals) -> Work<'_, Result<(), ConfigError>>;

    /// Starts a server in this process; none where the process is told to stop meanwhile.
    ///
    /// # Errors
    /// It cannot start; the setting to blame is named.
    fn start<'a>(
        &'a self,
        config: Config,
        signals: &'a mut Signals,
    ) -> Work<'a, Result<Option<Box<dyn Server>>, ConfigError>>;

    /// The names of the actions that are implemented, the retired ones among them.
    fn implemented(&self) -> Vec<&'static str>;

    /// Every documented action and how it stands.
    ///
    /// # Errors
    /// The program and its description of the API contradict each other.
    fn coverage(&self, spec: &Spec) -> Result<Coverage, String>;
}

/// A started server.
pub trait Server {
    /// Where its listeners are, as this machine reaches them.
    fn addresses(&self) -> &Addresses;

    /// Milliseconds that its start took.
    fn startup_ms(&self) -> u64;

    /// Stops in order: recordings are finished, callbacks sent or kept, ports freed.
    fn stop(self: Box<Self>) -> Work<'static, ()>;

    /// Serves until a signal, and stops in order.
    ///
    /// # Errors
    /// Another process took its database over.
    fn wait(self: Box<Self>, signals: &mut Signals) -> Work<'_, Result<(), ConfigError>>;
}
