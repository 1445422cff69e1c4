//! Doors for `tests/it`, the fuzz targets and the bench's helpers, and for nobody else: this is no interface, and changes as they need.
//!
//! The crate shows `cli` alone, so that the compiler names whatever nothing uses any more. What a test drives from outside the crate is
//! listed here one by one, under the path that it has inside.

pub mod actions {
    /// The names of those that are implemented, the retired ones among them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        crate::actions::all().map(|action| action.name)
    }
}

pub mod clock {
    pub use crate::clock::{Clock, machine_now, machine_sleep, monotonic};
}

pub mod compare {
    pub use crate::compare::script::{Expect, GIVEN, Script, What};
    pub use crate::compare::{alike, answer, diff, junit, mask, outcome};
}

pub mod app {
    pub use crate::app::App;
}

pub mod config {
    pub use crate::config::{AccessKey, Raw, load};

    pub mod keys {
        pub use crate::config::keys::KEYS;
    }
}

pub mod control {
    pub use crate::control::{ROUTES, table_of_document};
}

pub mod disk {
    pub mod writers {
        pub use crate::disk::writers::Disk;
    }
}

pub mod error {
    pub use crate::error::ApiError;
}

pub mod events {
    pub use crate::events::Events;
}

pub mod faults {
    pub use crate::faults::{Fault, Faults};
}

pub mod identity {
    pub use crate::identity::KeyRing;
}

pub mod live {
    pub mod decide {
        pub mod machine {
            pub use crate::live::decide::machine::{Cause, Input, State};
        }

        pub mod pictures {
            pub use crate::live::decide::pictures::Pictures;
        }

        pub mod segmenter {
            pub use crate::live::decide::segmenter::Segmenter;
        }

        pub mod timeline {
            pub use crate::live::decide::timeline::Timeline;
        }
    }

    pub mod fanout {
        pub use crate::live::fanout::outgoing::Outgoing;

        pub mod hls {
            pub use crate::live::fanout::hls::Told;
        }

        pub mod tape {
            pub use crate::live::fanout::tape::{Coding, Form};
        }
    }

    pub mod hub {
        pub use crate::live::hub::{Arriving, Entrance, Hub, PublishError, Publisher};
    }

    pub mod play {
        pub use crate::live::play::{Asked, PlayDoor, Player, Viewer};

        pub mod sending {
            pub use crate::live::play::sending::{Ears, Sending};
        }

        pub mod sessions {
            pub use crate::live::play::sessions::Known;
        }
    }

    pub mod recovery {
        pub use crate::live::recovery::{run, survey};
    }

    pub mod worker {
        pub use crate::live::worker::commit_slice;
    }

    pub mod spool {
        pub use crate::live::spool::{Position, record, segment_name};

        pub mod read {
            pub use crate::live::spool::read::SpoolReader;
        }

        pub mod write {
            pub use crate::live::spool::write::SpoolWriter;
        }
    }
}

pub mod media {
    pub use crate::media::{cmaf, hls, mp4};

    pub mod access_unit {
        pub use crate::media::access_unit::{AccessUnits, Arrived};
    }

    pub mod amf0 {
        pub use crate::media::amf0::{MAX_VALUES, Value, decode_all, decode_all_lossy, encode};
    }

    pub mod codec {
        pub use crate::media::codec::{aac, h264, h265, mp3, mpeg4};

        pub mod unit {
            pub use crate::media::codec::unit::{Kind, kind, units};
        }
    }

    pub mod flv {
        pub use crate::media::flv::{TagKind, stream, write};

        pub mod file {
            pub use crate::media::flv::file::{FlvFile, Tag};
        }

        pub mod read {
            pub use crate::media::flv::read::{Item, TagReader};
        }
    }

    pub mod frame {
        pub use crate::media::frame::{
            AudioCodec, AudioConfig, Frame, SampleInfo, Track, VideoCodec, VideoConfig,
        };
    }

    pub mod mpegts {
        pub use crate::media::mpegts::{Continuity, PACKET, TsMuxer};

        pub mod units {
            pub use crate::media::mpegts::units::{Demuxed, TsUnits};
        }
    }

    pub mod rtmp {
        pub use crate::media::rtmp::{Limits, Message, RtmpError};

        pub mod client {
            pub use crate::media::rtmp::client::{ClientSession, Event, State};
        }

        pub mod server {
            pub use crate::media::rtmp::server::{Event, Fed, MediaWriter, ServerSession};
        }
    }

    pub mod segments {
        pub use crate::media::segments::Segments;
    }
}

pub mod meter {
    pub use crate::meter::Meter;
}

pub mod metrics {
    pub use crate::metrics::Metrics;
}

pub mod model {
    pub mod event {
        pub use crate::model::event::{Delivery, Kind};
    }

    pub mod notify {
        pub use crate::model::notify::RecordNotify;
    }

    pub mod recorded {
        pub use crate::model::recorded::SessionState;
    }

    pub mod rule {
        pub use crate::model::rule::{Format, FormatRule, OnDemand, Rule};
    }

    pub mod stream_key {
        pub use crate::model::stream_key::{PushArgs, StreamKey, check_name};
    }
}

pub mod notifier {
    pub use crate::notifier::Notifier;
}

pub mod notify {
    pub mod outbox {
        pub use crate::notify::outbox::run;
    }

    pub mod receiver {
        pub use crate::notify::receiver::client;
    }
}

pub mod objects {
    pub use crate::objects::{Objects, Store};

    pub mod folder {
        pub use crate::objects::folder::{Acl, FolderStore, is_bucket_name};

        pub mod key {
            pub use crate::objects::folder::key::{Entry, Folder, MAX_KEY_BYTES, decode, encode};
        }
    }

    pub mod serve {
        pub use crate::objects::serve::{ServeState, configure, fuzz};
    }
}

pub mod rpc {
    pub use localyun_edge::{signature_v1, signature_v3};
}

pub mod server {
    pub use crate::server::{Running, start};
}

pub mod services {
    pub use crate::services::Services;
}

pub mod spec {
    pub use crate::spec::Spec;

    pub mod check {
        pub use crate::spec::check::check;
    }

    pub mod drift {
        pub use crate::spec::drift::Drift;
    }
}

pub mod store {
    pub use crate::store::Store;

    pub mod callbacks {
        pub use crate::store::callbacks::{Attempt, NewCallback, Row};
    }

    pub mod records {
        pub use crate::store::records::{SessionRow, SliceRow};
    }

    pub mod documents {
        pub use crate::store::documents::Kind;
    }

    pub mod streams {
        pub use crate::store::streams::Fence;
    }
}

pub mod upstream {
    pub use crate::upstream::answer;

    pub mod cassette {
        pub use crate::upstream::cassette::pattern::{Pattern, recorded};
        pub use crate::upstream::cassette::replay::Replay;
        pub use crate::upstream::cassette::{Answer, Asked, Body, Recorded};
    }

    pub mod request {
        pub use crate::upstream::request::Call;
    }
}

pub mod wire {
    pub use crate::wire::http_parts::HttpParts;
    pub use crate::wire::percent;
    pub use crate::wire::render::Format;

    pub mod params {
        pub use crate::wire::params::{
            MAX_DEPTH, MAX_INDEX, MAX_NAME, MAX_PAIRS, MAX_VALUE, Node, Pairs, Tree, parse_pairs,
        };
    }
}

pub mod web {
    pub mod play {
        pub use crate::web::play::path;
    }
}
