//! What the instruction counter counts: one part of the pipeline, over and over, with nothing around it.
//!
//!   count PART ROUNDS FOLDER
//!
//! A round is ten seconds of media in the shape of the bench's clip (720p30 with B-frames at 2.5 Mbit/s, AAC), or as many signed requests.
//! One line on standard output: the packets of a round. The caller runs it with two numbers of rounds and divides the difference
//! of the instructions by the packets, so that start-up and the making of the media do not count. The media is made of fixed
//! numbers: the same program counts the same every time.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use localyun::testing::disk::writers::Disk;
use localyun::testing::live::spool::write::SpoolWriter;
use localyun::testing::media::access_unit::{AccessUnits, Arrived};
use localyun::testing::media::cmaf::{Fragmenter, Position};
use localyun::testing::media::flv;
use localyun::testing::media::flv::TagKind;
use localyun::testing::media::flv::file::FlvFile;
use localyun::testing::media::flv::read::{Item, TagReader};
use localyun::testing::media::frame::{AudioConfig, Frame, SampleInfo, Track, VideoConfig};
use localyun::testing::media::mp4;
use localyun::testing::media::mpegts::{Continuity, TsMuxer};
use localyun::testing::media::rtmp::client::ClientSession;
use localyun::testing::media::rtmp::server::{Event, ServerSession};
use localyun::testing::media::rtmp::{Limits, Message};
use localyun::testing::rpc::{signature_v1, signature_v3};
use localyun::testing::wire::params::parse_pairs;
use localyun::testing::wire::percent;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Sequence headers of a real stream.
const HEADERS: &[u8] = include_bytes!("../../fixtures/media/h264_bframes_aac.flv");
const ROUND_MS: i64 = 10_000;
/// What a socket is read by.
const BLOCK: usize = 64 * 1024;
const REQUESTS: usize = 200;
const SECRET: &str = "testsecret";

fn main() -> Outcome<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [part, rounds, folder] = given.as_slice() else {
        return Err("count PART ROUNDS FOLDER".into());
    };
    let rounds: usize = rounds.parse()?;
    let clip = Clip::make()?;
    let packets = match part.as_str() {
        "ts" => ts(&clip, rounds)?,
        "mp4" => mp4(&clip, rounds)?,
        "flv" => flv(&clip, rounds)?,
        "cmaf" => cmaf(&clip, rounds)?,
        "chunks" => chunks(&clip, rounds, published(&clip)?)?,
        "small" => chunks(&clip, rounds, in_small_chunks(&clip)?)?,
        "tags" => tags(&clip, rounds)?,
        "units" => units(&clip, rounds)?,
        "spool" => spool(&clip, rounds, Path::new(folder))?,
        "v1" => v1(rounds)?,
        "acs3" => acs3(rounds)?,
        other => return Err(format!("there is no part {other}").into()),
    };
    writeln!(std::io::stdout(), "{packets}")?;
    Ok(())
}

/// A round of media, in the order in which it is sent.
struct Clip {
    video: VideoConfig,
    audio: AudioConfig,
    /// Sequence headers as tag bodies.
    headers: Vec<(TagKind, Bytes)>,
    frames: Vec<Frame>,
}

impl Clip {
    fn make() -> Outcome<Self> {
        let (mut video, mut audio, mut headers) = (None, None, Vec::new());
        let mut reader = TagReader::new();
        for tag in FlvFile::new(Bytes::from_static(HEADERS))? {
            let tag = tag?;
            let payload = tag.payload.clone();
            reader.read(tag.kind, tag.timestamp, payload, &mut |item| match item {
                Item::VideoConfig(config) => {
                    video.get_or_insert(config);
                    headers.push((tag.kind, tag.payload.clone()));
                }
                Item::AudioConfig(config) => {
                    audio.get_or_insert(config);
                    headers.push((tag.kind, tag.payload.clone()));
                }
                _ => {}
            })?;
        }
        let video = video.ok_or("the fixture has no pictures")?;
        let audio = audio.ok_or("the fixture has no sound")?;
        let mut frames = Vec::new();
        for picture in 0.. {
            let dts_ms = picture * 1000 / 30;
            if dts_ms >= ROUND_MS {
                break;
            }
            // Two seconds of pictures: one key picture, then P B B in turn.
            let (size, cts_ms, key) = match picture % 60 {
                0 => (60_000, 66, true),
                n if n % 3 == 0 => (16_000, 100, false),
                _ => (6_000, 0, false),
            };
            frames.push(Frame {
                track: Track::Video,
                dts_ms,
                cts_ms,
                key,
                data: picture_data(size, key),
            });
        }
        for number in 0.. {
            let dts_ms = number * 1_024_000 / i64::from(audio.sample_rate);
            if dts_ms >= ROUND_MS {
                break;
            }
            frames.push(Frame {
                track: Track::Audio,
                dts_ms,
                cts_ms: 0,
                key: false,
                data: noise(372).into(),
            });
        }
        frames.sort_by_key(|frame| frame.dts_ms);
        Ok(Self {
            video,
            audio,
            headers,
            frames,
        })
    }

    fn in_round(&self, round: usize) -> Outcome<impl Iterator<Item = Frame>> {
        let shift = i64::try_from(round)? * ROUND_MS;
        Ok(self.frames.iter().map(move |frame| Frame {
            dts_ms: frame.dts_ms + shift,
            ..frame.clone()
        }))
    }

    /// The body of a frame's tag.
    fn body(frame: &Frame) -> Bytes {
        let cts = frame.cts_ms.to_be_bytes();
        let head: &[u8] = match (frame.track, frame.key) {
            (Track::Video, true) => &[0x17, 1, cts[1], cts[2], cts[3]],
            (Track::Video, false) => &[0x27, 1, cts[1], cts[2], cts[3]],
            (Track::Audio, _) => &[0xAF, 1],
        };
        [head, &frame.data].concat().into()
    }

    fn kind(frame: &Frame) -> TagKind {
        match frame.track {
            Track::Video => TagKind::Video,
            Track::Audio => TagKind::Audio,
        }
    }
}

/// One slice with its length before it.
fn picture_data(size: usize, key: bool) -> Bytes {
    let mut data = noise(size);
    let length = u32::try_from(size - 4).unwrap_or_default().to_be_bytes();
    data[..4].copy_from_slice(&length);
    data[4] = if key { 0x65 } else { 0x41 };
    data[5] |= 0x80; // first_mb_in_slice 0
    data.into()
}

/// Bytes as a coder would leave them: no pattern, and never the start code that the coder has to avoid.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_u32;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8 | 4
    };
    std::iter::repeat_with(next).take(size).collect()
}

fn info(frame: &Frame) -> SampleInfo {
    SampleInfo {
        track: frame.track,
        dts_ms: frame.dts_ms,
        cts_ms: frame.cts_ms,
        key: frame.key,
        size: u32::try_from(frame.data.len()).unwrap_or(u32::MAX),
    }
}

fn ts(clip: &Clip, rounds: usize) -> Outcome<usize> {
    let mut state = Continuity::default();
    let mut out = BytesMut::with_capacity(8 << 20);
    for round in 0..rounds {
        let mut muxer = TsMuxer::new(Some(&clip.video), Some(&clip.audio), state)?;
        out.clear();
        muxer.begin_slice(&mut out);
        for frame in clip.in_round(round)? {
            muxer.write(&frame, &mut out)?;
        }
        state = muxer.continuity();
    }
    Ok(clip.frames.len())
}

/// The index: payloads follow it as they lie in the spool.
fn mp4(clip: &Clip, rounds: usize) -> Outcome<usize> {
    let mut layout = mp4::Layout::new();
    layout.video_config(clip.video.clone())?;
    layout.audio_config(clip.audio.clone())?;
    for round in 0..rounds {
        for frame in clip.in_round(round)? {
            layout.push(info(&frame))?;
        }
    }
    layout.head()?;
    Ok(clip.frames.len())
}

/// The index and what stands around each payload.
fn flv(clip: &Clip, rounds: usize) -> Outcome<usize> {
    let mut layout = flv::write::Layout::new();
    layout.video_config(&clip.video)?;
    layout.audio_config(&clip.audio)?;
    for round in 0..rounds {
        for frame in clip.in_round(round)? {
            layout.push(info(&frame))?;
        }
    }
    let mut out = BytesMut::from(&layout.head()?[..]);
    let mut writer = layout.writer()?;
    out.extend_from_slice(&writer.video_config(&clip.video)?);
    out.extend_from_slice(&writer.audio_config(&clip.audio)?);
    for round in 0..rounds {
        for frame in clip.in_round(round)? {
            let head = writer.tag_head(&info(&frame))?;
            out.clear();
            out.extend_from_slice(&head);
            out.extend_from_slice(&head.tail());
        }
    }
    Ok(clip.frames.len())
}

/// What stands before the payloads of a slice.
fn cmaf(clip: &Clip, rounds: usize) -> Outcome<usize> {
    let mut position = Position::default();
    for round in 0..rounds {
        let samples: Vec<SampleInfo> = clip.in_round(round)?.map(|frame| info(&frame)).collect();
        let mut fragmenter = Fragmenter::new(Some(&clip.video), Some(&clip.audio), position)?;
        fragmenter.fragment(&samples, Some((i64::try_from(round)? + 1) * ROUND_MS))?;
        position = fragmenter.position();
    }
    Ok(clip.frames.len())
}

/// A server's session that has accepted a publish, and the round's messages as chunks.
fn published(clip: &Clip) -> Outcome<(ServerSession, Bytes)> {
    let mut server = ServerSession::new(Limits::default(), 1);
    let mut client = ClientSession::new("live", "rtmp://127.0.0.1/live", "s");
    let mut wire = BytesMut::new();
    for _ in 0..20 {
        let mut to_server = BytesMut::from(&client.take_output()[..]);
        server.feed(&mut to_server)?;
        while let Some(event) = server.poll() {
            if matches!(event, Event::Publish { .. }) {
                server.accept_publish();
            }
        }
        let mut to_client = BytesMut::from(&server.take_output()[..]);
        client.feed(&mut to_client)?;
    }
    for frame in &clip.frames {
        let time = u32::try_from(frame.dts_ms)?;
        if !client.send(Clip::kind(frame), time, &Clip::body(frame), &mut wire) {
            return Err("the publish was not accepted".into());
        }
    }
    Ok((server, wire.freeze()))
}

/// The same in chunks of 128 bytes, which is what a publisher sends that sets no size. Not among the bounded parts yet: nobody has counted it.
fn in_small_chunks(clip: &Clip) -> Outcome<(ServerSession, Bytes)> {
    let (mut server, _) = published(clip)?;
    let size = [2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 128];
    server.feed(&mut &size[..])?;
    let mut wire = BytesMut::new();
    for frame in &clip.frames {
        let body = Clip::body(frame);
        let (channel, kind) = match frame.track {
            Track::Video => (6, 9),
            Track::Audio => (5, 8),
        };
        let time = u32::try_from(frame.dts_ms)?.to_be_bytes();
        let length = u32::try_from(body.len())?.to_be_bytes();
        wire.extend_from_slice(&[channel, time[1], time[2], time[3]]);
        wire.extend_from_slice(&[length[1], length[2], length[3], kind, 1, 0, 0, 0]);
        for (n, part) in body.chunks(128).enumerate() {
            if n > 0 {
                wire.extend_from_slice(&[0xC0 | channel]);
            }
            wire.extend_from_slice(part);
        }
    }
    Ok((server, wire.freeze()))
}

fn chunks(
    clip: &Clip,
    rounds: usize,
    (mut server, wire): (ServerSession, Bytes),
) -> Outcome<usize> {
    let mut buffer = BytesMut::with_capacity(2 * BLOCK);
    let mut messages = 0;
    for _ in 0..rounds {
        for block in wire.chunks(BLOCK) {
            buffer.extend_from_slice(block);
            server.feed(&mut buffer)?;
            while let Some(event) = server.poll() {
                messages += usize::from(matches!(event, Event::Media(_)));
            }
        }
    }
    if messages != rounds * clip.frames.len() {
        return Err(format!("{messages} messages came out").into());
    }
    Ok(clip.frames.len())
}

fn tags(clip: &Clip, rounds: usize) -> Outcome<usize> {
    let mut reader = TagReader::new();
    let (mut frames, mut no_frames) = (0, 0);
    let mut read = |message: Message| {
        reader.read(
            message.kind,
            message.timestamp,
            message.payload,
            &mut |item| match item {
                Item::Video { .. } | Item::Audio { .. } => frames += 1,
                _ => no_frames += 1,
            },
        )
    };
    for (kind, payload) in &clip.headers {
        let payload = payload.clone();
        read(Message {
            kind: *kind,
            timestamp: 0,
            payload,
        })?;
    }
    let mut bodies = Vec::new();
    for frame in &clip.frames {
        bodies.push((
            Clip::kind(frame),
            u32::try_from(frame.dts_ms)?,
            Clip::body(frame),
        ));
    }
    for _ in 0..rounds {
        for (kind, timestamp, body) in &bodies {
            read(Message {
                kind: *kind,
                timestamp: *timestamp,
                payload: body.clone(),
            })?;
        }
    }
    if frames != rounds * clip.frames.len() {
        return Err(format!("{frames} frames and {no_frames} others came out").into());
    }
    Ok(clip.frames.len())
}

/// One message is one picture, as nearly all encoders have it.
fn units(clip: &Clip, rounds: usize) -> Outcome<usize> {
    let mut reader = AccessUnits::default();
    let mut frames = 0;
    reader.configure(&clip.video, &mut |_| {});
    for round in 0..rounds {
        for frame in clip.in_round(round)? {
            let message = Arrived {
                timestamp: u32::try_from(frame.dts_ms)?,
                at: frame.dts_ms,
                frame,
            };
            match message.frame.track {
                Track::Video => reader.video(message, &mut |_| frames += 1)?,
                Track::Audio => reader.audio(message, &mut |_| frames += 1),
            }
        }
    }
    reader.settle(&mut |_| frames += 1);
    if frames != rounds * clip.frames.len() {
        return Err(format!("{frames} frames came out").into());
    }
    Ok(clip.frames.len())
}

/// With its write calls, and with the threads that make them.
fn spool(clip: &Clip, rounds: usize, folder: &Path) -> Outcome<usize> {
    let waiting = tokio::runtime::Builder::new_current_thread().build()?;
    let mut writer = SpoolWriter::create(Disk::start()?, folder.join("spool"), 0)?;
    for round in 0..rounds {
        for frame in clip.in_round(round)? {
            writer.frame(&frame);
        }
        writer.flush();
        waiting.block_on(writer.handed().written());
    }
    Ok(clip.frames.len())
}

/// The parameters of a read, without those of the signature.
fn read_params(number: usize) -> Vec<(String, String)> {
    let nonce = format!("6f3d1c52b7a84e0c9d5e{number:012}");
    [
        ("Action", "DescribeLiveRecordConfig"),
        ("Version", "2016-11-01"),
        ("Format", "JSON"),
        ("AccessKeyId", "testid"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("SignatureNonce", &nonce),
        ("Timestamp", "2026-11-22T12:00:00Z"),
        ("DomainName", "read.example.com"),
        ("PageNum", "1"),
        ("PageSize", "30"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn query(pairs: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        percent::encode_into(&mut text, name);
        text.push('=');
        percent::encode_into(&mut text, value);
    }
    text
}

/// From the query as sent to the verdict.
fn v1(rounds: usize) -> Outcome<usize> {
    let mut queries = Vec::new();
    for number in 0..REQUESTS {
        let mut pairs = read_params(number);
        let text = signature_v1::string_to_sign("GET", &pairs);
        let signature = signature_v1::sign(signature_v1::Method::HmacSha1, SECRET, &text);
        pairs.push(("Signature".to_owned(), signature));
        queries.push(query(&pairs));
    }
    for _ in 0..rounds {
        for query in &queries {
            signature_v1::verify("GET", &parse_pairs(query, None)?, SECRET)?;
        }
    }
    Ok(REQUESTS)
}

/// From the query and the headers as sent to the verdict.
fn acs3(rounds: usize) -> Outcome<usize> {
    const SIGNED: &str =
        "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version";
    let query = "DomainName=read.example.com&PageNum=1&PageSize=30";
    let pairs = parse_pairs(query, None)?;
    let mut requests = Vec::new();
    for number in 0..REQUESTS {
        let nonce = format!("6f3d1c52b7a84e0c9d5e{number:012}");
        let hash = signature_v3::body_hash(b"");
        let headers = [
            ("host", "127.0.0.1:8080"),
            ("x-acs-action", "DescribeLiveRecordConfig"),
            ("x-acs-content-sha256", &hash),
            ("x-acs-date", "2026-11-22T12:00:00Z"),
            ("x-acs-signature-nonce", &nonce),
            ("x-acs-version", "2016-11-01"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let authorization = {
            let parts = signature_v3::Parts {
                method: "GET",
                path: "/",
                query: pairs.as_slice(),
                headers: &headers,
                body: b"",
            };
            signature_v3::sign(&parts, "testid", SECRET, SIGNED)?
        };
        requests.push((headers, authorization));
    }
    for _ in 0..rounds {
        for (headers, authorization) in &requests {
            let pairs = parse_pairs(query, None)?;
            let parts = signature_v3::Parts {
                method: "GET",
                path: "/",
                query: pairs.as_slice(),
                headers,
                body: b"",
            };
            let authorization = signature_v3::Authorization::parse(authorization)?;
            signature_v3::verify(&parts, &authorization, SECRET)?;
        }
    }
    Ok(REQUESTS)
}
