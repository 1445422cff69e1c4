//! A recorder with everything behind it, on a temporary folder, and frames that can be told apart in the files made of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use localyun::testing::clock::Clock;
use localyun::testing::disk::writers::Disk;
use localyun::testing::events::Events;
use localyun::testing::faults::Faults;
use localyun::testing::live::hub::{Hub, Publisher};
use localyun::testing::media::access_unit::Arrived;
use localyun::testing::media::flv::file::FlvFile;
use localyun::testing::media::flv::read::{Item, TagReader};
use localyun::testing::media::frame::{AudioCodec, AudioConfig, Frame, Track, VideoConfig};
use localyun::testing::meter::Meter;
use localyun::testing::metrics::Metrics;
use localyun::testing::model::notify::RecordNotify;
use localyun::testing::model::rule::{Format, FormatRule, OnDemand, Rule};
use localyun::testing::model::stream_key::{PushArgs, StreamKey};
use localyun::testing::notifier::Notifier;
use localyun::testing::notify::{outbox, receiver};
use localyun::testing::objects::folder::FolderStore;
use localyun::testing::objects::{Objects, Store as ObjectStore};
use localyun::testing::services::Services;
use localyun::testing::store::Store;
use localyun::testing::store::documents::Kind;

/// Pictures a second; one in so many is a key frame.
pub const RATE: u64 = 25;
/// So small that every recording of some seconds goes over several segments of the spool.
const SEGMENT_BYTES: u64 = 4_096;
const MARK: &[u8] = b"\xa5frame-number\xa5";

pub struct Bench {
    pub services: Arc<Services>,
    pub hub: Arc<Hub>,
    pub key: StreamKey,
    next_frame: u64,
    raw: u32,
    config: VideoConfig,
}

impl Bench {
    /// Opens the service on a folder, which may hold what an earlier one left.
    pub async fn open(folder: &Path) -> Self {
        let store = Store::open(&format!(
            "sqlite://{}?mode=rwc",
            folder.join("t.db").display()
        ))
        .await
        .unwrap();
        let clock = Clock::new(None);
        let faults = Arc::new(Faults::default());
        let embedded = FolderStore::open(folder.join("oss")).unwrap();
        let (notifier, inbox) = Notifier::new();
        let spool = folder.join("spool");
        std::fs::create_dir_all(&spool).unwrap();
        let services = Arc::new(Services {
            events: Events::new(clock.clone()),
            clock: clock.clone(),
            meter: Meter::new(clock.clone(), store.clone()),
            store,
            objects: Objects::new(ObjectStore::Embedded(embedded), faults.clone()),
            public_urls: Default::default(),
            notifier,
            certificates: Default::default(),
            disk: Disk::with_segments_of(SEGMENT_BYTES).unwrap(),
            http: receiver::client().unwrap(),
            faults,
            metrics: Arc::new(Metrics::default()),
            spool,
        });
        outbox::run(&services, inbox);
        tokio::spawn(async move { clock.run().await });
        let hub = Hub::new(services.clone());
        localyun::testing::live::recovery::run(&hub).await.unwrap();
        Self {
            services,
            hub,
            key: StreamKey::new("play.example.com", "live", "s1"),
            next_frame: 0,
            raw: 0,
            config: config(),
        }
    }

    pub async fn rule(&self, on_demand: OnDemand, delay_s: i64) {
        self.rule_of(on_demand, delay_s, [3600, 20, 3600, 3600])
            .await;
    }

    /// A rule with these seconds a file of M3U8, MP4, FLV and CMAF.
    pub async fn rule_of(&self, on_demand: OnDemand, delay_s: i64, cycles_s: [i64; 4]) {
        let rule = self.made_rule(on_demand, delay_s, cycles_s);
        self.add_rule(rule).await;
    }

    /// The same, not added yet. It is for every stream of the application.
    pub fn made_rule(&self, on_demand: OnDemand, delay_s: i64, cycles_s: [i64; 4]) -> Rule {
        let [m3u8_s, mp4_s, flv_s, cmaf_s] = cycles_s;
        let format = |format: Format, cycle_s| FormatRule {
            format,
            object_prefix: format!("{format:?}/{{Sequence}}_{{StartTime}}_{{EndTime}}"),
            slice_prefix: Some(format!("{format:?}-slices/{{UnixTimestamp}}_{{Sequence}}")),
            slice_s: 5,
            cycle_s,
        };
        Rule {
            domain: self.key.domain.clone(),
            app: "live".to_owned(),
            stream: "*".to_owned(),
            oss_endpoint: "e".to_owned(),
            oss_bucket: "bucket".to_owned(),
            start_time: None,
            end_time: None,
            on_demand,
            delay_s,
            formats: vec![
                format(Format::M3u8, m3u8_s),
                format(Format::Mp4, mp4_s),
                format(Format::Flv, flv_s),
                format(Format::Cmaf, cmaf_s),
            ],
            transcode_formats: Vec::new(),
            transcode_templates: Vec::new(),
            created_at: 0,
        }
    }

    /// Adds a rule, and has all that comes of it told.
    pub async fn add_rule(&self, rule: Rule) {
        self.services.store.insert_rule(rule).await.unwrap();
        self.services.objects.create_bucket("bucket").await.unwrap();
        // Nobody listens there: the outbox alone is looked at.
        let notify = RecordNotify {
            notify_url: Some("http://127.0.0.1:9/".to_owned()),
            need_status_notify: true,
            ..RecordNotify::default()
        };
        self.services
            .store
            .put_document(Kind::RecordNotify, &self.key.domain, &notify)
            .await
            .unwrap();
    }

    pub async fn publish(&mut self) -> Arc<Publisher> {
        let publisher = self.enter().await;
        self.announce_pictures(&publisher);
        publisher
    }

    /// A push of sound alone: AAC of this configuration.
    pub async fn publish_sound(&mut self, record: &'static [u8]) -> Arc<Publisher> {
        let publisher = self.enter().await;
        publisher.recorder.audio_config(AudioConfig {
            codec: AudioCodec::Aac,
            record: Bytes::from_static(record),
            sample_rate: 44_100,
            channels: 2,
        });
        publisher
    }

    pub fn announce_pictures(&self, publisher: &Publisher) {
        publisher.recorder.video_config(self.config.clone());
    }

    async fn enter(&mut self) -> Arc<Publisher> {
        self.raw = 0;
        self.hub
            .publish(
                self.key.clone(),
                self.key.domain.clone(),
                "127.0.0.1:1".to_owned(),
                PushArgs::default(),
            )
            .await
            .unwrap()
    }

    /// Pushes whole seconds, each beginning with a key frame; the numbers of the frames pushed.
    pub fn push(&mut self, publisher: &Publisher, seconds: u64) -> std::ops::Range<u64> {
        let first = self.next_frame;
        for n in 0..seconds * RATE {
            self.push_picture(publisher, n % RATE == 0, 0);
        }
        publisher.recorder.tick();
        first..self.next_frame
    }

    /// Pushes whole seconds of sound, five frames in each.
    pub fn push_sound(&mut self, publisher: &Publisher, seconds: u64) -> std::ops::Range<u64> {
        let first = self.next_frame;
        for _ in 0..seconds * 5 {
            let data = [&[0x21], &marked(self.next_frame)[..]].concat();
            self.send(publisher, frame(Track::Audio, data.into()), 200);
        }
        publisher.recorder.tick();
        first..self.next_frame
    }

    pub fn push_picture(&mut self, publisher: &Publisher, key: bool, cts_ms: i32) {
        let picture = Frame {
            key,
            cts_ms,
            ..frame(Track::Video, numbered(self.next_frame, key))
        };
        self.send(publisher, picture, 40);
    }

    fn send(&mut self, publisher: &Publisher, frame: Frame, lasts_ms: u32) {
        let message = Arrived {
            frame,
            timestamp: self.raw,
            at: self.services.clock.now(),
        };
        publisher.recorder.message(message).unwrap();
        self.raw += lasts_ms;
        self.next_frame += 1;
    }

    /// How often each frame number is in the objects below a folder of the bucket.
    pub fn found(&self, folder: &Path, below: &str) -> BTreeMap<u64, u32> {
        let mut found = BTreeMap::new();
        let Ok(entries) = std::fs::read_dir(folder.join("oss/bucket").join(below)) else {
            return found;
        };
        for entry in entries {
            for number in numbers_in(&std::fs::read(entry.unwrap().path()).unwrap()) {
                *found.entry(number).or_default() += 1;
            }
        }
        found
    }

    /// The status events of recordings so far, in their order.
    pub async fn statuses(&self) -> Vec<&'static str> {
        let store = &self.services.store;
        let mut rows = store.recent_callbacks(1_000).await.unwrap();
        rows.reverse();
        let kinds = rows.iter().map(|row| row.kind.as_str());
        kinds.filter(|kind| kind.starts_with("record_")).collect()
    }

    pub async fn advance(&self, seconds: i64) {
        self.services.clock.advance(seconds * 1000).await;
    }
}

/// The frame numbers in a file, in their order.
pub fn numbers_in(bytes: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(MARK.len()).position(|w| w == MARK) {
        let number = &rest[at + MARK.len()..at + MARK.len() + 8];
        numbers.push(u64::from_be_bytes(number.try_into().unwrap()));
        rest = &rest[at + MARK.len() + 8..];
    }
    numbers
}

fn frame(track: Track, data: Bytes) -> Frame {
    Frame {
        track,
        dts_ms: 0,
        cts_ms: 0,
        key: false,
        data,
    }
}

fn marked(number: u64) -> Bytes {
    let mut data = BytesMut::new();
    data.put_slice(MARK);
    data.put_u64(number);
    data.put_bytes(0x77, 40);
    data.freeze()
}

/// A picture that carries a number: one NAL unit of the kind that its picture needs.
fn numbered(number: u64, key: bool) -> Bytes {
    let mut nal = BytesMut::new();
    nal.put_u8(if key { 0x65 } else { 0x41 });
    nal.put_u8(0x88); // first_mb_in_slice 0, slice_type 7
    nal.put_slice(&marked(number));
    let mut data = BytesMut::new();
    data.put_u32(u32::try_from(nal.len()).unwrap());
    data.put_slice(&nal);
    data.freeze()
}

/// A real configuration, of a clip.
fn config() -> VideoConfig {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/media/video_only.flv");
    let file = FlvFile::new(std::fs::read(path).unwrap().into()).unwrap();
    let mut reader = TagReader::new();
    let mut found = None;
    for tag in file {
        let tag = tag.unwrap();
        let mut sink = |item| {
            if let Item::VideoConfig(config) = item {
                found.get_or_insert(config);
            }
        };
        reader
            .read(tag.kind, tag.timestamp, tag.payload, &mut sink)
            .unwrap();
    }
    found.unwrap()
}
