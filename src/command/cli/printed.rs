//! Standard output, as the tools use it. A reader that has gone away (`| head`) ends what would print on and on, and is no failure of ours; a disk
//! that takes no more is one, and is told at the end.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::CliError;
use crate::clock::machine_sleep;

/// How often somebody who prints seldom looks whether it is still read.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// The first write that failed; nothing is written behind it.
static FAILED: OnceLock<std::io::Error> = OnceLock::new();

/// Writes a text with a line end.
pub(super) fn say(text: impl Display) {
    written(|out| writeln!(out, "{text}"));
}

/// Writes bytes as they are. False: nobody takes them any more, and the caller may end.
pub(super) fn put(bytes: &[u8]) -> bool {
    written(|out| out.write_all(bytes).and_then(|()| out.flush()))
}

fn written(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> bool {
    if FAILED.get().is_some() {
        return false;
    }
    match write(&mut std::io::stdout().lock()) {
        Ok(()) => true,
        Err(error) => {
            let _ = FAILED.set(error);
            false
        }
    }
}

/// Why not everything was printed, where that is a failure.
pub(super) fn failure() -> Option<CliError> {
    FAILED.get().and_then(of)
}

fn of(error: &std::io::Error) -> Option<CliError> {
    (error.kind() != ErrorKind::BrokenPipe)
        .then(|| CliError::failed(format!("not everything was printed: {error}")))
}

/// Comes back when nobody reads standard output any more; never where that is a file or a terminal.
pub(super) async fn abandoned() {
    while FAILED.get().is_none() && !has_no_reader(&std::io::stdout()) {
        machine_sleep(LOOK_EVERY).await;
    }
}

/// Whether the other end of a pipe or a socket is closed.
fn has_no_reader(out: &impl std::os::fd::AsFd) -> bool {
    let mut looked = [PollFd::new(out, PollFlags::empty())];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let gone = PollFlags::ERR | PollFlags::HUP;
    poll(&mut looked, Some(&at_once)).is_ok()
        && looked.iter().any(|one| one.revents().intersects(gone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_seen_without_a_write() {
        let (reader, writer) = std::io::pipe().unwrap();
        assert!(!has_no_reader(&writer));
        drop(reader);
        assert!(has_no_reader(&writer));
        let folder = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(folder.path().join("out")).unwrap();
        assert!(!has_no_reader(&file));
    }

    #[test]
    fn a_full_disk_is_a_failure_and_a_gone_reader_is_none() {
        assert!(of(&ErrorKind::BrokenPipe.into()).is_none());
        let told = of(&ErrorKind::StorageFull.into()).unwrap().to_string();
        assert!(told.starts_with("not everything was printed: "), "{told}");
    }
}
