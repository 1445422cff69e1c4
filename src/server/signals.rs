//! What tells the process to stop: SIGTERM, and SIGINT (Ctrl-C). They are watched before anything is made and before the service says that
//! it is ready: a signal that comes before somebody waits for it counts as well.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A watch over the signals that mean "stop".
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Watches from now on; neither signal ends the process by itself any more.
    ///
    /// # Errors
    /// The system does not let them be watched.
    pub fn watch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Comes back when the process is told to stop, at once where it has been told already.
    pub async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_signal_counts_that_comes_before_it_is_waited_for() {
        let mut signals = Signals::watch().unwrap();
        kill_process(getpid(), Signal::INT).unwrap();
        signals.told().await;
        kill_process(getpid(), Signal::TERM).unwrap();
        signals.told().await;
    }
}
