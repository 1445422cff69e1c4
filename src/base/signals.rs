//! What tells the process to stop: SIGTERM, SIGINT (Ctrl-C), and SIGHUP (its terminal is closed). They are watched before anything is made and before the service says that
//! it is ready: a signal that comes before somebody waits for it counts as well.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the process was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal is closed.
    Hangup,
}

/// A watch over the signals that mean "stop".
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Absent where whoever started the process (nohup) wants it to outlive its terminal.
    hangup: Option<Signal>,
}

impl Signals {
    /// Watches from now on; none of the signals ends the process by itself any more.
    ///
    /// # Errors
    /// The system does not let them be watched.
    pub fn watch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: ignores_hangup()
                .is_some_and(|ignores| !ignores)
                .then(|| signal(SignalKind::hangup()))
                .transpose()?,
        })
    }

    /// Comes back when the process is told to stop, at once where it has been told already.
    pub async fn told(&mut self) {
        self.which().await;
    }

    /// As [`Self::told`], and says by which of the signals: for whoever hands it on.
    pub async fn which(&mut self) -> Told {
        let Self {
            interrupt,
            terminate,
            hangup,
        } = self;
        let hung_up = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => Told::Interrupt,
            _ = terminate.recv() => Told::Terminate,
            _ = hung_up => Told::Hangup,
        }
    }
}

/// Whether the process was started with SIGHUP ignored, where the system tells; a watch would take that back.
fn ignores_hangup() -> Option<bool> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    ignored_in(&status)
}

fn ignored_in(status: &str) -> Option<bool> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    // SIGHUP is the first signal.
    Some(mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_signal_counts_that_comes_before_it_is_waited_for() {
        let mut signals = Signals::watch().unwrap();
        kill_process(getpid(), Signal::INT).unwrap();
        assert_eq!(signals.which().await, Told::Interrupt);
        kill_process(getpid(), Signal::TERM).unwrap();
        assert_eq!(signals.which().await, Told::Terminate);
        kill_process(getpid(), Signal::TERM).unwrap();
        signals.told().await;
    }

    #[test]
    fn a_process_that_shall_outlive_its_terminal_says_so() {
        let of = |mask: &str| ignored_in(&format!("Name:\tx\nSigIgn:\t{mask}\nSigCgt:\t1\n"));
        assert_eq!(of("0000000000000001"), Some(true));
        assert_eq!(of("0000000000001006"), Some(false));
        assert_eq!(ignored_in("Name:\tx\n"), None);
    }
}
