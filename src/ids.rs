//! Identifiers that answers, rows and files carry.

use uuid::Uuid;

/// A request id as the product writes it: an upper-case UUID.
#[must_use]
pub fn request_id() -> String {
    let mut buffer = Uuid::encode_buffer();
    Uuid::new_v4()
        .hyphenated()
        .encode_upper(&mut buffer)
        .to_owned()
}

/// A trace id: 32 lower-case hex digits.
#[must_use]
pub fn trace_id() -> String {
    let mut buffer = Uuid::encode_buffer();
    Uuid::new_v4().simple().encode_lower(&mut buffer).to_owned()
}

/// The id of a recording session, a file or a callback: a UUID whose order in time is its order in text.
#[must_use]
pub fn ordered_id() -> String {
    Uuid::now_v7().hyphenated().to_string()
}

/// A record id as index files carry it: a lower-case UUID, whose order is that of creation.
#[must_use]
pub fn record_id() -> String {
    ordered_id()
}

/// A signature nonce for our own client.
#[must_use]
pub fn nonce() -> String {
    trace_id()
}
