//! After a restart: every session whose spool is there is taken up again.
//!
//! The log is read with the same segmenter that ran live, so it decides the same slices and files under the same names; what was committed
//! before is found by name and skipped. A session that was being recorded counts as interrupted at its last whole frame: the publisher
//! may come back within DelayTime, else its files are finished.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::hub::Hub;
use super::spool::read::{ReadError, SpoolReader, segments};
use super::spool::record::{Checkpoint, Mark, Opening, Record};
use super::spool::write::SpoolWriter;
use super::spool::{Position, put_aside, segment_name};
use crate::clock::UnixMs;
use crate::live::decide::machine::Cause;
use crate::live::decide::segmenter::{Output, Segmenter, with_needs};
use crate::live::decide::timeline::Timeline;
use crate::live::recorder::effect::{Effect, Status};
use crate::live::recorder::session::{Kept, Session};
use crate::media::frame::Track;
use crate::model::event::Kind;
use crate::store::StoreError;

/// What a spool tells.
struct Story {
    opening: Opening,
    segmenter: Segmenter,
    timeline: Timeline,
    statuses: u32,
    effects: Vec<Effect>,
    paused: Option<(UnixMs, Cause)>,
    ended: bool,
    end: Position,
}

/// Takes up every session in the spool folder. Damaged spools are put aside and reported.
pub async fn run(hub: &Arc<Hub>) -> Result<usize, StoreError> {
    let services = hub.services().clone();
    let mut found = 0;
    for folder in folders(&services.spool) {
        let now = services.clock.now();
        let read = {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || read_story(&folder, now)).await
        };
        match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(Some(story)) => {
                found += 1;
                take_up(hub, folder, story, now).await?;
            }
            Ok(None) => {
                // Frames that waited for an answer, or nothing at all: never part of a recording.
                let _ = std::fs::remove_dir_all(&folder);
            }
            Err(error) => put_aside(&folder, &error.to_string()),
        }
    }
    close_rows(hub).await?;
    Ok(found)
}

fn folders(spool: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(spool) else {
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_dir())
        .collect();
    // Session ids sort by time.
    folders.sort();
    folders
}

fn read_story(folder: &Path, now: UnixMs) -> io::Result<Option<Story>> {
    remove_work(folder);
    let Some(first) = segments(folder)?.first().copied() else {
        return Ok(None);
    };
    let mut reader = SpoolReader::from(
        folder,
        Position {
            segment: first,
            offset: 0,
        },
    );
    let mut kept: Vec<Kept> = Vec::new();
    let mut story: Option<Story> = None;
    loop {
        let record = match reader.next_record() {
            Ok(record) => record,
            Err(ReadError::Io(error)) => return Err(error),
            Err(damaged) => {
                let at = reader.position();
                if reader
                    .leave_segment()
                    .is_ok_and(|there_is_more| there_is_more)
                {
                    tracing::warn!(folder = %folder.display(), %damaged, "a part of the spool is lost");
                    // Whoever makes files of it must see the same hole.
                    let segment = folder.join(segment_name(at.segment));
                    OpenOptions::new()
                        .write(true)
                        .open(segment)?
                        .set_len(at.offset)?;
                    continue;
                }
                tracing::warn!(folder = %folder.display(), %damaged, "the spool ends at its last whole record");
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
                    let print = crc32fast::hash(&config.record);
                    kept.push(Kept::Config(at, Track::Video, print));
                }
                Record::Audio(config) => {
                    let print = crc32fast::hash(&config.record);
                    kept.push(Kept::Config(at, Track::Audio, print));
                }
                Record::Mark(mark) => story = begin(*mark, std::mem::take(&mut kept), now),
            },
            Some(story) => story.take(record, at, after, now),
        }
        if let Some(story) = &mut story {
            story.end = after;
        }
    }
    match story {
        Some(story) => Ok(Some(story)),
        None if first > 0 => Err(io::Error::other("the first segment has no checkpoint")),
        None => Ok(None),
    }
}

/// What a session's spool tells: how many statuses and outputs come of it, and where its last whole record ends. A door for
/// `tests/fuzz`, not an interface.
///
/// # Errors
/// When the spool would be put aside.
#[doc(hidden)]
pub fn survey(folder: &Path, now: UnixMs) -> io::Result<Option<(usize, Position)>> {
    let story = read_story(folder, now)?;
    Ok(story.map(|story| (story.effects.len(), story.end)))
}

/// Half-made files of the time before.
fn remove_work(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let is_segment = entry
            .file_name()
            .to_str()
            .and_then(super::spool::segment_number)
            .is_some();
        if !is_segment {
            let _ = std::fs::remove_file(entry.path());
        }
    }
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
            end: Position {
                segment: 0,
                offset: 0,
            },
        },
        Mark::Checkpoint(checkpoint) => {
            let Checkpoint {
                opening,
                segmenter,
                timeline,
                statuses,
            } = *checkpoint;
            return Some(Story {
                opening,
                segmenter,
                timeline,
                statuses,
                effects: Vec::new(),
                paused: None,
                ended: false,
                end: Position {
                    segment: 0,
                    offset: 0,
                },
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
                self.timeline
                    .observe(frame.track, frame.dts_ms, frame.cts_ms);
                self.segmenter
                    .frame(at, frame.track, times, frame.key, &mut outputs);
            }
            Record::Video(config) => {
                self.segmenter
                    .config(at, Track::Video, crc32fast::hash(&config.record));
            }
            Record::Audio(config) => {
                self.segmenter
                    .config(at, Track::Audio, crc32fast::hash(&config.record));
            }
            Record::Mark(mark) => match *mark {
                Mark::Open(_) => {}
                // What was read so far comes to the same, unless records before it are lost.
                Mark::Checkpoint(checkpoint) => {
                    self.segmenter = checkpoint.segmenter;
                    self.timeline = checkpoint.timeline;
                    self.statuses = self.statuses.max(checkpoint.statuses);
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
                Mark::End { end_ms } => {
                    self.segmenter.close_files(after, end_ms, &mut outputs);
                    self.ended = true;
                }
            },
        }
        self.emit(outputs);
    }

    fn emit(&mut self, outputs: Vec<Output>) {
        let open = self.segmenter.keep_from().unwrap_or(0);
        for (output, keep_from) in with_needs(outputs, open) {
            // The folder is filled in by whoever takes the story up.
            self.effects.push(Effect::Output {
                opening: Arc::new(self.opening.clone()),
                folder: PathBuf::new(),
                output,
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
}

async fn take_up(
    hub: &Arc<Hub>,
    folder: PathBuf,
    story: Story,
    now: UnixMs,
) -> Result<(), StoreError> {
    let services = hub.services();
    let recorder = hub.recorder(&story.opening.key).await?;
    let wall_end = story.segmenter.wall(story.timeline.end_ms());
    let mut effects = story.effects;
    for effect in &mut effects {
        if let Effect::Output { folder: place, .. } = effect {
            place.clone_from(&folder);
        }
    }
    let state = if story.ended { "ended" } else { "paused" };
    effects.insert(
        0,
        Effect::Session {
            opening: Arc::new(story.opening.clone()),
            ended_at: wall_end,
            state,
        },
    );
    tracing::info!(stream.key = %story.opening.key, session = story.opening.session, state, "recording taken up after a restart");
    if story.ended {
        effects.push(Effect::Forget { folder });
        recorder.replay(effects, story.segmenter.next_sequence());
        return Ok(());
    }
    recorder.replay(effects, story.segmenter.next_sequence());
    drop_later_segments(&folder, story.end);
    let spool = match SpoolWriter::resume(services.disk.clone(), folder.clone(), 0, story.end) {
        Ok(spool) => spool,
        Err(error) => {
            put_aside(&folder, &error.to_string());
            return Ok(());
        }
    };
    let delay_ms = story.opening.rule.delay_s * 1000;
    let (lost_at, cause) = story.paused.unwrap_or((wall_end.min(now), Cause::Lost));
    let checkpoint = Checkpoint {
        opening: story.opening,
        segmenter: story.segmenter,
        timeline: story.timeline,
        statuses: story.statuses,
    };
    let mut session = Session::recovered(checkpoint, spool, lost_at);
    let cut_off = story.paused.is_none();
    if cut_off {
        session.pause(Cause::Lost, lost_at);
    }
    recorder.restore(session, cause, cut_off, lost_at + delay_ms);
    Ok(())
}

/// Segments behind the place where the log ends hold nothing that can be read in order.
fn drop_later_segments(folder: &Path, end: Position) {
    for segment in segments(folder)
        .unwrap_or_default()
        .into_iter()
        .filter(|n| *n > end.segment)
    {
        let _ = std::fs::remove_file(folder.join(segment_name(segment)));
    }
}

/// Rows of sessions that no spool stands for are closed.
async fn close_rows(hub: &Arc<Hub>) -> Result<(), StoreError> {
    let services = hub.services();
    for row in services.store.recent_sessions(1_000).await? {
        if row.state != "ended" && !services.spool.join(&row.id).is_dir() {
            services.store.end_session(&row.id, row.ended_at).await?;
        }
    }
    Ok(())
}
