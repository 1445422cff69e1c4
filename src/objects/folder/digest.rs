//! Digests kept with every object: MD5 (the ETag) and CRC-64/XZ (`x-oss-hash-crc64ecma`, polynomial of ECMA-182).

use md5::{Digest as _, Md5};

/// Reflected polynomial of ECMA-182.
const POLYNOMIAL: u64 = 0xC96C_5795_D787_0F42;

/// Both digests over one pass of the bytes.
#[derive(Clone, Default)]
pub struct Digests {
    md5: Md5,
    crc64: crc64fast::Digest,
}

impl Digests {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.crc64.write(bytes);
    }

    /// MD5 and CRC-64 of all bytes.
    pub fn finish(self) -> ([u8; 16], u64) {
        (self.md5.finalize().into(), self.crc64.sum64())
    }
}

/// MD5 of a few bytes.
pub fn md5_of(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// The ETag of an adopted file, which nobody has read for an MD5: of the multipart form, which promises none, and decided by the
/// content's length and CRC.
pub fn adopted_etag(size: u64, crc64: u64) -> String {
    let mut named = [0; 16];
    named[..8].copy_from_slice(&size.to_be_bytes());
    named[8..].copy_from_slice(&crc64.to_be_bytes());
    format!("{}-1", hex::encode(md5_of(&named)))
}

/// CRC of two pieces put together, from their CRCs and the length of the second: appending `length` zero bytes is a
/// linear map over GF(2), so it is raised to that power by squaring.
pub fn combine_crc64(first: u64, second: u64, length: u64) -> u64 {
    if length == 0 {
        return first;
    }
    let mut one_bit = [0_u64; 64];
    for (row, value) in one_bit.iter_mut().enumerate() {
        *value = if row == 0 { POLYNOMIAL } else { 1 << (row - 1) };
    }
    let mut power = square(&square(&square(&one_bit)));
    let mut crc = first;
    let mut left = length;
    loop {
        if left & 1 == 1 {
            crc = times(&power, crc);
        }
        left >>= 1;
        if left == 0 {
            return crc ^ second;
        }
        power = square(&power);
    }
}

fn times(matrix: &[u64; 64], vector: u64) -> u64 {
    matrix
        .iter()
        .enumerate()
        .filter(|(bit, _)| vector >> bit & 1 == 1)
        .fold(0, |sum, (_, row)| sum ^ row)
}

fn square(matrix: &[u64; 64]) -> [u64; 64] {
    matrix.map(|row| times(matrix, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crc(bytes: &[u8]) -> u64 {
        let mut digests = Digests::default();
        digests.update(bytes);
        digests.finish().1
    }

    #[test]
    fn digests_match_the_published_check_values() {
        let mut digests = Digests::default();
        digests.update(b"1234");
        digests.update(b"56789");
        let (md5, crc64) = digests.finish();
        assert_eq!(hex::encode(md5), "25f9e794323b453885f5181f1b624d0b");
        assert_eq!(crc64, 0x995D_C9BB_DF19_39FA);
    }

    #[test]
    fn combined_crc_equals_the_crc_of_the_whole() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| (n * 7 % 251) as u8).collect();
        for cut in [0, 1, 17, 4096, 9_999, 10_000] {
            let (left, right) = bytes.split_at(cut);
            assert_eq!(
                combine_crc64(crc(left), crc(right), right.len() as u64),
                crc(&bytes)
            );
        }
    }
}
