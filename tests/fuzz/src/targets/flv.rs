//! FLV: tags come out as they were written, pictures are whole NAL units, nothing is larger than what came in, and a file cut
//! anywhere has the same tags before the cut.

use bytes::{BufMut, Bytes, BytesMut};
use localyun::testing::media::flv::TagKind;
use localyun::testing::media::flv::file::{FlvFile, Tag};
use localyun::testing::media::flv::read::{Item, TagReader};
use localyun::testing::media::frame::VideoCodec;

use crate::input::Input;

const HEADER: &[u8] = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00";

fn tags_of(file: Bytes) -> Vec<Tag> {
    match FlvFile::new(file) {
        Ok(tags) => tags.map_while(Result::ok).collect(),
        Err(_) => Vec::new(),
    }
}

fn whole_units(mut picture: &[u8]) -> bool {
    while !picture.is_empty() {
        let Some((length, rest)) = picture.split_first_chunk::<4>() else {
            return false;
        };
        let length = u32::from_be_bytes(*length) as usize;
        let Some(rest) = rest.get(length..) else {
            return false;
        };
        picture = rest;
    }
    true
}

fn read(tags: &[Tag]) -> Vec<Item> {
    let mut reader = TagReader::new();
    let mut items = Vec::new();
    let mut codec = None;
    for tag in tags {
        let start = items.len();
        let _ = reader.read(tag.kind, tag.timestamp, tag.payload.clone(), &mut |item| {
            items.push(item)
        });
        let mut bytes = 0;
        for item in &items[start..] {
            match item {
                Item::VideoConfig(config) => codec = Some(config.codec),
                Item::Video { data, .. } => {
                    assert_eq!(tag.kind, TagKind::Video);
                    let codec = codec.expect("a picture comes after its configuration");
                    assert!(codec == VideoCodec::Mpeg4 || whole_units(data));
                    bytes += data.len();
                }
                Item::Audio { data, .. } => {
                    assert!(tag.kind == TagKind::Audio && !data.is_empty());
                    bytes += data.len();
                }
                Item::AudioConfig(config) => assert!(config.sample_rate > 0 && config.channels > 0),
                Item::Metadata(_)
                | Item::Unsupported { .. }
                | Item::Ignored { .. }
                | Item::End { .. } => {}
            }
        }
        // A length of one byte becomes one of four, and a unit has at least one byte.
        assert!(
            bytes <= tag.payload.len() * 5 / 2 + 4,
            "{bytes} bytes of a tag of {}",
            tag.payload.len()
        );
    }
    items
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mode = input.u8();
    if mode & 1 == 0 {
        // A file as it is; cut where the mode says.
        let file = Bytes::copy_from_slice(input.rest());
        let tags = tags_of(file.clone());
        read(&tags);
        let at = file.len() * usize::from(mode) / 256;
        let before = tags_of(file.slice(..at));
        assert!(before.len() <= tags.len() && before == tags[..before.len()]);
        return;
    }
    let mut file = BytesMut::from(HEADER);
    let mut written = Vec::new();
    while !input.is_empty() {
        let kind = [
            TagKind::Video,
            TagKind::Audio,
            TagKind::Video,
            TagKind::Data,
        ][usize::from(input.u8() & 3)];
        let timestamp = input.u16().into();
        let payload = input.counted();
        file.put_u8(kind.number());
        file.put_uint(payload.len() as u64, 3);
        let [_, t2, t1, t0] = u32::to_be_bytes(timestamp);
        file.put_slice(&[t2, t1, t0, 0, 0, 0, 0]);
        file.put_slice(payload);
        file.put_u32(payload.len() as u32 + 11);
        written.push(Tag {
            kind,
            timestamp,
            payload: Bytes::copy_from_slice(payload),
        });
    }
    let tags = tags_of(file.freeze());
    assert_eq!(tags, written);
    // The same tags give the same items, whatever another reader saw before.
    assert_eq!(
        format!("{:?}", read(&tags)),
        format!("{:?}", read(&written))
    );
}
