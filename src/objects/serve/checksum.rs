//! Digests that a client announces for its body, in headers or trailers, checked against the bytes that arrived.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::code::Code;
use super::error::ServeError;

/// A table-driven reflected CRC of up to 64 bits, eight bytes a step.
struct Table([[u64; 256]; 8]);

impl Table {
    const fn new(polynomial: u64) -> Self {
        let mut table = [[0_u64; 256]; 8];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u64;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 {
                    (crc >> 1) ^ polynomial
                } else {
                    crc >> 1
                };
                bit += 1;
            }
            table[0][byte] = crc;
            byte += 1;
        }
        let mut row = 1;
        while row < 8 {
            let mut byte = 0;
            while byte < 256 {
                let before = table[row - 1][byte];
                table[row][byte] = (before >> 8) ^ table[0][(before & 0xFF) as usize];
                byte += 1;
            }
            row += 1;
        }
        Self(table)
    }

    fn look_up(&self, row: usize, byte: u8) -> u64 {
        self.0
            .get(row)
            .and_then(|row| row.get(usize::from(byte)))
            .copied()
            .unwrap_or_default()
    }

    fn update(&self, mut state: u64, bytes: &[u8]) -> u64 {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let mixed = (state ^ u64::from_le_bytes(*word)).to_le_bytes();
            state = mixed
                .iter()
                .enumerate()
                .fold(0, |sum, (at, byte)| sum ^ self.look_up(7 - at, *byte));
        }
        rest.iter().fold(state, |state, byte| {
            let [low, ..] = state.to_le_bytes();
            (state >> 8) ^ self.look_up(0, low ^ byte)
        })
    }
}

/// CRC-32C (Castagnoli).
static CRC32C: Table = Table::new(0x82F6_3B78);
/// CRC-64/NVME.
static CRC64NVME: Table = Table::new(0x9A6C_9329_AC4B_C9B5);

/// One digest over a body.
enum Running {
    Crc32(crc32fast::Hasher),
    Crc32c(u64),
    Crc64Nvme(u64),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Running {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "x-amz-checksum-crc32" => Self::Crc32(crc32fast::Hasher::new()),
            "x-amz-checksum-crc32c" => Self::Crc32c(u64::from(u32::MAX)),
            "x-amz-checksum-crc64nvme" => Self::Crc64Nvme(u64::MAX),
            "x-amz-checksum-sha1" => Self::Sha1(Sha1::new()),
            "x-amz-checksum-sha256" | "x-amz-content-sha256" => Self::Sha256(Sha256::new()),
            _ => return None,
        })
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc32c(state) => *state = CRC32C.update(*state, bytes),
            Self::Crc64Nvme(state) => *state = CRC64NVME.update(*state, bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc32(hasher) => hasher.finalize().to_be_bytes().to_vec(),
            Self::Crc32c(state) => u32::try_from(state ^ u64::from(u32::MAX))
                .unwrap_or_default()
                .to_be_bytes()
                .to_vec(),
            Self::Crc64Nvme(state) => (!state).to_be_bytes().to_vec(),
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
        }
    }
}

/// The digests announced for one body.
#[derive(Default)]
pub struct Checks {
    /// Name, expected value (none while a trailer has yet to bring it), state.
    running: Vec<(String, Option<String>, Running)>,
}

/// Digests that one request may announce.
const MAX_CHECKS: usize = 6;

impl Checks {
    /// Adds a digest by its header's name; unknown names are left alone.
    pub fn expect(&mut self, name: &str, value: Option<&str>) {
        let name = name.trim().to_ascii_lowercase();
        if self.running.len() < MAX_CHECKS
            && !self.running.iter().any(|(held, ..)| *held == name)
            && let Some(running) = Running::named(&name)
        {
            self.running.push((name, value.map(str::to_owned), running));
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        for (_, _, running) in &mut self.running {
            running.update(bytes);
        }
    }

    /// Compares all digests; `trailer` looks up what came behind the body.
    pub fn finish(self, trailer: impl Fn(&str) -> Option<String>) -> Result<(), ServeError> {
        for (name, expected, running) in self.running {
            let Some(expected) = expected.or_else(|| trailer(&name)) else {
                return Err(ServeError::new(
                    Code::MalformedTrailer,
                    format!("The trailer {name} was announced and did not come."),
                ));
            };
            let digest = running.finish();
            if name == "x-amz-content-sha256" {
                if hex::encode(&digest) != expected {
                    return Err(ServeError::of(Code::XAmzContentSha256Mismatch)
                        .with("ClientComputedContentSHA256", expected)
                        .with("S3ComputedContentSHA256", hex::encode(digest)));
                }
            } else if STANDARD.encode(&digest) != expected {
                return Err(ServeError::new(
                    Code::BadDigest,
                    format!("The {name} you specified did not match the calculated checksum."),
                )
                .with("CalculatedDigest", STANDARD.encode(digest)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut running = Running::named(name).expect("known");
        running.update(bytes);
        running.finish()
    }

    #[test]
    fn digests_match_their_check_values() {
        let bytes = b"123456789";
        assert_eq!(
            digest("x-amz-checksum-crc32", bytes),
            0xCBF4_3926_u32.to_be_bytes()
        );
        assert_eq!(
            digest("x-amz-checksum-crc32c", bytes),
            0xE306_9283_u32.to_be_bytes()
        );
        assert_eq!(
            digest("x-amz-checksum-crc64nvme", bytes),
            0xAE8B_1486_0A79_9888_u64.to_be_bytes()
        );
        assert_eq!(
            hex::encode(digest("x-amz-checksum-sha1", b"")),
            "da39a3ee5e6b4b0d3255bfef95601890afd80709"
        );
    }

    #[test]
    fn eight_bytes_at_a_time_equals_one() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1003).collect();
        for name in ["x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme"] {
            let mut single = Running::named(name).expect("known");
            bytes.iter().for_each(|byte| single.update(&[*byte]));
            assert_eq!(single.finish(), digest(name, &bytes));
        }
    }

    #[test]
    fn wrong_and_missing_digests_are_refused() {
        let check = |expected: Option<&str>, trailer: Option<&str>| {
            let mut checks = Checks::default();
            checks.expect("x-amz-checksum-crc32", expected);
            checks.update(b"123456789");
            checks.finish(|_| trailer.map(str::to_owned))
        };
        assert!(check(Some("y/Q5Jg=="), None).is_ok());
        assert!(check(None, Some("y/Q5Jg==")).is_ok());
        assert_eq!(
            check(Some("y/Q5Jh=="), None).expect_err("wrong").code,
            "BadDigest"
        );
        assert_eq!(
            check(None, None).expect_err("missing").code,
            "MalformedTrailerError"
        );
    }
}
