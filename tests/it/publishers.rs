//! Publishers of one stream, one after the other: what is told or answered late belongs to the one that it is about.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use localyun::testing::clock::machine_sleep;
use localyun::testing::live::decide::machine::{Cause, Input, State};
use localyun::testing::model::notify::RecordNotify;
use localyun::testing::model::rule::{OnDemand, Rule};
use localyun::testing::model::stream_key::PushArgs;
use localyun::testing::store::documents::Kind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Bench, RATE};

/// Beginning and end of a push are told by two tasks, each after it has let go of the register.
#[tokio::test]
async fn the_ends_of_pushes_may_be_told_late_or_early() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Automatic, 15).await;
    let recorder = bench.hub.recorder(&bench.key).await.unwrap();
    let published = |id| recorder.published(id, PushArgs::default(), &bench.key.domain);
    let state = || recorder.view().state;
    published(1);
    published(2);
    recorder.lost(1);
    assert_eq!(state(), State::Recording, "the second one is there");
    recorder.lost(2);
    assert_eq!(state(), State::Paused(Cause::Lost));
    recorder.lost(4);
    published(3);
    published(4);
    assert_eq!(state(), State::Paused(Cause::Lost), "they are gone");
    published(5);
    assert_eq!(state(), State::Recording);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_before_the_first_frame_begins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Automatic, 15).await;
    let publisher = bench.publish().await;
    publisher.recorder.command(Input::Restart, None).unwrap();
    bench.push(&publisher, 2);
    bench.hub.unpublish(&publisher);
    bench.advance(60).await;
    let (sessions, _, _) = bench.services.store.export_records().await.unwrap();
    let session = &sessions[0].id;
    let mut rows = bench.services.store.recent_callbacks(100).await.unwrap();
    rows.retain(|row| row.kind.as_str().starts_with("record_"));
    rows.reverse();
    let told: Vec<String> = rows.into_iter().map(|row| row.dedupe).collect();
    assert_eq!(
        told,
        [
            format!("{session}:record_started:0"),
            format!("{session}:record_paused:1")
        ]
    );
}

/// A receiver of on-demand questions that answers when it is told to.
struct Receiver(TcpListener);

struct Question(TcpStream);

/// What does not come in this time does not come at all.
const PATIENCE: Duration = Duration::from_secs(10);

impl Receiver {
    async fn open(bench: &Bench) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let notify = RecordNotify {
            on_demand_url: Some(format!("http://{}/", listener.local_addr().unwrap())),
            // Nobody listens there.
            notify_url: Some("http://127.0.0.1:9/".to_owned()),
            need_status_notify: true,
            ..RecordNotify::default()
        };
        let store = &bench.services.store;
        store
            .put_document(Kind::RecordNotify, &bench.key.domain, &notify)
            .await
            .unwrap();
        Self(listener)
    }

    /// The next question, when it is here as a whole: a connection that has none yet may carry another one than it was made for.
    async fn asked(&self) -> Question {
        let come = async {
            let mut question = self.0.accept().await.unwrap().0;
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(question.read_u8().await.unwrap());
            }
            Question(question)
        };
        tokio::select! {
            question = come => question,
            () = machine_sleep(PATIENCE) => panic!("no question came"),
        }
    }
}

impl Question {
    /// Answers, and waits until whoever asked has gone. It need not be there any more.
    async fn answer(mut self, wanted: bool) {
        let body = format!("{{\"NeedRecord\": {wanted}}}");
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length:";
        let answer = format!("{head} {}\r\n\r\n{body}", body.len());
        let _ = self.0.write_all(answer.as_bytes()).await;
        let _ = self.0.shutdown().await;
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest).await;
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let step = Duration::from_millis(10);
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        if is_so() {
            return;
        }
        machine_sleep(step).await;
    }
    panic!("it never came about");
}

/// The frames are in the files of each format, each once, and no others are.
pub fn check_recorded(bench: &Bench, folder: &Path, frames: impl Iterator<Item = u64>) {
    let expected: BTreeMap<u64, u32> = frames.map(|frame| (frame, 1)).collect();
    for below in ["Mp4", "Flv", "M3u8-slices", "Cmaf-slices"] {
        assert_eq!(bench.found(folder, below), expected, "{below}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_decides_its_own_question_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::HttpCallback, 15).await;
    let receiver = Receiver::open(&bench).await;
    let first = bench.publish().await;
    let by_command = bench.push(&first, 2);
    let early = receiver.asked().await;
    // Nobody waits for the answer any more: a command decides, and another one ends what it began.
    first.recorder.command(Input::Start, None).unwrap();
    first.recorder.command(Input::CancelDelay, None).unwrap();
    bench.hub.unpublish(&first);
    let second = bench.publish().await;
    let by_answer = bench.push(&second, 2);
    let asked = receiver.asked().await;
    early.answer(false).await;
    asked.answer(true).await;
    until(|| second.recorder.view().state == State::Recording).await;
    bench.hub.unpublish(&second);
    bench.advance(60).await;
    check_recorded(&bench, folder.path(), by_command.chain(by_answer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_comes_back_before_the_answer_is_asked_about_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::HttpCallback, 15).await;
    let receiver = Receiver::open(&bench).await;
    let first = bench.publish().await;
    bench.push(&first, 2);
    let early = receiver.asked().await;
    bench.hub.unpublish(&first);
    let second = bench.publish().await;
    let pushed = bench.push(&second, 2);
    let asked = receiver.asked().await;
    early.answer(false).await;
    asked.answer(true).await;
    until(|| second.recorder.view().state == State::Recording).await;
    bench.hub.unpublish(&second);
    bench.advance(60).await;
    check_recorded(&bench, folder.path(), pushed);
}

/// A codec that is not recorded shows itself while the question is out: nothing more is kept then, and the answer decides whether it is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_waits_for_the_answer() {
    for wanted in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Bench::open(folder.path()).await;
        bench.rule(OnDemand::HttpCallback, 15).await;
        let receiver = Receiver::open(&bench).await;
        let publisher = bench.publish().await;
        let recorder = publisher.recorder.clone();
        bench.push(&publisher, 2);
        let question = receiver.asked().await;
        recorder.unsupported();
        bench.push(&publisher, 10);
        assert_eq!(recorder.view().state, State::Asking);
        question.answer(wanted).await;
        until(|| recorder.view().state == State::Idle).await;
        bench.hub.unpublish(&publisher);
        bench.advance(60).await;
        check_recorded(&bench, folder.path(), std::iter::empty());
        let told = bench.statuses().await;
        let errors = told.iter().filter(|kind| **kind == "record_error");
        assert_eq!(errors.count(), usize::from(wanted), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_without_a_key_frame_wait_for_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::HttpCallback, 15).await;
    let receiver = Receiver::open(&bench).await;
    let publisher = bench.publish().await;
    let question = receiver.asked().await;
    for _ in 0..16 * RATE {
        bench.push_picture(&publisher, false, 0);
    }
    let recorder = publisher.recorder.clone();
    assert_eq!(recorder.view().state, State::Asking);
    question.answer(true).await;
    until(|| recorder.view().state == State::Recording).await;
    bench.push_picture(&publisher, false, 0);
    assert_eq!(recorder.view().state, State::Idle);
    bench.hub.unpublish(&publisher);
    bench.advance(60).await;
    check_recorded(&bench, folder.path(), std::iter::empty());
    assert_eq!(bench.statuses().await, ["record_error"]);
}

/// The push runs ahead of the clock, over the end of the window.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_window_waits_for_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.services.clock.stop().await;
    let ten_seconds = Rule {
        end_time: Some(bench.services.clock.now() + 10_000),
        ..bench.made_rule(OnDemand::HttpCallback, 15, [3600; 4])
    };
    bench.add_rule(ten_seconds).await;
    let receiver = Receiver::open(&bench).await;
    let publisher = bench.publish().await;
    let pushed = bench.push(&publisher, 15);
    let question = receiver.asked().await;
    let recorder = publisher.recorder.clone();
    assert_eq!(recorder.view().state, State::Asking);
    question.answer(true).await;
    until(|| recorder.view().state == State::Recording).await;
    bench.advance(10).await;
    assert_eq!(recorder.view().state, State::Idle);
    bench.hub.unpublish(&publisher);
    bench.advance(60).await;
    let within = pushed.start..pushed.start + 10 * RATE;
    check_recorded(&bench, folder.path(), within);
}

/// The answer comes three seconds after the end of the push: DelayTime and the gap before the next push count from that end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_ends_before_the_answer_is_lost_since_its_end() {
    for comes_back in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Bench::open(folder.path()).await;
        bench.services.clock.stop().await;
        bench.rule(OnDemand::HttpCallback, 15).await;
        let receiver = Receiver::open(&bench).await;
        let publisher = bench.publish().await;
        bench.push(&publisher, 2);
        let question = receiver.asked().await;
        bench.hub.unpublish(&publisher);
        bench.advance(3).await;
        question.answer(true).await;
        let recorder = publisher.recorder.clone();
        until(|| recorder.view().state == State::Paused(Cause::Lost)).await;
        if comes_back {
            bench.advance(7).await;
            let publisher = bench.publish().await;
            bench.push(&publisher, 2);
            bench.hub.unpublish(&publisher);
            bench.advance(60).await;
            let (_, _, files) = bench.services.store.export_records().await.unwrap();
            let flv: Vec<_> = files
                .iter()
                .filter(|f| f.format.as_str() == "flv")
                .map(|f| (f.duration_ms, f.ended_at - f.started_at))
                .collect();
            assert_eq!(flv, [(4_000, 14_000)], "4 s of media and a gap of 10");
        } else {
            bench.advance(11).await;
            assert_eq!(recorder.view().state, State::Paused(Cause::Lost));
            bench.advance(1).await;
            assert_eq!(recorder.view().state, State::Idle);
        }
    }
}

/// While one rule asks, the window of a more specific one opens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_opened_meanwhile_counts_after_a_no() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.services.clock.stop().await;
    bench.rule(OnDemand::HttpCallback, 15).await;
    let windowed = Rule {
        stream: bench.key.stream.clone(),
        start_time: Some(bench.services.clock.now() + 2_000),
        ..bench.made_rule(OnDemand::Automatic, 15, [3600; 4])
    };
    bench.add_rule(windowed).await;
    let receiver = Receiver::open(&bench).await;
    let publisher = bench.publish().await;
    bench.push(&publisher, 1);
    let question = receiver.asked().await;
    bench.advance(2).await;
    let recorder = publisher.recorder.clone();
    assert_eq!(recorder.view().state, State::Asking);
    question.answer(false).await;
    until(|| recorder.view().state == State::Recording).await;
    let pushed = bench.push(&publisher, 2);
    bench.hub.unpublish(&publisher);
    bench.advance(60).await;
    check_recorded(&bench, folder.path(), pushed);
}
