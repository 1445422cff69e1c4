//! Players that were let in: what they are sent over a socket of their own, and the sessions of playlists.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use localyun::testing::live::fanout::hls::Told;
use localyun::testing::live::fanout::tape::{Coding, Form};
use localyun::testing::live::hub::Publisher;
use localyun::testing::live::play::sending::{Ears, Sending};
use localyun::testing::live::play::sessions::Known;
use localyun::testing::live::play::{Asked, PlayDoor, Player, Viewer};
use localyun::testing::model::rule::OnDemand;
use localyun::testing::model::stream_key::PushArgs;
use tokio::net::TcpListener;

use crate::support::Bench;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// Bytes that no kernel holds on their way.
const FLOOD: usize = 256 << 20;

/// A live stream, and the door to it.
async fn live(bench: &mut Bench) -> (Arc<Publisher>, Arc<PlayDoor>) {
    bench.rule(OnDemand::Automatic, 15).await;
    let publisher = bench.publish().await;
    let domain = bench.key.domain.clone();
    (publisher, PlayDoor::new(bench.hub.clone(), Some(domain)))
}

async fn let_in(publisher: &Publisher, door: &Arc<PlayDoor>, player: Player) -> Viewer {
    let args = [PushArgs::default()];
    let asked = Asked {
        app: "live",
        stream: "s1",
        uri: "/live/s1",
        host: "",
        args: &args,
        address: ADDRESS,
        referer: None,
        secure: false,
        player,
    };
    let granted = door.grant(&asked).await.unwrap();
    door.enter(&granted, &publisher.fanout, &asked).unwrap()
}

/// Answers everything with as much.
struct Echo;

impl Ears for Echo {
    fn hear(&mut self, said: &[u8]) -> Result<Bytes, String> {
        Ok(Bytes::copy_from_slice(said))
    }

    fn farewell(&mut self) -> Bytes {
        Bytes::new()
    }
}

#[tokio::test]
async fn a_player_that_leaves_answers_unread_is_heard_when_it_has_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    let (publisher, door) = live(&mut bench).await;
    let viewer = let_in(&publisher, &door, Player::Rtmp).await;
    let listener = TcpListener::bind((ADDRESS, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = tokio::task::spawn_blocking(move || {
        let mut peer = std::net::TcpStream::connect(address).unwrap();
        peer.set_write_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut block = vec![7; 1 << 16];
        let mut said = 0;
        while said < FLOOD
            && let Ok(count) = peer.write(&block)
        {
            said += count;
        }
        assert!(said < FLOOD, "it is heard though it reads nothing");
        let mut answered = 0;
        while answered < said {
            let count = peer.read(&mut block).unwrap();
            assert!(count > 0, "{answered} of {said}");
            answered += count;
        }
    });
    let (socket, _) = listener.accept().await.unwrap();
    let reader = publisher.fanout.tape(Form::Flv, Coding::Plain).read();
    let sending = tokio::spawn(Sending::new(socket, viewer, reader, Echo));
    peer.await.unwrap();
    sending.await.unwrap();
    assert_eq!(publisher.fanout.viewers(), 0);
}

#[tokio::test]
async fn requests_for_a_playlist_that_come_at_once_are_one_player() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    let (publisher, door) = live(&mut bench).await;
    let known = Known {
        address: ADDRESS,
        agent: "player".to_owned(),
        url: "play.example.com/live/s1.m3u8?".to_owned(),
        page: None,
    };
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let viewer = let_in(&publisher, &door, Player::Hls).await;
        let slices = (publisher.fanout.hls(), Told::default());
        let session = door
            .sessions
            .begin(known.clone(), slices, viewer, Vec::new());
        sessions.push(session);
    }
    assert_eq!(sessions[0].id, sessions[1].id);
    assert!(door.sessions.find(&sessions[0].id).is_some());
    assert_eq!(publisher.fanout.viewers(), 1);
    // A page of another host is another player.
    let viewer = let_in(&publisher, &door, Player::Hls).await;
    let page = Some("page.example.com".to_owned());
    let slices = (publisher.fanout.hls(), Told::default());
    let other = door
        .sessions
        .begin(Known { page, ..known }, slices, viewer, Vec::new());
    assert!(other.id != sessions[0].id && publisher.fanout.viewers() == 2);
}
