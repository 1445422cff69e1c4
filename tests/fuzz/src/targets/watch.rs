//! What a viewer of ours reads: FLV and MPEG-TS in pieces are the same however they are cut, a playlist has no more entries than lines, and a
//! server may say anything to a player.

use bytes::{Bytes, BytesMut};
use localyun::testing::media::flv::file::Tag;
use localyun::testing::media::flv::stream::{self, TagStream};
use localyun::testing::media::hls;
use localyun::testing::media::mpegts::units::{Demuxed, TsUnits};
use localyun::testing::media::rtmp::client::{ClientSession, Event};

use crate::input::Input;

fn tags(bytes: &[u8], step: usize) -> (Vec<Tag>, bool) {
    let mut reader = TagStream::new();
    let mut tags = Vec::new();
    for piece in bytes.chunks(step.max(1)) {
        reader.feed(piece);
        loop {
            match reader.next_tag() {
                Ok(Some(tag)) => tags.push(tag),
                Ok(None) => break,
                Err(_) => return (tags, false),
            }
        }
        assert!(reader.held() <= bytes.len());
    }
    (tags, true)
}

fn flv(step: usize, bytes: &[u8]) {
    let (one, fits) = tags(bytes, step);
    let (other, whole) = tags(bytes, bytes.len());
    assert_eq!((&one, fits), (&other, whole));
    let mut again = BytesMut::from(&stream::file_header(true, true)[..]);
    for tag in &one {
        stream::put_tag(tag.kind, tag.timestamp, &tag.payload, &mut again);
    }
    assert_eq!(tags(&again, step).0, one);
}

fn demuxed(mut reader: TsUnits, bytes: &[u8], step: usize) -> (Vec<Demuxed>, u64) {
    let mut found = Vec::new();
    for piece in bytes.chunks(step.max(1)) {
        if reader.feed(piece, &mut |it| found.push(it)).is_err() {
            return (found, u64::MAX);
        }
    }
    reader.end(&mut |it| found.push(it));
    (found, reader.gaps())
}

fn ts(step: usize, bytes: &[u8]) {
    for new in [TsUnits::new, TsUnits::forgiving] {
        let cut = demuxed(new(), bytes, step);
        assert_eq!(cut, demuxed(new(), bytes, bytes.len()));
        let size: usize = cut.0.iter().map(size_of_unit).sum();
        assert!(size <= bytes.len());
    }
}

fn size_of_unit(it: &Demuxed) -> usize {
    match it {
        Demuxed::Unit(unit) => unit.data.len(),
        Demuxed::Programme(_) => 0,
    }
}

fn playlist(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(read) = hls::read(&text) {
        assert!(read.segments.len() <= text.lines().count());
        assert!(read.segments.iter().all(|uri| !uri.starts_with('#')));
    }
}

fn player(step: usize, bytes: &[u8]) {
    let mut session = ClientSession::player("live", "rtmp://h/live", "s");
    let mut input = BytesMut::new();
    let mut media = 0;
    for piece in bytes.chunks(step.max(1)) {
        input.extend_from_slice(piece);
        if session.feed(&mut input).is_err() {
            return;
        }
        while let Some(event) = session.poll() {
            if let Event::Media(message) = event {
                media += message.payload.len();
            }
        }
        let _: Bytes = session.take_output();
    }
    assert!(media <= bytes.len());
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (mode, step) = (input.u8(), usize::from(input.u8()));
    let bytes = input.rest();
    match mode & 3 {
        0 => flv(step, bytes),
        1 => ts(step, bytes),
        2 => playlist(bytes),
        _ => player(step, bytes),
    }
}
