//! RealTimeRecordCommand, through its handler.

use super::*;
use crate::live::decide::machine::State;

async fn command(bed: &Testbed, command: &str) -> Result<Value, (String, u16)> {
    bed.call(
        "RealTimeRecordCommand",
        &format!("{STREAM}&Command={command}"),
    )
    .await
}

fn refused(code: &str, status: u16) -> Result<Value, (String, u16)> {
    Err((code.to_owned(), status))
}

fn state(bed: &Testbed) -> State {
    bed.ctx.hub.find_recorder(&key()).unwrap().view().state
}

#[tokio::test]
async fn a_command_needs_a_live_stream_then_a_rule() {
    let bed = Testbed::new().await;
    assert_eq!(
        command(&bed, "start").await,
        refused("InvalidStream.NotFound", 404)
    );
    publish(&bed).await;
    assert_eq!(
        command(&bed, "start").await,
        refused("InvalidConfig.NotFound", 404)
    );
    assert_eq!(
        command(&bed, "stop").await,
        refused("InvalidConfig.NotFound", 404)
    );
    assert_eq!(command(&bed, "dance").await, refused("InvalidCommand", 400));
    for (name, code) in [
        ("AppName", "InvalidAppName"),
        ("StreamName", "InvalidStreamName"),
    ] {
        let query = STREAM
            .replace(&format!("{name}=live"), "AppName=*")
            .replace(&format!("{name}=s1"), "StreamName=s*");
        let query = format!("{query}&Command=start");
        assert_eq!(
            bed.call("RealTimeRecordCommand", &query).await,
            refused(code, 400)
        );
    }
}

#[tokio::test]
async fn a_manual_recording_is_started_once_stopped_and_cancelled() {
    let bed = Testbed::new().await;
    bed.ok("AddLiveAppRecordConfig", &rule("&OnDemand=7")).await;
    publish(&bed).await;
    assert_eq!(state(&bed), State::Idle);
    assert!(
        command(&bed, "stop").await.is_ok(),
        "nothing to stop is no failure"
    );
    assert!(command(&bed, "start").await.is_ok());
    assert_eq!(state(&bed), State::Recording);
    assert_eq!(
        command(&bed, "start").await,
        refused("TaskAlreadyStarted", 409)
    );
    assert!(command(&bed, "restart").await.is_ok());
    assert!(command(&bed, "stop").await.is_ok());
    assert!(matches!(state(&bed), State::Paused(_)));
    assert!(command(&bed, "cancel_delay").await.is_ok());
    assert_eq!(state(&bed), State::Idle);
}

#[tokio::test]
async fn a_lost_stream_can_be_ended_but_not_started() {
    let bed = Testbed::new().await;
    bed.ok("AddLiveAppRecordConfig", &rule("")).await;
    publish(&bed).await;
    let publisher = bed.ctx.hub.find(&key()).unwrap();
    bed.ctx.hub.unpublish(&publisher);
    assert!(matches!(state(&bed), State::Paused(_)));
    assert_eq!(
        command(&bed, "start").await,
        refused("InvalidStream.NotFound", 404)
    );
    assert_eq!(
        command(&bed, "restart").await,
        refused("InvalidStream.NotFound", 404)
    );
    assert!(command(&bed, "cancel_delay").await.is_ok());
    assert_eq!(state(&bed), State::Idle);
    assert_eq!(
        command(&bed, "cancel_delay").await,
        refused("InvalidStream.NotFound", 404)
    );
}

#[tokio::test]
async fn a_rule_added_under_a_live_stream_serves_commands() {
    let bed = Testbed::new().await;
    publish(&bed).await;
    bed.ok("AddLiveAppRecordConfig", &rule("")).await;
    assert_eq!(
        state(&bed),
        State::Idle,
        "a live stream keeps what it was published under"
    );
    assert!(command(&bed, "start").await.is_ok());
    assert_eq!(state(&bed), State::Recording);
}
