//! After a restart: every session whose spool is there is taken up again.
//!
//! The log is read with the same segmenter that ran live, so it decides the same slices and files under the same names; what was committed
//! before is found by name and skipped. A session that was being recorded counts as interrupted at its last whole frame: the publisher
//! may come back within DelayTime, else its files are finished.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::hub::Hub;
use super::spool::folder::{self as spool_folder, Contents};
use super::spool::read::{ReadError, SpoolReader};
use super::spool::record::{Checkpoint, FatalFault, Mark, Opening, Record};
use super::spool::write::SpoolWriter;
use super::spool::{Position, put_aside, put_aside_taken, segment_name};
use crate::clock::UnixMs;
use crate::disk::held::{self, Held};
use crate::live::decide::machine::Cause;
use crate::live::decide::pictures::Pictures;
use crate::live::decide::segmenter::{Output, Print, Segmenter, with_needs};
use crate::live::decide::timeline::Timeline;
use crate::live::recorder::effect::{Effect, Stage, Status};
use crate::live::recorder::session::{Kept, Session};
use crate::media::frame::Track;
use crate::model::event::Kind;
use crate::model::recorded::SessionState;
use crate::model::stream_key::StreamKey;
use crate::store::StoreError;

/// As many segments in a row are taken for missing ones. What has a higher number is not the next part of a recording, and nothing is made up to it.
const LONGEST_GAP: usize = 1_000;

/// What a spool tells.
struct Story {
    opening: Opening,
    segmenter: Segmenter,
    timeline: Timeline,
    statuses: u32,
    effects: Vec<Effect>,
    paused: Option<(UnixMs, Cause)>,
    ended: bool,
    /// It was thrown away.
    void: bool,
    end: Position,
    pictures: Pictures,
    /// Outputs of what may turn out to be half a recording.
    held: Vec<Output>,
}

/// Takes up every session in the spool folder. Damaged spools are put aside and reported; what is no session of ours is left alone and told.
pub async fn run(hub: &Arc<Hub>) -> Result<usize, StoreError> {
    let taken = take_up_where(hub, |_| true, |_| true).await?;
    close_rows(hub, &taken).await?;
    Ok(taken.len())
}

/// Takes up the sessions of those names whose stream is wanted; their names and streams. A session of a stream that is not wanted is another node's
/// by now: its spool is put aside, where nothing takes it up again.
pub async fn take_up_where(
    hub: &Arc<Hub>,
    named: impl Fn(&str) -> bool,
    wanted: impl Fn(&StreamKey) -> bool,
) -> Result<HashMap<String, StreamKey>, StoreError> {
    let services = hub.services().clone();
    let mut taken = HashMap::new();
    let spool = match Held::open(&services.spool) {
        Ok(spool) => spool,
        Err(error) => {
            tracing::error!(folder = %services.spool.display(), %error, "the spool folder cannot be opened");
            return Ok(taken);
        }
    };
    for name in sessions(&spool).into_iter().filter(|name| named(name)) {
        let folder = match spool.enter(&name) {
            Ok(folder) => Arc::new(folder),
            Err(error) => {
                left_alone(&spool.path().join(&name), &error);
                continue;
            }
        };
        let now = services.clock.now();
        let read = {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || look_into(&folder, now)).await
        };
        match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(Found::Story(story)) if !wanted(&story.opening.key) => {
                put_aside_taken(folder.path());
            }
            Ok(Found::Story(story)) => {
                let key = story.opening.key.clone();
                if take_up(hub, &folder, *story, now).await? {
                    taken.insert(name, key);
                }
            }
            Ok(Found::Nothing) => {
                // Frames that waited for an answer, or nothing at all: never part of a recording.
                if let Err(error) = spool_folder::remove_session(folder.path()) {
                    left_alone(folder.path(), &error);
                }
            }
            Ok(Found::Foreign(why)) => left_alone(folder.path(), &why),
            Err(error) => put_aside(folder.path(), &error.to_string()),
        }
    }
    Ok(taken)
}

fn left_alone(path: &Path, why: &dyn std::fmt::Display) {
    tracing::warn!(path = %path.display(), %why, "something in the spool folder is not a recording of localyun; it is left alone");
}

/// The names of the folders that are named as sessions are.
fn sessions(spool: &Held) -> Vec<String> {
    let entries = spool.entries().unwrap_or_else(|error| {
        tracing::error!(folder = %spool.path().display(), %error, "the spool folder cannot be looked through");
        Vec::new()
    });
    let mut sessions = Vec::new();
    // Session ids sort by time, and entries come in order.
    for (name, kind) in entries {
        let named = name.to_str().filter(|name| spool_folder::is_session(name));
        let why = match (named, kind) {
            (Some(name), held::Kind::Folder) => {
                sessions.push(name.to_owned());
                continue;
            }
            (_, held::Kind::Link) => "it is a link",
            (Some(_), _) => "it is no folder",
            (None, _) => "it is not named as a session is",
        };
        left_alone(&spool.path().join(&name), &why);
    }
    sessions
}

/// What a folder of the spool turned out to be.
enum Found {
    Story(Box<Story>),
    /// A session of which nothing comes.
    Nothing,
    /// Why it is none.
    Foreign(String),
}

fn look_into(folder: &Arc<Held>, now: UnixMs) -> io::Result<Found> {
    let contents = match Contents::of(folder) {
        Ok(contents) => contents,
        // Nobody knows what it is: nothing in it is touched.
        Err(error) => return Ok(Found::Foreign(error.to_string())),
    };
    for name in &contents.foreign {
        left_alone(
            &folder.path().join(name),
            &"no part of localyun gives such a name",
        );
    }
    contents.remove_work(folder)?;
    fill_gaps(folder, &contents.segments)?;
    Ok(match read_story(folder, &contents.segments, now)? {
        Some(story) => Found::Story(Box::new(story)),
        None => Found::Nothing,
    })
}

/// A segment that is missing between others is put there empty, like one that was cut off at its beginning: whoever reads the log, now or to make a
/// file of it, goes on behind it.
fn fill_gaps(folder: &Held, segments: &[u32]) -> io::Result<()> {
    for pair in segments.windows(2) {
        let &[before, after] = pair else { continue };
        let missing = before.saturating_add(1)..after;
        if missing.is_empty() {
            continue;
        }
        let (first, count) = (missing.start, missing.len());
        tracing::warn!(folder = %folder.path().display(), first, count, "segments of the spool are missing");
        if count > LONGEST_GAP {
            break;
        }
        for segment in missing {
            folder.write(segment_name(segment), true)?;
        }
    }
    Ok(())
}

fn read_story(folder: &Arc<Held>, segments: &[u32], now: UnixMs) -> io::Result<Option<Story>> {
    let Some(first) = segments.first().copied() else {
        return Ok(None);
    };
    let start = Position {
        segment: first,
        offset: 0,
    };
    let mut reader = SpoolReader::held(folder.clone(), start);
    let mut kept: Vec<Kept> = Vec::new();
    let mut story: Option<Story> = None;
    let mut damage = None;
    loop {
        let record = match reader.next_record() {
            Ok(record) => record,
            Err(ReadError::Io(error)) => return Err(error),
            Err(damaged) => {
                damage.get_or_insert_with(|| damaged.to_string());
                let at = reader.position();
                if reader
                    .leave_segment()
                    .is_ok_and(|there_is_more| there_is_more)
                {
                    tracing::warn!(folder = %folder.path().display(), %damaged, "a part of the spool is lost");
                    // Whoever makes files of it must see the same hole.
                    folder
                        .write(segment_name(at.segment), false)?
                        .set_len(at.offset)?;
                    continue;
                }
                tracing::warn!(folder = %folder.path().display(), %damaged, "the spool ends at its last whole record");
                None
            }
        };
        let Some((at, record)) = record else { break };
        let after = reader.position();
        match &mut story {
            None => match record {
                Record::Frame(f) => kept.push(Kept::Frame {
                    at,
                    track: f.track,
                    dts_ms: f.dts_ms,
                    cts_ms: f.cts_ms,
                    key: f.key,
                }),
                Record::Video(config) => {
                    kept.push(Kept::Config(at, Track::Video, Print::of_video(&config)));
                }
                Record::Audio(config) => {
                    kept.push(Kept::Config(at, Track::Audio, Print::of_audio(&config)));
                }
                Record::Mark(mark) => story = begin(*mark, std::mem::take(&mut kept), now),
            },
            Some(story) => story.take(record, at, after, now),
        }
        if let Some(story) = &mut story {
            story.end = after;
        }
    }
    match (story, damage) {
        (Some(story), _) => Ok(Some(story)),
        (None, _) if first > 0 => Err(io::Error::other("the first segment has no checkpoint")),
        // Frames that waited for an answer have no beginning either, and are whole.
        (None, Some(damage)) => Err(io::Error::other(damage)),
        (None, None) => Ok(None),
    }
}

/// What a session's spool tells: how many statuses and outputs come of it, and where its last whole record ends. A door for
/// `tests/fuzz`, not an interface.
///
/// # Errors
/// When the spool would be put aside.
#[doc(hidden)]
pub fn survey(folder: &Path, now: UnixMs) -> io::Result<Option<(usize, Position)>> {
    Ok(match look_into(&Arc::new(Held::open(folder)?), now)? {
        Found::Story(story) => Some((story.effects.len(), story.end)),
        Found::Nothing | Found::Foreign(_) => None,
    })
}

fn begin(mark: Mark, kept: Vec<Kept>, now: UnixMs) -> Option<Story> {
    let mut story = match mark {
        Mark::Open(opening) => Story {
            segmenter: Segmenter::new(&opening.formats, opening.first_sequence, opening.wall),
            opening: *opening,
            timeline: Timeline::default(),
            statuses: 0,
            effects: Vec::new(),
            paused: None,
            ended: false,
            void: false,
            end: Position {
                segment: 0,
                offset: 0,
            },
            pictures: Pictures::default(),
            held: Vec::new(),
        },
        Mark::Checkpoint(checkpoint) => {
            let Checkpoint {
                opening,
                segmenter,
                timeline,
                statuses,
                pictures,
            } = *checkpoint;
            return Some(Story {
                opening,
                segmenter,
                timeline,
                statuses,
                effects: Vec::new(),
                paused: None,
                ended: false,
                void: false,
                end: Position {
                    segment: 0,
                    offset: 0,
                },
                pictures,
                held: Vec::new(),
            });
        }
        _ => return None,
    };
    story.tell(Kind::RecordStarted, now);
    let mut outputs = Vec::new();
    for record in kept {
        if let Kept::Frame {
            track,
            dts_ms,
            cts_ms,
            ..
        } = record
        {
            story.timeline.observe(track, dts_ms, cts_ms);
            story.pictures.are_recorded |= track == Track::Video;
        }
        record.feed(&mut story.segmenter, &mut outputs);
    }
    story.emit(outputs);
    Some(story)
}

impl Story {
    fn take(&mut self, record: Record, at: Position, after: Position, now: UnixMs) {
        let mut outputs = Vec::new();
        match record {
            Record::Frame(frame) => {
                let times = (frame.dts_ms, frame.cts_ms);
                self.pictures.are_recorded |= frame.track == Track::Video;
                self.timeline
                    .observe(frame.track, frame.dts_ms, frame.cts_ms);
                self.segmenter
                    .frame(at, frame.track, times, frame.key, &mut outputs);
            }
            Record::Video(config) => {
                self.segmenter
                    .config(at, Track::Video, Print::of_video(&config));
            }
            Record::Audio(config) => {
                self.segmenter
                    .config(at, Track::Audio, Print::of_audio(&config));
            }
            Record::Mark(mark) => match *mark {
                Mark::Open(_) => {}
                // What was read so far comes to the same, unless records before it are lost.
                Mark::Checkpoint(checkpoint) => {
                    self.segmenter = checkpoint.segmenter;
                    self.timeline = checkpoint.timeline;
                    self.statuses = self.statuses.max(checkpoint.statuses);
                    self.pictures = checkpoint.pictures;
                    self.paused = None;
                }
                Mark::Pause {
                    end_ms,
                    at: paused_at,
                    cause,
                } => {
                    self.segmenter.pause(after, end_ms, &mut outputs);
                    self.paused = Some((paused_at, cause));
                    self.emit(std::mem::take(&mut outputs));
                    self.tell(Kind::RecordPaused, now);
                }
                Mark::Resume { media_ms, wall } => {
                    self.segmenter.resume(media_ms, wall);
                    self.paused = None;
                    self.tell(Kind::RecordResumed, now);
                }
                Mark::Cut {
                    at_once: true,
                    end_ms,
                } => self.segmenter.close_files(after, end_ms, &mut outputs),
                Mark::Cut { at_once: false, .. } => {
                    self.segmenter.want_cut();
                    self.tell(Kind::RecordStarted, now);
                }
                Mark::Keyless { late } => {
                    self.pictures.keyless = true;
                    self.pictures.late = late;
                }
                Mark::End { end_ms } => {
                    self.segmenter.close_files(after, end_ms, &mut outputs);
                    self.ended = true;
                }
                Mark::Failed { end_ms, by } => {
                    // As live: the fault first, then what ends by it.
                    self.tell_fatal(by);
                    self.segmenter.close_files(after, end_ms, &mut outputs);
                    self.ended = true;
                }
                Mark::Void => self.void = true,
            },
        }
        self.emit(outputs);
    }

    fn emit(&mut self, mut outputs: Vec<Output>) {
        // As the recorder does.
        if self.pictures.leave_half() {
            self.held.append(&mut outputs);
            return;
        }
        if !self.held.is_empty() {
            self.held.append(&mut outputs);
            outputs = std::mem::take(&mut self.held);
        }
        let open = self.segmenter.keep_from().unwrap_or(0);
        for (output, keep_from) in with_needs(outputs, open) {
            // The folder is filled in by whoever takes the story up.
            self.effects.push(Effect::Output {
                opening: Arc::new(self.opening.clone()),
                folder: PathBuf::new(),
                output: Box::new(output),
                next: None,
                handed: None,
                keep_from,
            });
        }
    }

    fn tell(&mut self, kind: Kind, now: UnixMs) {
        self.effects.push(Effect::Status(Status {
            session: self.opening.session.clone(),
            number: self.statuses,
            kind,
            fault: None,
            at: now,
        }));
        self.statuses += 1;
    }

    fn tell_fatal(&mut self, by: FatalFault) {
        let FatalFault { fault, at, number } = by;
        self.effects.push(Effect::Status(Status {
            session: self.opening.session.clone(),
            number,
            kind: Kind::RecordError,
            fault: Some(fault),
            at,
        }));
    }
}

/// Gives a session to its stream's recorder; false when its spool had to be put aside.
async fn take_up(
    hub: &Arc<Hub>,
    held: &Held,
    story: Story,
    now: UnixMs,
) -> Result<bool, StoreError> {
    let services = hub.services();
    let folder = held.path().to_owned();
    let recorder = hub.recorder(&story.opening.key).await?;
    let wall_end = story.segmenter.wall(story.timeline.end_ms());
    let mut effects = story.effects;
    for effect in &mut effects {
        if let Effect::Output { folder: place, .. } = effect {
            place.clone_from(&folder);
        }
    }
    let opening = Arc::new(story.opening.clone());
    let stands = |stage| Effect::Session {
        opening: opening.clone(),
        ended_at: wall_end,
        stage,
    };
    if story.void {
        tracing::info!(stream.key = %story.opening.key, session = story.opening.session, "a recording that was thrown away is cleared away after a restart");
        let cleared = vec![stands(Stage::Ended), Effect::Forget { folder }];
        recorder.replay(cleared, story.opening.first_sequence);
        return Ok(true);
    }
    // Its row says that it has ended when all of it is made, and not before: another node takes that word for it, and fetches nothing of such a
    // session.
    effects.insert(0, stands(Stage::Paused));
    let state = if story.ended {
        Stage::Ended
    } else {
        Stage::Paused
    };
    tracing::info!(stream.key = %story.opening.key, session = story.opening.session, state = state.state().as_str(), "recording taken up after a restart");
    if story.ended {
        effects.push(stands(Stage::Ended));
        effects.push(Effect::Forget { folder });
        recorder.replay(effects, story.segmenter.next_sequence());
        return Ok(true);
    }
    recorder.replay(effects, story.segmenter.next_sequence());
    drop_later_segments(&folder, story.end);
    let key = &story.opening.key;
    let writer = match SpoolWriter::resume(services.disk.clone(), folder.clone(), 0, story.end) {
        Ok(mut writer) => {
            writer.belongs_to(|| key.hash());
            writer
        }
        Err(error) => {
            put_aside(&folder, &error.to_string());
            return Ok(false);
        }
    };
    let delay_ms = story.opening.rule.delay_s * 1000;
    let (lost_at, cause) = story.paused.unwrap_or((wall_end.min(now), Cause::Lost));
    let checkpoint = Checkpoint {
        opening: story.opening,
        segmenter: story.segmenter,
        timeline: story.timeline,
        statuses: story.statuses,
        pictures: story.pictures,
    };
    let mut session = Session::recovered(checkpoint, writer, lost_at, story.held);
    let cut_off = story.paused.is_none();
    if cut_off {
        session.pause(Cause::Lost, lost_at);
    }
    recorder.restore(session, cause, cut_off, lost_at + delay_ms);
    Ok(true)
}

/// Segments behind the place where the log ends hold nothing that can be read in order.
fn drop_later_segments(folder: &Path, end: Position) {
    if let Err(error) = spool_folder::drop_segments(folder, |segment| segment > end.segment) {
        left_alone(folder, &error);
    }
}

/// Rows of sessions that no spool stands for are closed.
async fn close_rows(hub: &Arc<Hub>, taken: &HashMap<String, StreamKey>) -> Result<(), StoreError> {
    let services = hub.services();
    for row in services.store.recent_sessions(1_000).await? {
        if row.state != SessionState::Ended && !taken.contains_key(&row.id) {
            let fence = services.store.fence(&row.stream_hash);
            let ended = services.store.end_session(&row.id, row.ended_at, &fence);
            ended.await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::disk::writers::Disk;
    use crate::media::frame::Frame;

    /// The folder of a session of frames alone, or of a recording.
    async fn spool(data: &Path, mark: Option<Mark>) -> std::path::PathBuf {
        let folder = data.join("spool").join(crate::ids::ordered_id());
        let disk = Disk::start().unwrap();
        let mut writer = SpoolWriter::create(disk.clone(), folder.clone(), 0).unwrap();
        if let Some(mark) = mark {
            writer.mark(&mark);
        }
        for n in 0..10 {
            writer.frame(&Frame {
                track: Track::Video,
                dts_ms: n * 40,
                cts_ms: 0,
                key: n == 0,
                data: Bytes::from(vec![7; 200]),
            });
        }
        writer.flush();
        disk.settle().await;
        folder
    }

    fn found(folder: &Path) -> io::Result<bool> {
        let folder = Arc::new(Held::open(folder)?);
        Ok(match look_into(&folder, 0)? {
            Found::Story(_) => true,
            Found::Nothing => false,
            Found::Foreign(why) => panic!("{why}"),
        })
    }

    #[tokio::test]
    async fn a_recording_whose_beginning_is_damaged_is_not_nothing() {
        let data = tempfile::tempdir().unwrap();
        let opening = Opening {
            session: "s".to_owned(),
            key: StreamKey::new("d", "a", "s"),
            rule: crate::model::rule::tests::rule("a", "s"),
            formats: Vec::new(),
            first_sequence: 0,
            wall: 0,
            push_args: Vec::new(),
        };
        let folder = spool(data.path(), Some(Mark::Open(Box::new(opening)))).await;
        assert!(found(&folder).unwrap());
        let segment = folder.join(segment_name(0));
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[30] ^= 1;
        std::fs::write(&segment, &bytes).unwrap();
        assert!(found(&folder).is_err());
        // What waited for an answer is nothing, also where the last record is torn.
        let folder = spool(data.path(), None).await;
        assert!(!found(&folder).unwrap());
        let segment = folder.join(segment_name(0));
        let bytes = std::fs::read(&segment).unwrap();
        std::fs::write(&segment, &bytes[..bytes.len() - 50]).unwrap();
        assert!(!found(&folder).unwrap());
    }
}
