//! Who watched in the hour: each address once a domain.

use std::collections::HashSet;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::clock::UnixMs;
use crate::model::figures::Visitor;

/// What one visitor is counted in.
pub const HOUR_MS: i64 = 3_600_000;
/// Visitors of all domains in an hour; who comes above it is not counted.
const MOST: usize = 100_000;

#[derive(Debug, Default)]
pub struct Visitors {
    hour: UnixMs,
    seen: HashSet<(String, i64)>,
    unwritten: Vec<Visitor>,
}

impl Visitors {
    pub fn note(&mut self, domain: &str, address: IpAddr, now: UnixMs) {
        let hour = now - now.rem_euclid(HOUR_MS);
        if self.hour != hour {
            self.hour = hour;
            self.seen = HashSet::new();
        }
        if self.seen.len() >= MOST {
            return;
        }
        let visitor = hash(address);
        if self.seen.insert((domain.to_owned(), visitor)) {
            self.unwritten.push(Visitor {
                hour,
                domain: domain.to_owned(),
                visitor,
            });
        }
    }

    /// Those that are new since they were last taken.
    pub fn take(&mut self) -> Vec<Visitor> {
        std::mem::take(&mut self.unwritten)
    }

    pub fn unwritten(&self) -> &[Visitor] {
        &self.unwritten
    }

    pub fn is_empty(&self) -> bool {
        self.unwritten.is_empty()
    }
}

/// A number that stands for an address, the same in every run.
fn hash(address: IpAddr) -> i64 {
    let digest = match address.to_canonical() {
        IpAddr::V4(four) => Sha256::digest(four.octets()),
        IpAddr::V6(six) => Sha256::digest(six.octets()),
    };
    digest
        .iter()
        .take(8)
        .fold(0, |number, byte| (number << 8) | i64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_visitor_of_an_hour_and_a_domain() {
        let mut visitors = Visitors::default();
        let [one, same, other] =
            ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        for (domain, address, at) in [
            ("d", one, 1),
            ("d", same, 2),
            ("d", other, 3),
            ("e", one, 4),
            ("d", one, HOUR_MS),
        ] {
            visitors.note(domain, address, at);
        }
        let found = visitors.take();
        assert_eq!(found.len(), 4);
        assert_eq!(found.last().unwrap().hour, HOUR_MS);
        assert!(visitors.is_empty());
    }

    #[test]
    fn visitors_have_a_bound() {
        let mut visitors = Visitors::default();
        for number in 0..=u32::try_from(MOST).unwrap() {
            visitors.note("d", IpAddr::from(number.to_be_bytes()), 0);
        }
        assert_eq!(visitors.take().len(), MOST);
    }
}
