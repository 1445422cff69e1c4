//! The boxes around the sample tables: file type, movie header, and the frame of a track (ISO/IEC 14496-12 clauses 4.3, 8.2
//! to 8.4 and 8.6.5). Shared by whole files and by the init segment of fragments.

use bytes::BytesMut;
use mp4_atom::{
    Dinf, Dref, DrefEntry, Elst, ElstEntry, Encode, FourCC, Ftyp, Hdlr, Mdhd, Mvhd, Smhd, Tkhd,
    Url, Vmhd,
};

use super::{AUDIO_TRACK, MuxError, put_box};

/// Ticks a second of the movie header and of edit durations.
pub(super) const MOVIE_TIMESCALE: u32 = 1000;

/// Major and compatible brands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Brands {
    pub major: &'static [u8; 4],
    pub compatible: &'static [&'static [u8; 4]],
}

/// What the header boxes say of one track.
#[derive(Debug, Clone)]
pub(crate) struct TrackHeader {
    pub id: u32,
    /// Width and height of pictures as they are shown; `None` for sound.
    pub picture: Option<(u32, u32)>,
    pub timescale: u32,
    /// In ticks of `timescale`.
    pub media_duration: u64,
    /// The empty edit before the track in milliseconds, and where in the media it begins, in ticks.
    pub edit: Option<Edit>,
}

/// A track that does not begin with its first sample at the movie's first instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edit {
    pub delay_ms: u64,
    pub media_time: u64,
}

impl TrackHeader {
    /// Length of the media in milliseconds, rounded up so that no sample is cut off.
    fn media_ms(&self) -> u64 {
        let ticks = u128::from(self.media_duration) * u128::from(MOVIE_TIMESCALE);
        let ms = ticks.div_ceil(u128::from(self.timescale.max(1)));
        u64::try_from(ms).unwrap_or(u64::MAX)
    }

    /// Length in the movie, with the delay.
    pub fn movie_ms(&self) -> u64 {
        let delay = self.edit.map_or(0, |edit| edit.delay_ms);
        self.media_ms().saturating_add(delay)
    }
}

/// The file type box.
pub(crate) fn put_brands(out: &mut BytesMut, brands: Brands) -> Result<(), MuxError> {
    let ftyp = Ftyp {
        major_brand: FourCC::new(brands.major),
        minor_version: 0x200,
        compatible_brands: brands.compatible.iter().map(|b| FourCC::new(b)).collect(),
    };
    ftyp.encode(out)?;
    Ok(())
}

/// The movie header box.
pub(crate) fn put_movie_header(out: &mut BytesMut, duration_ms: u64) -> Result<(), MuxError> {
    let mvhd = Mvhd {
        timescale: MOVIE_TIMESCALE,
        duration: duration_ms,
        rate: 1.into(),
        volume: 1.into(),
        next_track_id: AUDIO_TRACK + 1,
        ..Mvhd::default()
    };
    mvhd.encode(out)?;
    Ok(())
}

/// A track box whose sample tables `tables` writes.
pub(crate) fn put_trak(
    out: &mut BytesMut,
    header: &TrackHeader,
    tables: impl FnOnce(&mut BytesMut) -> Result<(), MuxError>,
) -> Result<(), MuxError> {
    put_box(out, b"trak", |out| {
        track_header(header).encode(out)?;
        if let Some(edit) = header.edit {
            put_box(out, b"edts", |out| {
                edit_list(edit, header.media_ms()).encode(out)?;
                Ok(())
            })?;
        }
        put_box(out, b"mdia", |out| {
            let mdhd = Mdhd {
                timescale: header.timescale,
                duration: header.media_duration,
                language: "und".to_owned(),
                ..Mdhd::default()
            };
            mdhd.encode(out)?;
            handler(header).encode(out)?;
            put_box(out, b"minf", |out| {
                if header.picture.is_some() {
                    Vmhd::default().encode(out)?;
                } else {
                    Smhd::default().encode(out)?;
                }
                same_file().encode(out)?;
                put_box(out, b"stbl", tables)
            })
        })
    })
}

fn track_header(header: &TrackHeader) -> Tkhd {
    let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX).into();
    let (width, height) = header.picture.unwrap_or_default();
    Tkhd {
        track_id: header.id,
        duration: header.movie_ms(),
        enabled: true,
        in_movie: true,
        volume: u8::from(header.picture.is_none()).into(),
        width: side(width),
        height: side(height),
        ..Tkhd::default()
    }
}

fn edit_list(edit: Edit, media_ms: u64) -> Elst {
    let mut entries = Vec::with_capacity(2);
    if edit.delay_ms > 0 {
        entries.push(ElstEntry {
            segment_duration: edit.delay_ms,
            media_time: None,
            media_rate: 1.into(),
        });
    }
    entries.push(ElstEntry {
        segment_duration: media_ms,
        media_time: Some(edit.media_time),
        media_rate: 1.into(),
    });
    Elst { entries }
}

fn handler(header: &TrackHeader) -> Hdlr {
    let (handler, name) = match header.picture {
        Some(_) => (b"vide", "VideoHandler"),
        None => (b"soun", "SoundHandler"),
    };
    Hdlr {
        handler: FourCC::new(handler),
        name: name.to_owned(),
    }
}

fn same_file() -> Dinf {
    Dinf {
        dref: Dref {
            entries: vec![DrefEntry::Url(Url::default())],
        },
    }
}
