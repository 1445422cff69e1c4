//! Sentences for people which others word in their own language: a code with values, of which the English text is made here.
//!
//! The console has its own text for every code (`console/text/told.js`), and a test holds it to this list. A code never changes its
//! meaning; a sentence of which it is no longer true gets another one.

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeStruct, Serializer};
use serde_json::Value;

macro_rules! phrases {
    ($($name:ident: $text:literal,)*) => {
        /// A sentence with places for values, in braces.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Phrase {
            $(#[doc = $text] $name,)*
        }

        impl Phrase {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name by which others know it.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The English text.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

phrases! {
    // Why a stream is recorded or not.
    RecordsAutomatically: "the rule records automatically",
    TranscodedOnly: "the rule names formats of transcoded streams alone (TranscodeRecordFormat), and nothing is transcoded here",
    AddRecordFormat: "give the rule a RecordFormat (UpdateLiveAppRecordConfig)",
    WaitsForCommand: "the rule waits for RealTimeRecordCommand start (OnDemand=7)",
    NoOnDemandUrl: "OnDemand=1, but the domain has no OnDemandUrl (AddLiveRecordNotifyConfig)",
    ReceiverDecides: "if the answer to {url} says NeedRecord=true",
    PushAsks: "the push URL's record_config asks for it",
    PushDoesNotAsk: "OnDemand=2, and the push URL carries no record_config={\"NeedRecord\":true}",
    WindowOpensLater: "the rule's window opens at {opens}",
    WindowIsOver: "the window of the rule for this app and stream is over",
    NoRuleAtAll: "there is no recording rule at all",
    DomainHasNoRule: "domain {domain} has no rule; rules exist for {others}",
    DomainHasNoRuleOfMany: "domain {domain} has no rule; rules exist for {others} and {more} more",
    NoRuleMatches: "no rule of the domain matches app {app} and stream {stream}; its rules are for {rules}",
    NoRuleOfManyMatches: "no rule of the domain matches app {app} and stream {stream}; its rules are for {rules} and {more} more",
    ReceiverDeclines: "the on-demand answer says NeedRecord=false",
    ReceiverNamesNoFormat: "none of the formats that the on-demand answer names is configured",
    NoMp3InCmaf: "cmaf: MP3 has no place in it (AAC has), and players refuse it there",
    NoSuchAacInTs: "m3u8: this kind of AAC has no place in MPEG-TS (AAC-LC and HE-AAC have, in frames of 1,024 samples)",
    ReceiverIsNotUsable: "the on-demand URL gave no usable answer",
    StreamForbidden: "{stream} is forbidden until {until} (ForbidLiveStream); ResumeLiveStream lets it in again",
    DomainStopped: "the domain {domain} is stopped (StopLiveDomain); StartLiveDomain lets streams in again",
    RulesOfThePush: "the stream is live under the rules of its push; a change counts from the next push on",

    // What cures it.
    MakeCall: "{call}",
    AddToPushUrl: "add record_config=%7B%22NeedRecord%22%3Atrue%7D to the push URL",
    WaitForWindow: "wait until then, or advance the clock: localyun advance until {opens}",
    MapOrAddRule: "if {push} is the ingest domain of {play}, map it: {map}; if not, give it a rule: {rule}",
    ReplaceRule: "delete the rule and add one with another window: {rule}",
    LookAtReceiver: "look at what {url} answers",
    MakeReceiverUsable: "{url} must answer 200 with JSON that has NeedRecord",

    // Why the control plane refuses a request, whatever it asks for.
    NoSuchRoute: "there is no such route; GET /_localyun lists them",
    NoSuchRouteButNear: "there is no such route; did you mean {near}? GET /_localyun lists them",
    MethodNotAllowed: "{method} is not for {path}, which takes {methods}",
    BodyTooLong: "the body is longer than 1 MiB",
    ForeignPage: "the control plane takes no requests from pages of other sites",
    WrongToken: "the Authorization header does not hold the control token as a bearer token",
    TokenMissing: "send the control token (--control-token, LOCALYUN_CONTROL_TOKEN) as a bearer token: Authorization: Bearer TOKEN",
    NotThisMachine: "without a token the control plane is for callers on this machine; start the server with --control-token TOKEN (LOCALYUN_CONTROL_TOKEN) and send Authorization: Bearer TOKEN",
    NotOurName: "{name} is not a name of this machine; say localhost or 127.0.0.1, or set public-host to that name",
    QueryNameButNear: "{route} has no query parameter {name}; did you mean {near}?",
    QueryNameUnknown: "{route} has no query parameter {name}; it takes {names}",
    QueryNotTaken: "{route} has no query parameter {name}; it takes no query",
    BodyNotTaken: "{route} takes no body; send none, or an empty JSON object",
    QueryNameMissing: "{name} is missing",
    NotWholeNumber: "{name} must be a whole number, {least} to {most}",
    NotTrueOrFalse: "{name} must be true or false",
    NotAnInstant: "{name} must be an instant such as 2026-03-01T02:00:00Z, or Unix milliseconds",
    BadCursor: "cursor must be `next` of an earlier answer of this list",
    BodyIsNoJson: "the body is no JSON: {why}",
    BodyIsNoObject: "the body must be a JSON object",
    BadField: "{why}",
    NameIsEmpty: "{what} is empty",
    NameIsTooLong: "{what} is longer than {most} bytes",
    NameHoldsBadCharacter: "{what} holds a character that no name may hold",
    BodyTooSlow: "the body comes too slowly: less than {rate} bytes a second after the first {seconds} s, or nothing for that long",
    BodyBrokeOff: "the body broke off: {why}",

    // Of one route or a few.
    ServiceStops: "the service stops",
    NodeIsSilent: "{why}",
    PartIsAway: "a part of the service does not answer",
    NoSuchKindButNear: "there is no kind {kind}; did you mean {near}?",
    NoSuchKind: "there is no kind {kind}; kinds are {kinds}",
    NotAnEventId: "{name} must be the id of an event, a whole number",
    BadTimeout: "timeout_s must be 0 to 600 seconds",
    TooFewEvents: "{found} of {count} such events have happened within {seconds} s",
    ServiceStoppedTooSoon: "the service stops; {found} of {count} such events have happened",
    BadCallbackState: "state must be pending, success or failed",
    BadCallbackId: "the callback's id is a number",
    NoSuchCallback: "there is no callback {id}",
    CallbackIsBeingSent: "callback {id} is still being sent",
    BadReceiver: "url must be an http or https address of at most {most} bytes",
    BadClockSetting: "send {\"frozen\": true} or false: {why}",
    BadAdvance: "send {\"seconds\": N}, {\"next\": true} or {\"until\": \"2026-03-01T02:00:00Z\"}: {why}",
    ManyAdvances: "send {\"seconds\": N}, {\"next\": true} or {\"until\": \"2026-03-01T02:00:00Z\"}, one of them",
    AdvanceOutOfBounds: "seconds must be 0 to ten years; the clock only goes forward",
    UntilOutOfBounds: "until must lie ahead of {now} and within ten years; the clock only goes forward",
    BadSinkStatus: "status must be 200 to 599",
    SinkStatusHasNoBody: "an answer of status {status} has no body; leave body out, or set another status",
    DelayTooLong: "delay_ms must be at most {most}",
    SinkAnswerTooLong: "body must have at most {most} bytes",
    BadSinkContentType: "content_type must be 1 to 200 visible ASCII characters",
    SinksAreFull: "{why}",
    BadClip: "clip: {why}",
    BadPace: "speed must be 0 to 1000 and seconds 0 to 604800",
    BadStreamDomain: "{name} is no domain name; write it without scheme, port and path",
    StreamIsLive: "{stream} is being published already",
    StreamIsNotLive: "{stream} is not live",
    NotPublished: "{stream} is not being published",
    PublishFailed: "{why}",
    FaultsAreNoList: "faults must be a list",
    NotBesideFaults: "{name} has no place beside faults; a fault of the list has its own",
    TooManyFaults: "at most {most} faults",
    NoSuchAction: "there is no action {action}",
    NoSuchActionButNear: "there is no action {action}; did you mean {near}?",
    FaultDoesNothing: "a fault needs a code, a delay_ms, or both",
    BadFaultCode: "code must be a plain word",
    ParameterHasNoValue: "{name} has no value; leave it out",
    TooManyParameters: "at most {most} params",
    ParameterIsOurs: "{name} is set by the server here",
    BadAcl: "acl must be private, public-read or public-read-write",
    BadDelimiter: "delimiter must be / or absent",
    NoSuchBucket: "there is no bucket {name}",
    NoSuchObject: "there is no object {name}",
    StoreRefuses: "the store refuses it: {why}",
    StoreFails: "the store failed: {why}",
    ObjectsAreElsewhere: "recordings go to an outside store, and its objects stay there",
    SnapshotBringsObjects: "the snapshot brings objects, and recordings go to an outside store here",
    NoRoomForSnapshot: "the data folder takes no more: {why}",
    SnapshotTooLong: "the body is too long",
    BodyIsNoSnapshot: "the body is no snapshot: {why}",
    SnapshotHasNoForm: "a snapshot says \"localyun\": 1; this one does not",
    BadSnapshot: "{why}",
    StreamsAreLive: "streams are being published; end them first",
    BucketNotMade: "the bucket {bucket} cannot be made: {why}",
    SeedTooLong: "a seed has at most 64 MiB",
    BadSeed: "{why}",
    NoSuchConsoleFile: "the console has no such file",
    NotPlayable: "{why}",
    NothingPlayable: "there is nothing in it that can be played",
    OutsideOfBucket: "{uri} lies outside of this bucket",
    NoSuchEntry: "the playlist has no such entry",
    PlaylistTooLong: "the playlist is longer than 16 MiB",
    NotMadePlayable: "only .flv, .ts and .m3u8 are made playable; everything else is at ui/object",
    TooManyPlay: "16 recordings are being played already",
    TooManyWatch: "64 live streams are being watched already",
    ForeignMedia: "pages of other sites get no media",
    TicketMissing: "send the control token as a bearer token, or a ticket of POST /_localyun/ui/ticket",
    BadTicketPath: "path must be one of ui/object, ui/play and ui/live with its query",

    // What a client did wrong whose signature was refused.
    KeyWithoutAnd: "the key is the secret alone, without the `&` after it",
    KeyWithAnd: "the key is the secret and a `&`; ACS3 takes the secret alone",
    MethodSwapped: "GET and POST are swapped: another method was signed than was sent",
    MethodLower: "the method is in lower case",
    NotEncoded: "not percent-encoded",
    EncodedTwice: "percent-encoded once too often",
    EncodedAsForm: "encoded as a form (`+` for a space, `*` kept, `~` escaped)",
    PlusForSpace: "encoded with `+` for a space instead of `%20`",
    StarKept: "encoded with `*` kept instead of `%2A`",
    TildeEscaped: "encoded with `%7E` instead of `~`",
    StarKeptTildeEscaped: "encoded with `*` kept and `~` escaped",
    SlashKept: "encoded with `/` kept instead of `%2F`",
    ColonKept: "encoded with `:` kept instead of `%3A`",
    ComponentKept: "encoded with `!'()*` kept (encodeURIComponent)",
    ReservedKept: "encoded with the reserved characters kept (encodeURI)",
    LowerHexDigits: "encoded with lower-case digits (`%2f` instead of `%2F`)",
    LowerHexDigitsAndPlus: "encoded with lower-case digits, `+` for a space, and `!*()` kept",
    NotSorted: "the parameters are not sorted",
    SortedIgnoringCase: "the parameters are sorted without regard to case",
    SortedByPair: "the parameters are sorted by `name=value` instead of by name",
    FormLeftOut: "the parameters of the form are left out",
    QueryLeftOut: "the parameters of the query are left out",
    SignatureSigned: "the parameter Signature itself, still empty, is signed too",
    EmptyLeftOut: "parameters with an empty value are left out",
    BodyMembersSigned: "the members of a body that is no form are signed too",
    FormInCanonicalQuery: "the parameters of the form stand in the canonical query; they take part by the hash of the body only",
    PlusSentAsIs: "a `+` was sent as it is, which means a space; as `%2B` it is a plus",
    PathRaw: "the path is `/` instead of `%2F`",
    PathLowerHex: "the path is `%2f` instead of `%2F`",
    PathEmptyV1: "the path is empty instead of `%2F`",
    PathOfRequest: "the path is the one of the request instead of `%2F`",
    OtherHash: "the hash is another one than SignatureMethod says (HMAC-SHA1 without it)",
    SignatureHex: "the signature is hexadecimal instead of base64",
    SignatureBase64OfHex: "the signature is the base64 of hexadecimal digits instead of the bytes",
    SignatureUrlBase64: "the signature is base64 for URLs (`-` and `_`)",
    SignatureNotEncoded: "the Signature was sent without percent-encoding, so that its `+` arrived as a space",
    SignatureEncodedTwice: "the Signature was percent-encoded once too often when it was sent",
    HostWithoutPort: "host is signed without its port",
    HostWithPort80: "host is signed with port 80",
    HostWithPort443: "host is signed with port 443",
    HeadersSorted: "the headers were signed in sorted order, but SignedHeaders lists them in another one",
    HeaderLinesSorted: "the header lines are sorted, but not in the order of SignedHeaders",
    SignedHeadersSorted: "SignedHeaders was signed in another order than it was sent",
    HeaderValuesLower: "the header values are in lower case",
    HeaderValuesUpper: "the header values are in upper case",
    HeaderValuesSpaced: "the header values have a space before them",
    HashOfNothing: "the body's hash is the one of an empty body",
    HashOfBodySigned: "the body's own hash was signed, but x-acs-content-sha256 carries another one",
    HashUpper: "the body's hash has upper-case digits",
    HashLeftOut: "the body's hash is left out",
    NewlineAfterCanonical: "a line feed stands after the canonical request",
    NewlineAfterStringToSign: "a line feed stands after the string to sign",
    NoEmptyLine: "the empty line between the headers and SignedHeaders is absent",
    CarriageReturns: "lines end with carriage return and line feed",
    PathRoot: "the path is `/` instead of the one of the request",
    PathEmptyV3: "the path is empty instead of `/`",
    PathEncoded: "the path is `%2F` instead of `/`",
    CanonicalHashUpper: "the canonical request's hash has upper-case digits",
    AlgorithmMissing: "the string to sign lacks the line with the algorithm",
    CanonicalNotHashed: "the canonical request itself was signed instead of its hash",
    CanonicalAlone: "the canonical request alone was signed, without the algorithm and without hashing it",
    SignatureUpper: "the signature has upper-case digits",
    SignatureBase64: "the signature is base64 instead of hexadecimal",
    ParameterNotSigned: "the parameter {name} is not signed",
    ValuesWrong: "names and values are {how}",
    ValuesAndQueryWrong: "names and values, and then the whole query, are {how}",
    QueryWrongSecondTime: "the whole query is, the second time, {how}",
    QueryValuesWrong: "the query's names and values are {how}",
    HashClaimedOfNothing: "{header} is the hash of an empty body, and the request has one",
    HashClaimedWrong: "{header} is not the hash of the body",
    NoKnownWay: "None of {tries} known ways to sign gives this signature: the client has another secret, or signed another text than the one that was to be signed.",
    SignatureIsRight: "The signature is the right one.",
    AnotherTextSigned: "The client signed another text: {mistakes}. It first differs at byte {at}.",
    SignedWrongly: "The client signed it wrongly: {mistakes}.",

    // What a call did otherwise than asked.
    NothingDone: "{command} did nothing: {because}",
    LooseJson: "{parameter} is no JSON but a list or dictionary as Python prints it; it was taken as that, JSON needs double quotes",
    WithoutEffect: "{parameters} without effect: {because}",
    FilledIn: "{parameters} absent, which the current reference requires: filled in from {from}",
    PeriodNotNamed: "they name no period of up to an hour, and the last hour is taken",
    FrameRateRetired: "the product has retired this action; DescribeLiveDomainFrameRateAndBitRateData and DescribeLiveStreamDetailFrameRateAndBitRateData have taken its place",
    OnlineUserNumRetired: "the product has retired this action; DescribeLiveDomainOnlineUserNum and DescribeLiveStreamHistoryUserNum have taken its place",
    RuleThatRecorded: "the rule that recorded",
    CancelDelayWhileRecording: "cancel_delay is for a recording that was stopped; this one was still going on and was ended at once",
    NoRecordingStarted: "no recording of this stream was started",
    QuestionOpen: "no recording of this stream was started: the on-demand question is not answered yet",
    PausedByLoss: "the recording is paused already: its stream is lost",
    StoppedAlready: "the recording is stopped already",
    RecordingGoesOn: "the recording goes on",
    NothingIsTranscoded: "nothing is transcoded here, so there is nothing to record of it",
    WindowNeedsStream: "they count where StreamName is given; for every stream say StreamName=*",
    NotForbidden: "the stream is not forbidden",
    OneshotKeepsNothingOut: "Oneshot=yes cuts the stream off and does not keep it out",
    OneshotOfNothing: "the stream is not live, and Oneshot=yes keeps nothing out",
    SelfSignedCertificate: "a self-signed certificate: no authority issues one here",
    CertificateOfAnother: "the certificate is not for this domain: viewers will refuse it",

    // Why an action will not be built.
    CastersElsewhere: "casters (production studios in the cloud) are another product behind the same API",
    RtcElsewhere: "real-time communication is another product behind the same API",
    MessagesElsewhere: "interactive messages are another product behind the same API",
    AiIsOfTheCloud: "subtitles and production by AI are services of the cloud that one machine does not have",
    NothingIsBilled: "nothing is billed on one machine",
    DrmNeedsTheCloud: "digital rights management needs the licence servers of the cloud",
}

/// A sentence with its values.
///
/// It displays as the English text, and serializes as `{"code": "…", "values": {…}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    phrase: Phrase,
    values: Vec<(&'static str, Filling)>,
}

/// What stands in a place: a text as it is, or sentences, which are lists of such objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Filling {
    Text(String),
    Sentences(Vec<Said>),
}

impl fmt::Display for Filling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Sentences(list) => {
                for (number, said) in list.iter().enumerate() {
                    f.write_str(if number == 0 { "" } else { "; " })?;
                    said.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl Phrase {
    /// The sentence with a value for each of its places.
    #[must_use]
    pub fn with<const N: usize>(self, values: [(&'static str, &dyn fmt::Display); N]) -> Said {
        self.filled(values, None)
    }

    /// The same, with sentences in one of the places.
    #[must_use]
    pub fn around<const N: usize>(
        self,
        values: [(&'static str, &dyn fmt::Display); N],
        place: &'static str,
        sentences: Vec<Said>,
    ) -> Said {
        self.filled(values, Some((place, Filling::Sentences(sentences))))
    }

    fn filled<const N: usize>(
        self,
        values: [(&'static str, &dyn fmt::Display); N],
        sentences: Option<(&'static str, Filling)>,
    ) -> Said {
        let texts = values.map(|(name, value)| (name, Filling::Text(value.to_string())));
        let said = Said {
            phrase: self,
            values: texts.into_iter().chain(sentences).collect(),
        };
        debug_assert!(said.is_whole(), "{said:?}");
        said
    }
}

/// A sentence without places.
impl From<Phrase> for Said {
    fn from(phrase: Phrase) -> Self {
        phrase.with([])
    }
}

/// The name that stands in braces at the beginning of a text.
fn place(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then_some(name)
}

/// The names of all places of a text.
fn places(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('{')
        .filter_map(move |(at, _)| place(text.get(at..)?))
}

impl Said {
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.phrase.code()
    }

    /// The sentence that was serialized. None: it is of another version that has sentences of its own.
    #[must_use]
    pub fn read(told: &Value) -> Option<Self> {
        let code = told.get("code")?.as_str()?;
        let phrase = *Phrase::ALL.iter().find(|phrase| phrase.code() == code)?;
        let mut said = Self {
            phrase,
            values: Vec::new(),
        };
        for name in places(phrase.text()) {
            let value = match told.get("values")?.get(name)? {
                Value::String(text) => Filling::Text(text.clone()),
                Value::Array(list) => {
                    Filling::Sentences(list.iter().map(Self::read).collect::<Option<_>>()?)
                }
                _ => return None,
            };
            if said.value(name).is_none() {
                said.values.push((name, value));
            }
        }
        Some(said)
    }

    fn value(&self, wanted: &str) -> Option<&Filling> {
        let found = self.values.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value)
    }

    /// Whether its places and its values are the same.
    fn is_whole(&self) -> bool {
        let places = || places(self.phrase.text());
        places().all(|name| self.value(name).is_some())
            && self
                .values
                .iter()
                .all(|(name, _)| places().any(|p| p == *name))
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.phrase.text();
        while let Some(at) = rest.find('{') {
            let (before, behind) = rest.split_at(at);
            f.write_str(before)?;
            let filled = place(behind).and_then(|name| Some((name, self.value(name)?)));
            rest = match filled {
                Some((name, value)) => {
                    value.fmt(f)?;
                    behind.get(name.len() + 2..).unwrap_or_default()
                }
                None => {
                    f.write_str("{")?;
                    behind.get(1..).unwrap_or_default()
                }
            };
        }
        f.write_str(rest)
    }
}

/// Names and texts as an object.
struct Values<'a>(&'a [(&'static str, Filling)]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Said", 2)?;
        fields.serialize_field("code", self.code())?;
        fields.serialize_field("values", &Values(&self.values))?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_a_code_with_values_and_an_english_text() {
        // What stands in braces inside of a value is a value, and braces of JSON are none of ours.
        let said = Phrase::BadClockSetting.with([("why", &"{why} {frozen}")]);
        assert_eq!(
            said.to_string(),
            "send {\"frozen\": true} or false: {why} {frozen}"
        );
        assert_eq!(
            serde_json::to_value(&said).unwrap(),
            serde_json::json!({"code": "BadClockSetting", "values": {"why": "{why} {frozen}"}})
        );
        assert_eq!(
            Said::from(Phrase::NoRuleAtAll).to_string(),
            Phrase::NoRuleAtAll.text()
        );
    }

    #[test]
    fn sentences_stand_inside_of_sentences() {
        let mistakes = vec![
            Said::from(Phrase::NotSorted),
            Phrase::ValuesWrong.around([], "how", vec![Phrase::NotEncoded.into()]),
        ];
        let said = Phrase::AnotherTextSigned.around([("at", &7)], "mistakes", mistakes);
        assert_eq!(
            said.to_string(),
            "The client signed another text: the parameters are not sorted; names and values are not percent-encoded. It first differs at byte 7."
        );
        let told = serde_json::to_value(&said).unwrap();
        assert_eq!(told["values"]["at"], "7");
        let read = Said::read(&told).unwrap();
        assert_eq!(read.to_string(), said.to_string());
        assert_eq!(serde_json::to_value(&read).unwrap(), told);
        assert_eq!(
            told["values"]["mistakes"][1]["values"]["how"],
            serde_json::json!([{"code": "NotEncoded", "values": {}}])
        );
    }

    #[test]
    fn a_sentence_of_another_version_is_none_of_ours() {
        for told in [
            serde_json::json!({"code": "OfALaterVersion", "values": {}}),
            serde_json::json!({"code": "NoSuchBucket", "values": {}}),
            serde_json::json!({"code": "NoSuchBucket"}),
            serde_json::json!("NoSuchBucket"),
        ] {
            assert_eq!(Said::read(&told), None, "{told}");
        }
    }

    #[test]
    #[should_panic(expected = "NoSuchBucket")]
    fn a_value_that_has_no_place_is_noticed() {
        let _ = Phrase::NoSuchBucket.with([("nme", &"x")]);
    }
}
