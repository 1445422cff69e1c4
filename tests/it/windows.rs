//! Windows of rules: what they begin and end, whoever is there, and which of several rules has the stream then.

use std::path::Path;

use localyun::testing::live::decide::machine::{Cause, State};
use localyun::testing::model::rule::{OnDemand, Rule};

use crate::publishers::check_recorded;
use crate::recovery::after_a_kill;
use crate::support::Bench;

/// A service whose clock moves by advances alone.
async fn still(folder: &Path) -> Bench {
    let bench = Bench::open(folder).await;
    bench.services.clock.stop().await;
    bench
}

/// A rule for a stream, or for all, whose DelayTime is longer than what is waited for here.
fn rule_for(bench: &Bench, stream: &str, on_demand: OnDemand) -> Rule {
    Rule {
        stream: stream.to_owned(),
        ..bench.made_rule(on_demand, 180, [3600; 4])
    }
}

/// Adds a rule whose window begins and ends so many seconds from now.
async fn add(bench: &Bench, rule: Rule, begins_s: Option<i64>, ends_s: Option<i64>) {
    let now = bench.services.clock.now();
    let at = |after_s: i64| now + after_s * 1000;
    let windowed = Rule {
        start_time: begins_s.map(at),
        end_time: ends_s.map(at),
        ..rule
    };
    bench.add_rule(windowed).await;
}

fn state(bench: &Bench) -> State {
    let recorder = bench.hub.find_recorder(&bench.key).unwrap();
    recorder.view().state
}

/// The streams of the rule by which it is recorded now.
fn recorded_by(bench: &Bench) -> Option<String> {
    let recorder = bench.hub.find_recorder(&bench.key).unwrap();
    let view = recorder.view();
    let rule = view.rule.filter(|_| view.state == State::Recording);
    rule.map(|rule| rule.stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_whose_publisher_is_away_ends_with_its_window() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = still(folder.path()).await;
    let rule = rule_for(&bench, "*", OnDemand::Automatic);
    add(&bench, rule, None, Some(20)).await;
    let publisher = bench.publish().await;
    let pushed = bench.push(&publisher, 5);
    bench.hub.unpublish(&publisher);
    bench.advance(19).await;
    assert_eq!(state(&bench), State::Paused(Cause::Lost));
    bench.advance(1).await;
    assert_eq!(state(&bench), State::Idle, "DelayTime is not waited for");
    // It comes back within DelayTime, and its rule's window is over.
    let publisher = bench.publish().await;
    bench.push(&publisher, 5);
    assert_eq!(state(&bench), State::Idle);
    bench.hub.unpublish(&publisher);
    bench.advance(200).await;
    check_recorded(&bench, folder.path(), pushed);
    let told = bench.statuses().await;
    assert_eq!(told, ["record_started", "record_paused"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_went_on_after_a_loss_ends_with_its_window() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = still(folder.path()).await;
    let rule = rule_for(&bench, "*", OnDemand::Automatic);
    add(&bench, rule, None, Some(20)).await;
    let publisher = bench.publish().await;
    let before = bench.push(&publisher, 5);
    bench.hub.unpublish(&publisher);
    bench.advance(5).await;
    let publisher = bench.publish().await;
    let after = bench.push(&publisher, 5);
    assert_eq!(state(&bench), State::Recording);
    // The stream stands still when the window ends.
    bench.advance(15).await;
    assert_eq!(state(&bench), State::Idle);
    bench.push(&publisher, 2);
    bench.hub.unpublish(&publisher);
    bench.advance(200).await;
    check_recorded(&bench, folder.path(), before.chain(after));
    let (_, _, files) = bench.services.store.export_records().await.unwrap();
    assert_eq!(files.len(), 4, "one of each format");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_a_restart_finds_ends_with_its_window() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    let rule = rule_for(&bench, "*", OnDemand::Automatic);
    add(&bench, rule, None, Some(60)).await;
    let publisher = bench.publish().await;
    let pushed = bench.push(&publisher, 5);
    publisher.recorder.flush();
    bench.advance(0).await;
    std::mem::forget(publisher);
    let (copy, bench) = after_a_kill(folder.path()).await;
    assert_eq!(state(&bench), State::Paused(Cause::Lost));
    bench.advance(60).await;
    assert_eq!(state(&bench), State::Idle, "DelayTime is not waited for");
    bench.advance(0).await;
    check_recorded(&bench, copy.path(), pushed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_window_of_a_less_specific_rule_takes_nothing_over() {
    for mode in [OnDemand::Manual, OnDemand::IngestParameter] {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = still(folder.path()).await;
        let rule = rule_for(&bench, "s1", mode);
        add(&bench, rule, None, None).await;
        let rule = rule_for(&bench, "*", OnDemand::Automatic);
        add(&bench, rule, Some(30), None).await;
        let publisher = bench.publish().await;
        bench.push(&publisher, 2);
        bench.advance(40).await;
        bench.push(&publisher, 2);
        assert_eq!(state(&bench), State::Idle, "{mode:?}");
        bench.hub.unpublish(&publisher);
        bench.advance(200).await;
        let (sessions, _, _) = bench.services.store.export_records().await.unwrap();
        assert!(sessions.is_empty(), "{mode:?}");
    }
}

/// A window is waited for while another rule records, and the end of that one's does not take it away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_opens_after_the_end_of_another_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = still(folder.path()).await;
    let rule = rule_for(&bench, "*", OnDemand::Automatic);
    add(&bench, rule, None, Some(60)).await;
    let rule = rule_for(&bench, "s1", OnDemand::Automatic);
    add(&bench, rule, Some(120), None).await;
    let publisher = bench.publish().await;
    let first = bench.push(&publisher, 2);
    assert_eq!(recorded_by(&bench).as_deref(), Some("*"));
    bench.advance(119).await;
    assert_eq!(recorded_by(&bench), None);
    bench.advance(1).await;
    assert_eq!(recorded_by(&bench).as_deref(), Some("s1"));
    let second = bench.push(&publisher, 2);
    bench.hub.unpublish(&publisher);
    bench.advance(200).await;
    check_recorded(&bench, folder.path(), first.chain(second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_windows_ahead_each_has_its_time() {
    for [earlier, later] in [["*", "s1"], ["s1", "*"]] {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = still(folder.path()).await;
        let rule = rule_for(&bench, later, OnDemand::Automatic);
        add(&bench, rule, Some(90), None).await;
        let rule = rule_for(&bench, earlier, OnDemand::Automatic);
        add(&bench, rule, Some(30), Some(60)).await;
        let publisher = bench.publish().await;
        for (after_s, recorded) in [
            (29, None),
            (1, Some(earlier)),
            (30, None),
            (29, None),
            (1, Some(later)),
        ] {
            bench.advance(after_s).await;
            assert_eq!(recorded_by(&bench).as_deref(), recorded, "{earlier}");
        }
        bench.hub.unpublish(&publisher);
    }
}
