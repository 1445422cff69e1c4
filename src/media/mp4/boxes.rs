//! Boxes of our own around the ready-made ones: the size is filled in when the content is there.

use bytes::{BufMut, BytesMut};

use super::MuxError;

/// Appends a box whose content `body` writes.
pub(crate) fn put_box(
    out: &mut BytesMut,
    kind: &[u8; 4],
    body: impl FnOnce(&mut BytesMut) -> Result<(), MuxError>,
) -> Result<(), MuxError> {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(kind);
    body(out)?;
    let size = u32::try_from(out.len() - start).map_err(|_| MuxError::TooMany {
        what: "bytes in a box",
        limit: u32::MAX.into(),
    })?;
    patch(out, start, &size.to_be_bytes());
    Ok(())
}

/// The same for a box that begins with a version and flags.
pub(crate) fn put_full_box(
    out: &mut BytesMut,
    kind: &[u8; 4],
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut BytesMut) -> Result<(), MuxError>,
) -> Result<(), MuxError> {
    put_box(out, kind, |out| {
        out.put_u32((u32::from(version) << 24) | (flags & 0x00FF_FFFF));
        body(out)
    })
}

/// Overwrites bytes already written.
pub(super) fn patch(out: &mut BytesMut, at: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}
