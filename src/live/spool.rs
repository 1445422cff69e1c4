//! The spool: one append-only log a recording session, from which every output derives, live or after a crash.
//!
//! A session's folder holds segments (`00000000.spool`, …). Each record carries its length and a checksum, so that a log cut at any
//! byte ends at its last whole record. Beside frames and codec configurations the log holds marks (JSON) for what came from outside
//! the media: the session's beginning with its rule, pauses, resumes, cuts and the end, or that it was thrown away. A new segment starts with a checkpoint,
//! so that old ones can go as soon as what was made of them is committed.

pub mod folder;
pub mod read;
pub mod record;
pub mod write;

use std::io;
use std::path::Path;

use crate::disk::held::Held;
pub use crate::live::decide::position::Position;

/// The file name of a segment.
#[must_use]
pub fn segment_name(segment: u32) -> String {
    format!("{segment:08}.spool")
}

/// The segment that a file name stands for.
#[must_use]
pub fn segment_number(name: &str) -> Option<u32> {
    name.strip_suffix(".spool")?.parse().ok()
}

/// Moves a session's spool out of the way, where nothing takes it up again; not through links.
pub fn put_aside(folder: &Path, why: &str) {
    tracing::error!(folder = %folder.display(), why, "a spool cannot be read; it is put aside");
    move_to("spool-damaged", folder);
}

/// Where that is kept which another node goes on with.
const TAKEN: &str = "spool-taken";

/// Whether a session of that folder was ever put there: that it is gone from the spool does not say that it is finished.
#[must_use]
pub fn was_taken(folder: &Path) -> bool {
    let spool = folder.parent().and_then(Path::parent);
    spool
        .zip(folder.file_name())
        .is_some_and(|(data, session)| data.join(TAKEN).join(session).exists())
}

/// The same for a session that another node goes on with: what it has is what the mirror had.
pub fn put_aside_taken(folder: &Path) {
    tracing::warn!(folder = %folder.display(), "another node has taken this recording over; what is here is kept under spool-taken and not used");
    move_to(TAKEN, folder);
}

fn move_to(place: &str, folder: &Path) {
    let moved = || {
        let absent = || io::Error::from(io::ErrorKind::NotFound);
        let (name, spool) = folder.file_name().zip(folder.parent()).ok_or_else(absent)?;
        let mut aside = Held::open(spool.parent().ok_or_else(absent)?)?.enter_or_make(place)?;
        // A stream may come back and be lost again: what was kept the first time stays.
        let mut times = 1;
        while aside.enter(name).is_ok() {
            times += 1;
            let next = aside.path().parent().filter(|_| times > 2);
            let within = next.map_or_else(|| aside.again(), Held::open)?;
            aside = within.enter_or_make(times.to_string())?;
        }
        Held::open(spool)?.move_into(name, &aside)
    };
    if let Err(error) = moved() {
        tracing::error!(%error, "it cannot be moved either and stays where it is");
    }
}
