//! Identifiers that answers, rows and files carry.

use std::cell::RefCell;

use uuid::{Builder, Uuid};

/// Random bytes that a thread draws from the system at a time; each answer of the API takes two ids, and a call into the kernel
/// for each would cost as much as a digest.
const DRAWN: usize = 1_024;
const ID: usize = size_of::<uuid::Bytes>();

struct Drawn {
    bytes: [u8; DRAWN],
    used: usize,
}

thread_local! {
    static POOL: RefCell<Drawn> = const {
        RefCell::new(Drawn { bytes: [0; DRAWN], used: DRAWN })
    };
}

impl Drawn {
    fn next(&mut self) -> Option<Uuid> {
        if self.used + ID > DRAWN {
            getrandom::fill(&mut self.bytes).ok()?;
            self.used = 0;
        }
        let bytes = self.bytes.get(self.used..)?.first_chunk::<ID>()?;
        self.used += ID;
        Some(Builder::from_random_bytes(*bytes).into_uuid())
    }
}

fn random_uuid() -> Uuid {
    POOL.with_borrow_mut(Drawn::next)
        .unwrap_or_else(Uuid::new_v4)
}

/// A request id as the product writes it: an upper-case UUID.
#[must_use]
pub fn request_id() -> String {
    let mut buffer = Uuid::encode_buffer();
    random_uuid()
        .hyphenated()
        .encode_upper(&mut buffer)
        .to_owned()
}

/// A trace id: 32 lower-case hex digits.
#[must_use]
pub fn trace_id() -> String {
    simple(random_uuid())
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

/// A signature nonce for our own client, and what credentials are made of: nothing of it is drawn before it is wanted.
#[must_use]
pub fn nonce() -> String {
    simple(Uuid::new_v4())
}

fn simple(id: Uuid) -> String {
    let mut buffer = Uuid::encode_buffer();
    id.simple().encode_lower(&mut buffer).to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_across_draws_and_threads() {
        let many = || {
            (0..3 * DRAWN / ID)
                .map(|_| request_id())
                .collect::<Vec<_>>()
        };
        let (here, there) = (many(), std::thread::spawn(many).join().unwrap());
        let all: HashSet<&String> = here.iter().chain(&there).collect();
        assert_eq!(all.len(), 2 * 3 * DRAWN / ID);
        for id in all {
            assert_eq!(Uuid::parse_str(id).unwrap().get_version_num(), 4);
            assert_eq!(*id, id.to_uppercase());
        }
    }
}
