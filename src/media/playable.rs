//! From the bytes of a stored FLV or MPEG-TS file to a fragmented MP4, which browsers play.

use bytes::Bytes;
use thiserror::Error;

use crate::codec::unit;
use crate::flv::file::FlvFileError;
use crate::flv::read::{Item, TagReader};
use crate::flv::stream::TagStream;
use crate::fragmented::Fragmented;
use crate::frame::{Frame, Track, VideoCodec, VideoConfig};
use crate::mp4::MuxError;
use crate::mpegts::read::{Found, TsReader};
use crate::mpegts::units::TsError;

/// What a file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Tags of an FLV file.
    Flv,
    /// Packets of a transport stream; several files one after another are one stream.
    MpegTs,
}

/// Why a file cannot be shown.
#[derive(Debug, Error)]
pub enum PlayableError {
    /// It is no FLV file, or ends inside a tag.
    #[error(transparent)]
    Flv(#[from] FlvFileError),
    /// It is no transport stream.
    #[error(transparent)]
    Ts(#[from] TsError),
    /// A configuration cannot go into an MP4 file.
    #[error(transparent)]
    Mux(#[from] MuxError),
    /// No browser has a decoder for it.
    #[error("browsers do not decode MPEG-4 part 2")]
    Codec,
}

/// An FLV file as far as it was read.
#[derive(Debug, Default)]
struct Flv {
    tags: TagStream,
    reader: TagReader,
    codec: Option<VideoCodec>,
}

#[derive(Debug)]
enum Input {
    Flv(Box<Flv>),
    MpegTs(Box<TsReader>),
}

/// Makes one file of another.
#[derive(Debug)]
pub struct Playable {
    input: Input,
    out: Fragmented,
    refused: bool,
}

impl Playable {
    /// Of a file of this kind.
    #[must_use]
    pub fn new(container: Container) -> Self {
        let mut out = Fragmented::new();
        let input = match container {
            Container::Flv => {
                // Its header says which tracks there are, and is often wrong: the muxer waits for both, within its bound.
                out.expect(true, true);
                Input::Flv(Box::default())
            }
            Container::MpegTs => Input::MpegTs(Box::new(TsReader::new())),
        };
        Self {
            input,
            out,
            refused: false,
        }
    }

    /// Takes bytes of the file, and hands over pieces of the other.
    ///
    /// # Errors
    /// When the file is not what it should be, or cannot be shown; there is nothing more then.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        sink: &mut impl FnMut(Bytes),
    ) -> Result<(), PlayableError> {
        let (out, refused) = (&mut self.out, &mut self.refused);
        let mut outcome = Ok(());
        match &mut self.input {
            Input::MpegTs(reader) => {
                let mut found = |it| {
                    if outcome.is_ok() {
                        outcome = take(out, refused, it, sink);
                    }
                };
                reader.feed(bytes, &mut found)?;
            }
            Input::Flv(flv) => {
                let Flv {
                    tags,
                    reader,
                    codec,
                } = &mut **flv;
                tags.feed(bytes);
                while let Some(tag) = tags.next_tag()? {
                    let mut item = |it| {
                        if let (Ok(()), Some(found)) = (&outcome, found(it, codec)) {
                            outcome = take(out, refused, found, sink);
                        }
                    };
                    // A broken tag is passed over, as by other players.
                    let _ = reader.read(tag.kind, tag.timestamp, tag.payload, &mut item);
                }
            }
        }
        outcome?;
        if self.refused {
            return Err(PlayableError::Codec);
        }
        Ok(())
    }

    /// The file is over.
    ///
    /// # Errors
    /// As [`Playable::feed`].
    pub fn finish(&mut self, sink: &mut impl FnMut(Bytes)) -> Result<(), PlayableError> {
        let (out, refused) = (&mut self.out, &mut self.refused);
        if let Input::MpegTs(reader) = &mut self.input {
            let mut outcome = Ok(());
            reader.finish(&mut |it| {
                if outcome.is_ok() {
                    outcome = take(out, refused, it, sink);
                }
            });
            outcome?;
        }
        Ok(self.out.finish(sink)?)
    }

    /// Whether anything was made.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.out.has_begun()
    }
}

/// An item of an FLV tag in the words of the other reader.
fn found(item: Item, codec: &mut Option<VideoCodec>) -> Option<Found> {
    Some(match item {
        Item::VideoConfig(config) => {
            *codec = Some(config.codec);
            Found::Video(config)
        }
        Item::AudioConfig(config) => Found::Audio(config),
        Item::Video {
            timestamp,
            cts_ms,
            key,
            data,
        } => Found::Frame(Frame {
            track: Track::Video,
            dts_ms: timestamp.into(),
            cts_ms,
            key: match codec {
                Some(codec @ (VideoCodec::H264 | VideoCodec::H265)) => {
                    unit::is_key(*codec, &data, key)
                }
                _ => key,
            },
            data,
        }),
        Item::Audio { timestamp, data } => Found::Frame(Frame {
            track: Track::Audio,
            dts_ms: timestamp.into(),
            cts_ms: 0,
            key: false,
            data,
        }),
        _ => return None,
    })
}

fn take(
    out: &mut Fragmented,
    refused: &mut bool,
    found: Found,
    sink: &mut impl FnMut(Bytes),
) -> Result<(), MuxError> {
    match found {
        Found::Tracks { video, audio } => out.expect(video, audio),
        Found::Video(VideoConfig {
            codec: VideoCodec::Mpeg4,
            ..
        }) => *refused = true,
        Found::Video(config) => out.video(config),
        Found::Audio(config) => out.audio(config),
        Found::Frame(frame) => return out.frame(frame, sink),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(container: Container, bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut playable = Playable::new(container);
        let mut out = Vec::new();
        let mut sink = |piece: Bytes| out.extend_from_slice(&piece);
        for part in bytes.chunks(piece) {
            playable.feed(part, &mut sink).unwrap();
        }
        playable.finish(&mut sink).unwrap();
        out
    }

    #[test]
    fn an_flv_file_becomes_the_same_mp4_in_pieces_of_any_size() {
        let file = include_bytes!("../../fixtures/media/h264_aac.flv");
        let whole = made(Container::Flv, file, file.len());
        assert_eq!(&whole[4..8], b"ftyp");
        assert!(whole.len() > file.len() * 9 / 10);
        for piece in [1_000, 65_536] {
            assert!(made(Container::Flv, file, piece) == whole, "{piece}");
        }
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let mut playable = Playable::new(Container::Flv);
        let refused = playable.feed(&[0; 4096], &mut |_| ());
        assert!(matches!(refused, Err(PlayableError::Flv(_))));
        let mut playable = Playable::new(Container::MpegTs);
        let refused = playable.feed(&[0; 200_000], &mut |_| ());
        assert!(matches!(refused, Err(PlayableError::Ts(_))));
    }
}
