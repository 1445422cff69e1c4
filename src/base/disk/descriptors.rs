//! Descriptors: every connection and every open file is one, and a process may have only so many.
//!
//! The soft limit is raised to the hard one at start: the usual 1,024 is meant for programs that use select(2). A few are kept back, so
//! that a crowd of connections that takes all others does not keep a recording from opening its files.

use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, getrlimit, setrlimit};

/// Kept back at most, and at most this part of the limit.
const KEPT: usize = 64;
const PART: u64 = 8;
/// What a kept descriptor stands for.
const PLACE_HOLDER: &str = "/dev/null";
/// ENFILE and EMFILE.
const SHORT: [i32; 2] = [23, 24];

static RESERVE: Mutex<Reserve> = Mutex::new(Reserve {
    wanted: 0,
    kept: Vec::new(),
});

struct Reserve {
    wanted: usize,
    kept: Vec<File>,
}

fn reserve() -> MutexGuard<'static, Reserve> {
    RESERVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Raises the limit and keeps some descriptors back.
pub fn prepare() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(target: "localyun::disk::descriptors", %error, "the limit of descriptors cannot be raised");
        return;
    }
    // None: as many as one likes.
    let limit = limit.current.unwrap_or(u64::MAX);
    tracing::debug!(target: "localyun::disk::descriptors", limit, "descriptors");
    reserve().wanted = usize::try_from(limit / PART).unwrap_or(KEPT).min(KEPT);
    refill();
}

/// Whether an error says that there are no descriptors left.
#[must_use]
pub fn are_short(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|n| SHORT.contains(&n))
}

/// Opens a file or folder that must not be missing: where no descriptor is left, one of those kept back makes room.
pub fn open<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match work() {
            Err(error) if are_short(&error) => {
                let Some(kept) = reserve().kept.pop() else {
                    return Err(error);
                };
                drop(kept);
                tracing::warn!(target: "localyun::disk::descriptors", "no descriptors left: one of those kept back is used");
            }
            Ok(file) => {
                refill();
                return Ok(file);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Keeps descriptors back again as far as there are any.
pub fn refill() {
    let mut reserve = reserve();
    while reserve.kept.len() < reserve.wanted {
        match File::open(PLACE_HOLDER) {
            Ok(file) => reserve.kept.push(file),
            Err(_) => return,
        }
    }
}

/// Whether an error of the data folder may be over when others have made room. A file that is too long, a folder that may not be
/// entered or a block that cannot be read stays so.
pub fn passes(error: &io::Error) -> bool {
    are_short(error)
        || matches!(
            error.kind(),
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::OutOfMemory
                | io::ErrorKind::Interrupted
                | io::ErrorKind::WouldBlock
                | io::ErrorKind::TimedOut
                | io::ErrorKind::ResourceBusy
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_descriptor_makes_room_and_the_last_shortage_is_told() {
        let emfile = || io::Error::from_raw_os_error(24);
        {
            let mut reserve = reserve();
            reserve.wanted = 2;
            reserve.kept.clear();
        }
        refill();
        let mut tries = 0;
        let opened = open(|| {
            tries += 1;
            if tries < 3 {
                Err(emfile())
            } else {
                File::open(PLACE_HOLDER)
            }
        });
        assert!(opened.is_ok() && tries == 3);
        assert_eq!(reserve().kept.len(), 2, "kept back again");
        assert!(are_short(&open(|| Err::<File, _>(emfile())).unwrap_err()));
        assert!(reserve().kept.is_empty());
        let missing = || Err::<File, _>(io::ErrorKind::NotFound.into());
        assert_eq!(open(missing).unwrap_err().kind(), io::ErrorKind::NotFound);
        reserve().wanted = 0;
    }
}
