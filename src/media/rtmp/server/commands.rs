//! What the server does about each command (RTMP 1.0 clause 7.2, and the FC* calls that every encoder makes).

use super::{Event, Publish, ServerSession};
use crate::amf0::Value;
use crate::rtmp::RtmpError;
use crate::rtmp::command::{self, Command};
use crate::rtmp::message::{self, id};

/// Our window and the bandwidth that we ask of the peer: large, since a publisher has to wait for nothing.
const WINDOW: u32 = 5_000_000;

/// Limit type "dynamic" of Set Peer Bandwidth.
const DYNAMIC: u8 = 2;

/// Chunk size of our answers.
const CHUNK_SIZE: u32 = 4096;

/// Message streams that can be played: what is made for players is made once for each of these.
const STREAMS_TO_PLAY: std::ops::RangeInclusive<u32> = 1..=8;

/// The name of a stream as its encoder repeats it: without the query, and without the application before it.
pub(super) fn bare_name(name: &str) -> &str {
    let (path, _) = name.split_once('?').unwrap_or((name, ""));
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

impl ServerSession {
    pub(super) fn command(&mut self, stream_id: u32, command: Command) -> Result<(), RtmpError> {
        if command.name == "connect" {
            return self.connect(command);
        }
        let Some(app) = self.app.clone() else {
            return Err(RtmpError::Command {
                command: "connect",
                problem: "must come first",
            });
        };
        match command.name.as_str() {
            "createStream" => {
                let id = self.next_stream_id;
                self.next_stream_id = id.wrapping_add(1).max(1);
                self.result(&command, &[Value::Null, f64::from(id).into()]);
            }
            "FCPublish" => {
                self.wants_fc_publish = true;
                self.result(&command, &[Value::Null]);
            }
            "releaseStream" | "_checkbw" => self.result(&command, &[Value::Null]),
            "getStreamLength" => self.result(&command, &[Value::Null, 0.0.into()]),
            "publish" => self.publish(app, stream_id, &command),
            "play" | "play2" => self.play(app, stream_id, &command),
            "FCUnpublish" if self.is_of_a_refused_one(&command) => {}
            "FCUnpublish" => self.unpublish(),
            "closeStream" => self.end_stream(stream_id),
            "deleteStream" => match command.argument(0).and_then(Value::as_number) {
                Some(id) => self.end_stream_number(id),
                None => self.unpublish(),
            },
            // Results of our own calls, and calls that do not matter to a publisher.
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, command: Command) -> Result<(), RtmpError> {
        if self.app.is_some() {
            return Err(RtmpError::Command {
                command: "connect",
                problem: "comes a second time",
            });
        }
        let text = |name: &str| command.object.get(name).and_then(Value::as_str);
        let app = text("app").unwrap_or_default().to_owned();
        let tc_url = text("tcUrl").unwrap_or_default().to_owned();
        if !self.is_name(&app) || !self.is_name(&tc_url) {
            let rejected = command::status(
                "error",
                "NetConnection.Connect.Rejected",
                "app or tcUrl is too long, not UTF-8 or holds control characters",
            );
            self.call("_error", command.transaction, &[Value::Null, rejected]);
            return Ok(());
        }
        self.answer_connect(&command);
        self.app = Some(app.clone());
        self.tc_url = tc_url.clone();
        self.events.push_back(Event::Connect {
            app,
            tc_url,
            enhanced: command.object.get("fourCcList").is_some()
                || command.object.get("videoFourCcInfoMap").is_some(),
            object: command.object,
        });
        Ok(())
    }

    fn answer_connect(&mut self, command: &Command) {
        let control = |session: &mut Self, type_id: u8, payload: &[u8]| {
            message::write_control(&session.writer, type_id, payload, &mut session.output);
        };
        control(self, id::WINDOW_ACK_SIZE, &WINDOW.to_be_bytes());
        let [b3, b2, b1, b0] = WINDOW.to_be_bytes();
        control(self, id::SET_PEER_BANDWIDTH, &[b3, b2, b1, b0, DYNAMIC]);
        control(self, id::SET_CHUNK_SIZE, &CHUNK_SIZE.to_be_bytes());
        self.writer
            .set_chunk_size(usize::try_from(CHUNK_SIZE).unwrap_or(128));
        let server = Value::Object(vec![
            ("fmsVer".into(), "FMS/3,0,1,123".into()),
            ("capabilities".into(), 31.0.into()),
        ]);
        let mut information = command::status(
            "status",
            "NetConnection.Connect.Success",
            "Connection succeeded.",
        );
        if let Value::Object(properties) = &mut information {
            // AMF0, whatever the client would like.
            properties.push(("objectEncoding".into(), 0.0.into()));
            if command.object.get("fourCcList").is_some() {
                let recorded = Value::StrictArray(vec!["hvc1".into()]);
                properties.push(("fourCcList".into(), recorded));
            }
        }
        self.call("_result", command.transaction, &[server, information]);
    }

    fn publish(&mut self, app: String, stream_id: u32, command: &Command) {
        let text = |index: usize| command.argument(index).and_then(Value::as_str);
        let name = text(0).unwrap_or_default();
        if !matches!(self.publish, Publish::None) || self.playing.is_some() {
            self.refuse_name(name);
            self.send_error(stream_id, "This connection publishes or plays already.");
            return;
        }
        if name.is_empty() || !self.is_name(name) {
            self.send_error(
                stream_id,
                "The stream name is empty, too long, not UTF-8 or holds control characters.",
            );
            return;
        }
        let kind = text(1).unwrap_or("live");
        self.asked_stream = stream_id;
        self.publish = Publish::Asked {
            stream_id,
            name: name.to_owned(),
        };
        self.events.push_back(Event::Publish {
            app,
            tc_url: self.tc_url.clone(),
            name: name.to_owned(),
            kind: kind.chars().take(16).collect(),
        });
    }

    fn play(&mut self, app: String, stream_id: u32, command: &Command) {
        let name = command.argument(0).and_then(Value::as_str);
        let name = name.unwrap_or_default();
        let is_busy = !matches!(self.publish, Publish::None) || self.playing.is_some();
        if is_busy || !self.is_name(name) || !STREAMS_TO_PLAY.contains(&stream_id) {
            let refused = command::status("error", "NetStream.Play.Failed", "Not playable.");
            self.send_status(stream_id, refused);
            return;
        }
        self.asked_stream = stream_id;
        self.events.push_back(Event::Play {
            app,
            tc_url: self.tc_url.clone(),
            name: name.to_owned(),
            stream_id,
        });
    }

    pub(super) fn answer_publish(&mut self, stream_id: u32, name: &str) {
        let code = "NetStream.Publish.Start";
        if self.wants_fc_publish {
            let status = command::status("status", code, name);
            self.call("onFCPublish", 0.0, &[Value::Null, status]);
        }
        message::write_stream_begin(&self.writer, stream_id, &mut self.output);
        let status = command::status("status", code, "Publishing has begun.");
        self.send_status(stream_id, status);
    }

    /// closeStream on the stream of the publish, or on any where the client numbers streams its own way.
    fn end_stream(&mut self, stream_id: u32) {
        if self
            .playing
            .is_some_and(|playing| stream_id == 0 || stream_id == playing)
        {
            return self.stop_play();
        }
        if stream_id == 0 || self.publish_stream() == Some(stream_id) {
            self.unpublish();
        }
    }

    fn end_stream_number(&mut self, number: f64) {
        if self
            .playing
            .is_some_and(|playing| f64::from(playing) == number)
        {
            return self.stop_play();
        }
        if self
            .publish_stream()
            .is_some_and(|stream_id| f64::from(stream_id) == number)
        {
            self.unpublish();
        }
    }

    fn stop_play(&mut self) {
        self.playing = None;
        self.events.push_back(Event::StopPlay);
    }

    pub(super) fn publish_stream(&self) -> Option<u32> {
        match self.publish {
            Publish::None => None,
            Publish::Asked { stream_id, .. } | Publish::Accepted { stream_id, .. } => {
                Some(stream_id)
            }
        }
    }

    /// Whether a command names a stream whose publish was refused here, and that is another one than the accepted one.
    fn is_of_a_refused_one(&self, command: &Command) -> bool {
        let named = command.argument(0).and_then(Value::as_str);
        let named = named.map(bare_name).unwrap_or_default();
        match &self.publish {
            Publish::Accepted { name, .. } if !named.is_empty() && named != name => {
                self.refused_names.iter().any(|refused| refused == named)
            }
            _ => false,
        }
    }

    fn unpublish(&mut self) {
        if !matches!(self.publish, Publish::None) {
            self.publish = Publish::None;
            self.events.push_back(Event::Unpublish);
        }
    }

    /// A name may be anything readable within the bound; what it means is the caller's matter. Bytes that are no UTF-8 were read as U+FFFD, and
    /// two streams of such names would be one; in the query behind a name they do no harm.
    fn is_name(&self, name: &str) -> bool {
        let (path, _) = name.split_once('?').unwrap_or((name, ""));
        name.len() <= self.limits.name_bytes
            && !name.chars().any(char::is_control)
            && !path.contains(char::REPLACEMENT_CHARACTER)
    }

    /// Refuses a publish that nobody is asked about.
    fn send_error(&mut self, stream_id: u32, description: &str) {
        self.refuse_stream(stream_id);
        let status = command::status("error", "NetStream.Publish.BadName", description);
        self.send_status(stream_id, status);
    }

    /// Answers a call that wants an answer.
    fn result(&mut self, command: &Command, values: &[Value]) {
        if command.transaction != 0.0 {
            self.call("_result", command.transaction, values);
        }
    }

    fn call(&mut self, name: &str, transaction: f64, values: &[Value]) {
        command::write(&self.writer, 0, name, transaction, values, &mut self.output);
    }
}
