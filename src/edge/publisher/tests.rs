//! Pushes against the server side of our own RTMP, over a real socket.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::media::rtmp::server::{Event, ServerSession};
use crate::media::rtmp::{Limits, Message};

/// What the server does with a publish.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Accept,
    Refuse,
    /// Ends the publish after so many messages.
    EndAfter(usize),
    /// Closes the connection after so many messages.
    VanishAfter(usize),
}

#[derive(Default)]
struct Seen {
    app: String,
    name: String,
    media: Vec<Message>,
    unpublished: bool,
}

async fn server(manner: Manner) -> (String, JoinHandle<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut seen = Seen::default();
        serve(&mut socket, manner, &mut seen).await;
        seen
    });
    (addr, task)
}

async fn serve(socket: &mut TcpStream, manner: Manner, seen: &mut Seen) {
    let mut session = ServerSession::new(Limits::default(), 1);
    let mut input = BytesMut::new();
    loop {
        if socket.read_buf(&mut input).await.unwrap() == 0 {
            return;
        }
        session.feed(&mut input).unwrap();
        while let Some(event) = session.poll() {
            match event {
                Event::Publish { app, name, .. } => {
                    (seen.app, seen.name) = (app, name);
                    if manner == Manner::Refuse {
                        session.refuse_publish("NetStream.Publish.Denied", "no such domain here");
                    } else {
                        session.accept_publish();
                    }
                }
                Event::Media(message) => seen.media.push(message),
                Event::Unpublish => seen.unpublished = true,
                _ => {}
            }
            match manner {
                Manner::EndAfter(count) if seen.media.len() == count => {
                    session.close_publish("NetStream.Unpublish.Success", "forbidden from now on");
                }
                Manner::VanishAfter(count) if seen.media.len() == count => return,
                _ => {}
            }
        }
        let answers = session.take_output();
        if !answers.is_empty() {
            socket.write_all(&answers).await.unwrap();
        }
    }
}

fn plan(rtmp_addr: &str) -> PublishPlan {
    PublishPlan {
        rtmp_addr: rtmp_addr.to_owned(),
        domain: "live.example.com".to_owned(),
        app: "app".to_owned(),
        stream: "one".to_owned(),
        query: Some("auth_key=1-0-0-a".to_owned()),
        clip: Clip::builtin(DEFAULT_CLIP).unwrap(),
        seconds: Some(25.0),
        speed: 0.0,
    }
}

#[tokio::test]
async fn everything_arrives_in_order_and_whole() {
    let (addr, server) = server(Manner::Accept).await;
    let done = publish(plan(&format!("rtmp://{addr}")), CancellationToken::new())
        .await
        .unwrap();
    let seen = server.await.unwrap();
    assert_eq!(seen.app, "app");
    assert_eq!(seen.name, "one?vhost=live.example.com&auth_key=1-0-0-a");
    assert!(seen.unpublished);
    assert_eq!(done.media_ms, 25_000);
    assert_eq!(done.messages, seen.media.len() as u64);
    let payload: usize = seen.media.iter().map(|message| message.payload.len()).sum();
    assert!(done.bytes > payload as u64);
    let expected = Looped::new(Clip::builtin(DEFAULT_CLIP).unwrap(), Some(25_000));
    for (message, tag) in seen.media.iter().zip(expected) {
        assert_eq!(
            (message.kind, u64::from(message.timestamp)),
            (tag.kind, tag.at_ms)
        );
        assert_eq!(message.payload, tag.payload);
    }
}

#[tokio::test]
async fn a_refusal_carries_the_servers_words() {
    let (addr, _server) = server(Manner::Refuse).await;
    let error = publish(plan(&addr), CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server refused the push: no such domain here (NetStream.Publish.Denied)"
    );
}

#[tokio::test]
async fn the_servers_end_is_told_apart_from_a_broken_connection() {
    let (addr, _first) = server(Manner::EndAfter(20)).await;
    let paced = PublishPlan {
        speed: 20.0,
        ..plan(&addr)
    };
    let error = publish(paced, CancellationToken::new()).await.unwrap_err();
    assert!(
        matches!(&error, PublishError::Ended { description, .. } if description == "forbidden from now on"),
        "{error}"
    );
    let (addr, _second) = server(Manner::VanishAfter(20)).await;
    let paced = PublishPlan {
        speed: 20.0,
        ..plan(&addr)
    };
    let error = publish(paced, CancellationToken::new()).await.unwrap_err();
    assert!(
        matches!(error, PublishError::Disconnected | PublishError::Broken(_)),
        "{error}"
    );
}

#[tokio::test]
async fn speed_paces_by_machine_time() {
    let (addr, server) = server(Manner::Accept).await;
    let paced = PublishPlan {
        seconds: Some(2.0),
        speed: 10.0,
        ..plan(&addr)
    };
    let started = clock::monotonic();
    publish(paced, CancellationToken::new()).await.unwrap();
    // The last picture is due 1.96 s into the media.
    assert!(started.elapsed() >= Duration::from_millis(190));
    assert!(server.await.unwrap().media.len() > 100);
}

#[tokio::test]
async fn cancelling_ends_in_order() {
    let (addr, server) = server(Manner::Accept).await;
    let endless = PublishPlan {
        seconds: None,
        speed: 1.0,
        ..plan(&addr)
    };
    let cancel = CancellationToken::new();
    let open = open(endless).await.unwrap();
    let push = tokio::spawn(open.run(cancel.clone()));
    cancel.cancel();
    let done = push.await.unwrap().unwrap();
    let seen = server.await.unwrap();
    assert!(seen.unpublished);
    assert_eq!(done.messages, seen.media.len() as u64);
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = publish(plan(&addr), CancellationToken::new())
        .await
        .unwrap_err();
    assert!(matches!(error, PublishError::Connect { .. }), "{error}");
    assert!(error.to_string().contains(&addr));
}

#[test]
fn plans_that_cannot_work_are_refused() {
    let problem = |change: fn(&mut PublishPlan)| {
        let mut plan = plan("127.0.0.1:1");
        change(&mut plan);
        check(&plan).err().map(|error| error.to_string())
    };
    assert_eq!(problem(|_| {}), None);
    for change in [
        (|plan| plan.domain = String::new()) as fn(&mut PublishPlan),
        |plan| plan.domain = "a?b".to_owned(),
        |plan| plan.app = String::new(),
        |plan| plan.stream = "a b".to_owned(),
        |plan| plan.query = Some("?a=b".to_owned()),
        |plan| plan.seconds = Some(0.0),
        |plan| plan.seconds = Some(f64::NAN),
        |plan| plan.seconds = Some(MAX_SECONDS + 1.0),
        |plan| plan.speed = -1.0,
        |plan| plan.speed = f64::INFINITY,
    ] {
        assert!(problem(change).is_some());
    }
    assert_eq!(problem(|plan| plan.seconds = Some(MAX_SECONDS)), None);
    assert_eq!(problem(|plan| plan.speed = MAX_SPEED), None);
}
