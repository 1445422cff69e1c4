//! What follows a decision of the segmenter, in order, one worker a stream: mux, upload, row, callback.
//!
//! Everything is idempotent by a name that the spool's content decides ("session:format:number"), so that a restart may run it all again.
//! A store that fails is tried again until it works; the spool is given up only after the commit.

mod along;
mod head_start;
mod upload;

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use along::Along;
use serde_json::json;
use tokio::sync::mpsc;

use crate::clock::{self, Busy, UnixMs};
use crate::disk::descriptors;
use crate::disk::writers::Handed;
use crate::events;
use crate::ids;
use crate::live::decide::segmenter::{File, Output, Slice};
use crate::live::derive::disk_full;
use crate::live::derive::long_mp4::Ahead;
use crate::live::derive::{self, Carry, DeriveError};
use crate::live::recorder::effect::{Effect, FaultListener, Job, Stage, Status, Trouble};
use crate::live::spool;
use crate::live::spool::folder as spool_folder;
use crate::live::spool::read::ReadError;
use crate::live::spool::record::Opening;
use crate::model::event::{self, Fault, Kind};
use crate::model::object_name::{self, DEFAULT_SLICE_PREFIX, Values};
use crate::model::recorded::Origin;
use crate::model::rule::Format;
use crate::model::stream_key::StreamKey;
use crate::notify::rows;
use crate::services::Services;
use crate::store::StoreError;
use crate::store::records::{FileRow, SessionRow, SliceRow};
use crate::store::streams::Fence;
use crate::wire_time;

/// Bytes of the largest slice; a larger one makes the recording fail, as in the product.
const SLICE_LIMIT: u64 = 100 << 20;
/// Waits between tries of a store that fails, in milliseconds; the last one repeats.
const RETRY_MS: [i64; 6] = [200, 500, 1_000, 2_000, 5_000, 10_000];
/// Whether the stream is still here is looked at so often meanwhile.
const REST_STEP_MS: i64 = 1_000;
/// How long a try waits for the copy of the spool.
const COPY_PATIENCE: Duration = Duration::from_secs(5);
/// Tries of what is not likely to pass: two and a half minutes.
const DOUBTFUL_TRIES: usize = 20;
/// Names tried beside one that a foreign object holds.
const NAMES: u32 = 100;

struct Worker {
    services: Arc<Services>,
    key: StreamKey,
    recorder: Weak<dyn FaultListener>,
    /// What the newest slice of each format of the session handed on.
    carry: HashMap<usize, Carry>,
    carry_of: String,
    /// Sessions whose bucket or media failed: nothing more is made of them.
    given_up: HashSet<String>,
    /// Faults that it has told itself, of sessions that were over for their recorders.
    told: HashMap<String, Fault>,
    /// Spools of which some output could not be made: they are put aside and not removed, since somebody may still want their media.
    kept: HashSet<PathBuf>,
    /// Long files that are being written while their recording goes on.
    ahead: Vec<Ahead>,
    /// A file that was made together with the one before it, and whose own turn has not come yet.
    along: Option<Along>,
    /// What has to hold for whatever is committed.
    fence: Fence,
    /// The stream is another node's by now: nothing more is done here.
    is_fenced: bool,
}

/// Starts a stream's worker; it ends with the recorder.
pub fn spawn(
    services: Arc<Services>,
    key: StreamKey,
    mut queue: mpsc::UnboundedReceiver<Job>,
    recorder: Weak<dyn FaultListener>,
    fence: Fence,
) {
    let mut worker = Worker {
        services,
        key,
        recorder,
        carry: HashMap::new(),
        carry_of: String::new(),
        given_up: HashSet::new(),
        told: HashMap::new(),
        kept: HashSet::new(),
        ahead: Vec::new(),
        along: None,
        fence,
        is_fenced: false,
    };
    tokio::spawn(async move {
        let mut backlog: VecDeque<(Box<Effect>, Arc<()>)> = VecDeque::new();
        while let Some(job) = queue.recv().await {
            let mut busy = job.busy;
            backlog.push_back((job.effect, job.open));
            while let Some((effect, _open)) = backlog.pop_front() {
                // Boxed, since most workers have nothing to do and then take no room for it.
                let mut work = Box::pin(worker.work_off(busy, &effect));
                // What waits behind holds no guard: while the first one rests between its tries, time must be able to pass.
                let mut open = true;
                busy = loop {
                    tokio::select! {
                        busy = &mut work => break busy,
                        more = queue.recv(), if open => match more {
                            Some(job) => backlog.push_back((job.effect, job.open)),
                            None => open = false,
                        },
                    }
                };
            }
        }
    });
}

impl Worker {
    async fn work_off(&mut self, mut busy: Busy, effect: &Effect) -> Busy {
        let mut tries = 0;
        loop {
            if self.is_fenced || !self.is_wanted(effect) {
                return busy;
            }
            let done = match self.run_while_owned(effect).await {
                // All was forgotten meanwhile: what fails then is nobody's trouble.
                Err(_) if !self.is_wanted(effect) => return busy,
                // Its spool may have been put aside meanwhile: what fails then is nobody's trouble.
                Err(_) if !self.services.store.may_hold(&self.fence) => Err(Trouble::Fenced),
                done => done,
            };
            match done {
                Ok(()) => return busy,
                Err(Trouble::Doubtful(why)) if tries >= DOUBTFUL_TRIES => {
                    if let Effect::Output { folder, .. } = effect {
                        self.kept.insert(folder.clone());
                    }
                    self.lose(effect, &why).await;
                    return busy;
                }
                Err(Trouble::Passing(why) | Trouble::Doubtful(why)) => {
                    let wait = RETRY_MS
                        .get(tries)
                        .or(RETRY_MS.last())
                        .copied()
                        .unwrap_or(1_000);
                    if tries == 0 || tries % 30 == 29 {
                        tracing::warn!(stream.key = %self.key, tries, why, "trying again");
                    }
                    tries += 1;
                    self.services.metrics.upload_retry();
                    busy = self.rest(busy, effect, wait).await;
                }
                Err(Trouble::Fenced) => {
                    tracing::warn!(stream.key = %self.key, epoch = self.fence.epoch(), "another node has the stream: what was still to be made of it here is that node's to make");
                    self.services.metrics.fenced();
                    self.is_fenced = true;
                    if let Some(recorder) = self.recorder.upgrade() {
                        recorder.fenced();
                    }
                    return busy;
                }
                Err(Trouble::Fatal(fault)) => {
                    self.give_up(effect, fault).await;
                    return busy;
                }
                Err(Trouble::Lost(why)) => {
                    self.lose(effect, &why).await;
                    return busy;
                }
            }
        }
    }

    /// Whether something is still to come of an effect. Of what was begun before all was forgotten nothing is, but that its spool goes.
    fn is_wanted(&self, effect: &Effect) -> bool {
        matches!(effect, Effect::Forget { .. }) || self.services.store.remembers(&self.fence)
    }

    /// Rests between two tries, and no longer than the stream is here and something is to come of it.
    async fn rest(&self, mut busy: Busy, effect: &Effect, wait_ms: i64) -> Busy {
        let clock = &self.services.clock;
        let goes_on = || self.services.store.may_hold(&self.fence) && self.is_wanted(effect);
        let mut left = wait_ms;
        // Counted down, since a reset sets the clock back.
        while left > 0 && goes_on() {
            let step = left.min(REST_STEP_MS);
            busy = clock.rest_while(busy, clock.now() + step, goes_on).await;
            left -= step;
        }
        busy
    }

    /// A node that does not know whether the stream is still its own puts nothing into the bucket: another one may go on with the recording, and a
    /// file of this one's, which ends elsewhere and is called otherwise, would lie there without a row.
    async fn run_while_owned(&mut self, effect: &Effect) -> Result<(), Trouble> {
        if !self.services.store.may_hold(&self.fence) {
            return Err(Trouble::Fenced);
        }
        if !self.services.store.is_member_now() {
            let why = "the lease on the database could not be renewed yet";
            return Err(Trouble::Passing(why.to_owned()));
        }
        self.run(effect).await
    }

    /// Another node that takes the stream goes on by what the copy of the spool has. Without a file's end it would go on in a file that is there
    /// already, and what it recorded in that would be in none.
    async fn wait_for_copy(&self) -> Result<(), Trouble> {
        let copied = self.services.disk.copied();
        let copied = clock::machine_timeout(COPY_PATIENCE, copied).await;
        copied.ok_or_else(|| {
            Trouble::Passing("the mirror does not have the file's end yet".to_owned())
        })
    }

    async fn lose(&self, effect: &Effect, why: &str) {
        tracing::error!(stream.key = %self.key, why, "a part of a recording could not be made");
        // When the disk took no more, one event told of all that is missing; there is no second one.
        if let Effect::Output {
            handed: Some(handed),
            ..
        } = effect
            && handed.progress().has_failed()
        {
            return;
        }
        self.tell_lost(effect).await;
    }

    async fn give_up(&mut self, effect: &Effect, fault: Fault) {
        let Effect::Output { opening, .. } = effect else {
            return;
        };
        tracing::warn!(stream.key = %self.key, session = opening.session, code = fault.code(), "recording given up");
        self.given_up.insert(opening.session.clone());
        if !self.is_told(|recorder| recorder.failed(&opening.session, fault))
            && self.tell_fault(&opening.session, fault).await
        {
            self.told.insert(opening.session.clone(), fault);
        }
    }

    /// Tells the recorder, where it is still there. False: nobody has been told.
    fn is_told(&self, tell: impl FnOnce(&dyn FaultListener) -> bool) -> bool {
        self.recorder
            .upgrade()
            .is_some_and(|recorder| tell(&*recorder))
    }

    /// Tells the fault of a session that is over for its recorder. False: it cannot be told.
    async fn tell_fault(&self, session: &str, fault: Fault) -> bool {
        tracing::warn!(stream.key = %self.key, session, code = fault.code(), "a recording that is over has failed");
        let kind = Kind::RecordError;
        let dedupe = format!("{session}:{}:{}", kind.as_str(), fault.code());
        let told = self
            .tell_event(kind, dedupe, Some((fault, self.services.clock.now())))
            .await;
        if let Err(Trouble::Passing(why) | Trouble::Doubtful(why) | Trouble::Lost(why)) = &told {
            tracing::error!(stream.key = %self.key, why, "the fault cannot be told");
        }
        told.is_ok()
    }

    /// Waits for the disk to have taken what was handed over. False: it did not, and that is told.
    async fn is_on_disk(&self, session: &str, handed: &Handed) -> bool {
        if handed.written().await {
            return true;
        }
        let progress = handed.progress();
        if !self.is_told(|recorder| recorder.failed_by_disk(session, progress))
            && progress.is_mine_to_tell()
        {
            let fault = Fault::of_writing(progress.failure());
            self.tell_fault(session, fault).await;
        }
        false
    }

    /// What cannot be made is told, like any fault of the recording: nobody should have to find out by a missing file.
    async fn tell_lost(&self, effect: &Effect) {
        let Effect::Output {
            opening, output, ..
        } = effect
        else {
            return;
        };
        let (lane, number, kind, fault) = match &**output {
            Output::Slice(slice) => (
                slice.lane,
                slice.sequence,
                Kind::RecordError,
                Fault::TsSegmenterFail,
            ),
            Output::File(file) if file.slices.is_some() => (
                file.lane,
                file.number,
                Kind::RecordError,
                Fault::TsSegmenterFail,
            ),
            Output::File(file) => (
                file.lane,
                file.number,
                Kind::TransformatError,
                Fault::ContentBad,
            ),
        };
        let fault = Some((fault, self.services.clock.now()));
        let dedupe = format!("{}:{}:lost:{lane}:{number}", opening.session, kind.as_str());
        if let Err(Trouble::Passing(why) | Trouble::Doubtful(why) | Trouble::Lost(why)) =
            self.tell_event(kind, dedupe, fault).await
        {
            tracing::error!(stream.key = %self.key, why, "the fault cannot be told");
        }
    }

    async fn run(&mut self, effect: &Effect) -> Result<(), Trouble> {
        match effect {
            Effect::Session {
                opening,
                ended_at,
                stage,
            } => self.put_session(opening, *ended_at, *stage).await,
            Effect::Status(status) => self.tell(status).await,
            Effect::Output {
                opening,
                folder,
                output,
                next,
                handed,
                keep_from,
            } => {
                if self.given_up.contains(&opening.session) {
                    return Ok(());
                }
                let mut output = Output::clone(output);
                let mut cut_short = false;
                if let Some(handed) = handed {
                    cut_short = !self.is_on_disk(&opening.session, handed).await;
                }
                if cut_short {
                    self.ahead.clear();
                    output = derive::shortened(folder.clone(), output).await?;
                }
                match &mut output {
                    Output::Slice(slice) => {
                        let again = handed.is_none();
                        self.slice(opening, folder, slice, again).await?;
                    }
                    Output::File(file) => {
                        if cut_short && file.slices.is_some() {
                            let rows = self.slices_of(opening, file).await?;
                            disk_full::fit_to_slices(file, &rows);
                        }
                        self.wait_for_copy().await?;
                        // A file that a full disk cut short has a range of its own, so no other file is made together with it.
                        let next = next.as_deref().filter(|_| !cut_short);
                        self.file(opening, folder, file, next).await?;
                    }
                }
                drop_segments(folder, *keep_from);
                Ok(())
            }
            Effect::Check { session, handed } => {
                self.is_on_disk(session, handed).await;
                Ok(())
            }
            Effect::Ahead {
                folder,
                grown,
                handed,
            } => {
                self.go_ahead(folder, *grown, handed).await;
                Ok(())
            }
            Effect::Forget { folder } => {
                self.ahead.retain(|ahead| !ahead.is_in(folder));
                // Nothing more comes of this session.
                if let Some(session) = folder.file_name().and_then(|name| name.to_str()) {
                    self.given_up.remove(session);
                    self.told.remove(session);
                }
                self.carry.clear();
                self.carry_of.clear();
                self.along = None;
                if self.kept.remove(folder) {
                    spool::put_aside(folder, "a part of it could not be read");
                    return Ok(());
                }
                match spool_folder::remove_session(folder) {
                    Err(error) if descriptors::are_short(&error) => {
                        return Err(Trouble::Passing(error.to_string()));
                    }
                    Err(error) => {
                        tracing::warn!(folder = %folder.display(), %error, "a spool folder is left alone");
                    }
                    Ok(()) => {}
                }
                descriptors::refill();
                Ok(())
            }
        }
    }

    async fn put_session(
        &self,
        opening: &Opening,
        ended_at: UnixMs,
        stage: Stage,
    ) -> Result<(), Trouble> {
        let sliced = opening.formats.iter().find_map(|f| f.slice_prefix.clone());
        let prefix = sliced
            .or_else(|| opening.formats.first().map(|f| f.object_prefix.clone()))
            .unwrap_or_else(|| DEFAULT_SLICE_PREFIX.to_owned());
        let row = SessionRow {
            id: opening.session.clone(),
            stream_hash: opening.key.hash(),
            domain: opening.key.domain.clone(),
            app: opening.key.app.clone(),
            stream: opening.key.stream.clone(),
            bucket: opening.rule.oss_bucket.clone(),
            endpoint: opening.rule.oss_endpoint.clone(),
            prefix,
            started_at: opening.wall,
            ended_at,
            state: stage.state(),
        };
        self.services.store.put_session(row, &self.fence).await?;
        self.tell_stage(opening, stage);
        Ok(())
    }

    /// Says where a recording stands, and which rule made it.
    fn tell_stage(&self, opening: &Opening, stage: Stage) {
        let rule = &opening.rule;
        if stage == Stage::Started {
            let formats: Vec<&str> = opening.formats.iter().map(|f| f.format.as_str()).collect();
            tracing::info!(
                stream.key = %self.key,
                rule = %format_args!("{}/{}/{}", rule.domain, rule.app, rule.stream),
                formats = %formats.join(","),
                bucket = rule.oss_bucket,
                "the recording begins"
            );
        }
        let told = json!({
            "what": stage.as_str(),
            "session": opening.session,
            "bucket": rule.oss_bucket,
            "formats": opening.formats.iter().map(|f| f.format).collect::<Vec<_>>(),
            "rule": {
                "domain": rule.domain,
                "app": rule.app,
                "stream": rule.stream,
                "on_demand": rule.on_demand,
                "delay_s": rule.delay_s,
            },
        });
        self.services
            .events
            .tell(events::Kind::Record, &self.key, &told);
    }

    async fn tell(&self, status: &Status) -> Result<(), Trouble> {
        // A restart finds in the spool what ended a session, and meets the same again when it makes what was left of that.
        if status.fault.is_some() && self.told.get(&status.session) == status.fault.as_ref() {
            return Ok(());
        }
        let dedupe = format!(
            "{}:{}:{}",
            status.session,
            status.kind.as_str(),
            status.number
        );
        let fault = status.fault.map(|fault| (fault, status.at));
        self.tell_event(status.kind, dedupe, fault).await
    }

    async fn tell_event(
        &self,
        kind: Kind,
        dedupe: String,
        fault: Option<(Fault, UnixMs)>,
    ) -> Result<(), Trouble> {
        let body = event::status(&self.key, kind, fault);
        let services = &self.services;
        let first = dedupe.clone();
        if let Some(callback) = rows::recording(services, &self.key, kind, dedupe, body).await?
            && services
                .store
                .enqueue_callback(&callback, services.clock.now(), &self.fence)
                .await?
        {
            services.notifier.wake(services.clock.busy());
        }
        if let Some((fault, _)) = fault {
            let told = json!({
                "what": "error",
                "session": first.split(':').next(),
                "code": fault.code(),
                "message": fault.message(),
            });
            services.events.tell(events::Kind::Record, &self.key, &told);
        }
        Ok(())
    }

    async fn slice(
        &mut self,
        opening: &Arc<Opening>,
        folder: &Path,
        slice: &Slice,
        again: bool,
    ) -> Result<(), Trouble> {
        let Some(rule) = opening.formats.get(slice.lane) else {
            return Ok(());
        };
        let id = slice_id(&opening.session, slice.lane, slice.sequence);
        // What a restart hands over may be done already. A fresh slice is not looked up: both of its writes may be done twice without harm.
        let committed = again && self.services.store.find_slice(&id).await?.is_some();
        if self.carry_of != opening.session {
            self.carry.clear();
            self.carry_of.clone_from(&opening.session);
        }
        let start = self.carry.get(&slice.lane).copied();
        // It goes on behind a slice of an earlier process, and nobody knows any more where that one's counters stopped.
        let breaks = start.is_none() && slice.sequence > opening.first_sequence;
        let start = start.unwrap_or_default();
        let made = match rule.format {
            Format::Cmaf => derive::cmaf_slice(folder.to_owned(), slice.clone(), start).await,
            _ => derive::ts_slice(folder.to_owned(), slice.clone(), start).await,
        };
        let made = match made {
            // What it was made of has gone since it was committed.
            Err(DeriveError::Spool(ReadError::Missing(_))) if committed => {
                self.carry.remove(&slice.lane);
                return Ok(());
            }
            made => made?,
        };
        let carry = made.carry;
        if committed {
            if !breaks {
                self.carry.insert(slice.lane, carry);
            }
            made.remove();
            return Ok(());
        }
        if made.size > SLICE_LIMIT {
            made.remove();
            return Err(Trouble::Fatal(Fault::TsSegmenterFail));
        }
        let values = Values {
            app: &self.key.app,
            stream: &self.key.stream,
            sequence: slice.sequence,
            start: slice.started_at,
            end: slice.ended_at,
        };
        let template = rule.slice_prefix.as_deref().unwrap_or(DEFAULT_SLICE_PREFIX);
        let (suffix, content_type) = if rule.format == Format::Cmaf {
            (".m4s", "video/iso.segment")
        } else {
            (".ts", "video/mp2t")
        };
        let wanted = object_name::fill(template, values, suffix);
        let object = self
            .put_file(opening, &wanted, content_type, &id, &made)
            .await?;
        self.services.metrics.slice(made.size);
        let row = SliceRow {
            id,
            stream_hash: opening.key.hash(),
            session_id: opening.session.clone(),
            sequence: i64::try_from(slice.sequence).unwrap_or(i64::MAX),
            bucket: opening.rule.oss_bucket.clone(),
            endpoint: opening.rule.oss_endpoint.clone(),
            object,
            started_at: slice.started_at,
            ended_at: slice.ended_at,
            duration_ms: slice.duration_ms,
            uploaded_at: self.services.clock.now().max(slice.ended_at),
            discontinuity: slice.discontinuity || breaks,
            width: made.width,
            height: made.height,
        };
        commit_slice(
            &self.services,
            &self.key,
            row,
            (rule.format, made.size),
            &self.fence,
        )
        .await?;
        // Not before: one that is tried again begins where the slice before it ended, and so has the same bytes.
        self.carry.insert(slice.lane, carry);
        Ok(())
    }

    async fn file(
        &mut self,
        opening: &Arc<Opening>,
        folder: &Path,
        file: &File,
        next: Option<&File>,
    ) -> Result<(), Trouble> {
        let Some(rule) = opening.formats.get(file.lane) else {
            return Ok(());
        };
        let id = format!(
            "{}:{}:{}",
            opening.session,
            rule.format.as_str(),
            file.number
        );
        if self
            .services
            .store
            .find_file_by_dedupe(&id)
            .await?
            .is_some()
        {
            return Ok(());
        }
        let values = Values {
            app: &self.key.app,
            stream: &self.key.stream,
            sequence: file.number,
            start: file.started_at,
            end: file.ended_at,
        };
        let wanted = object_name::fill(&rule.object_prefix, values, rule.format.suffix());
        let (object, size, width, height) = match rule.format {
            Format::M3u8 | Format::Cmaf => {
                self.put_playlist(opening, file, rule.format, &wanted, &id)
                    .await?
            }
            Format::Mp4 | Format::Flv => {
                let made = match self.finish_ahead(folder, file).await {
                    Some(made) => made,
                    None => {
                        let file = (file, rule.format);
                        self.derive_file(opening, folder, file, next).await?
                    }
                };
                let object = self
                    .put_file(opening, &wanted, rule.format.content_type(), &id, &made)
                    .await?;
                (object, made.size, made.width, made.height)
            }
        };
        let now = self.services.clock.now();
        let row = FileRow {
            id: ids::record_id(&id),
            dedupe: id.clone(),
            stream_hash: opening.key.hash(),
            domain: opening.key.domain.clone(),
            app: opening.key.app.clone(),
            stream: opening.key.stream.clone(),
            session_id: opening.session.clone(),
            origin: Origin::Auto,
            format: rule.format,
            bucket: opening.rule.oss_bucket.clone(),
            endpoint: opening.rule.oss_endpoint.clone(),
            object: object.clone(),
            started_at: file.started_at,
            ended_at: file.ended_at,
            duration_ms: file.duration_ms,
            size: i64::try_from(size).unwrap_or(i64::MAX),
            width,
            height,
            created_at: now,
        };
        let body = event::file_created(
            &self.key,
            &object,
            file.duration_ms,
            file.started_at,
            file.ended_at,
            &opening.push_args,
        );
        let callback = rows::recording(
            &self.services,
            &self.key,
            Kind::FileCreated,
            format!("{id}:created"),
            body,
        )
        .await?;
        let told = json!({
            "file_id": row.id,
            "session": row.session_id,
            "format": rule.format,
            "bucket": row.bucket,
            "object": row.object,
            "duration_ms": row.duration_ms,
            "size": row.size,
            "start_time": wire_time::to_api(row.started_at),
            "stop_time": wire_time::to_api(row.ended_at),
        });
        self.services
            .store
            .commit_file(row, callback.as_ref(), now, &self.fence)
            .await?;
        self.services
            .events
            .tell(events::Kind::File, &self.key, &told);
        self.services.metrics.file(rule.format.as_str(), size);
        tracing::info!(stream.key = %self.key, record.file = %object, duration_ms = file.duration_ms, "file recorded");
        if callback.is_some() {
            self.services.notifier.wake(self.services.clock.busy());
        }
        Ok(())
    }
}

/// A slice is in the bucket: its row, and the word of it.
///
/// # Errors
/// The database does not answer, or the stream is another node's.
pub async fn commit_slice(
    services: &Services,
    key: &StreamKey,
    row: SliceRow,
    (format, size): (Format, u64),
    fence: &Fence,
) -> Result<(), StoreError> {
    let told = json!({
        "session": row.session_id,
        "format": format,
        "sequence": row.sequence,
        "bucket": row.bucket,
        "object": row.object,
        "duration_ms": row.duration_ms,
        "size": size,
        "start_time": wire_time::to_api(row.started_at),
        "stop_time": wire_time::to_api(row.ended_at),
    });
    services.store.put_slice(row, fence).await?;
    services.events.tell(events::Kind::Slice, key, &told);
    Ok(())
}

fn slice_id(session: &str, lane: usize, sequence: u64) -> String {
    format!("{session}:{lane}:{sequence}")
}

fn slice_lane(id: &str) -> Option<usize> {
    id.split(':').nth(1)?.parse().ok()
}

/// Removes the segments that nothing needs any more.
fn drop_segments(folder: &Path, keep_from: u32) {
    if keep_from == 0 {
        return;
    }
    match spool_folder::drop_segments(folder, |segment| segment < keep_from) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), %error, "old segments of a spool are left alone");
        }
        _ => {}
    }
}
