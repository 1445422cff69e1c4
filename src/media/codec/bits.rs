//! A bit reader with the variable-length codes of ISO/IEC 14496-10 clause 9.1, and a byte cursor for records.

use bytes::Bytes;

use super::CodecError;

/// Reads bits, most significant first.
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    position: usize,
    what: &'static str,
}

impl<'a> BitReader<'a> {
    /// `what` names the structure in errors.
    pub(super) fn new(data: &'a [u8], what: &'static str) -> Self {
        Self {
            data,
            position: 0,
            what,
        }
    }

    /// Bits not read yet.
    pub(super) fn remaining(&self) -> usize {
        self.data.len() * 8 - self.position
    }

    pub(super) fn bit(&mut self) -> Result<bool, CodecError> {
        let byte = self
            .data
            .get(self.position / 8)
            .ok_or(CodecError::Truncated { what: self.what })?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Ok(bit == 1)
    }

    /// Reads up to 32 bits.
    pub(super) fn bits(&mut self, count: u32) -> Result<u32, CodecError> {
        debug_assert!(count <= 32);
        let mut value = 0_u32;
        for _ in 0..count {
            value = value << 1 | u32::from(self.bit()?);
        }
        Ok(value)
    }

    /// Reads up to 8 bits.
    pub(super) fn byte(&mut self, count: u32) -> Result<u8, CodecError> {
        debug_assert!(count <= 8);
        let mut value = 0_u8;
        for _ in 0..count {
            value = value << 1 | u8::from(self.bit()?);
        }
        Ok(value)
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), CodecError> {
        if count > self.remaining() {
            return Err(CodecError::Truncated { what: self.what });
        }
        self.position += count;
        Ok(())
    }

    /// An unsigned Exp-Golomb code; more than 31 leading zeros cannot be a real value and end the parse.
    pub(super) fn ue(&mut self) -> Result<u32, CodecError> {
        let mut zeros = 0_u32;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return Err(CodecError::invalid("Exp-Golomb prefix", zeros));
            }
        }
        let suffix = self.bits(zeros)?;
        Ok((1_u32 << zeros) - 1 + suffix)
    }

    /// A signed Exp-Golomb code.
    pub(super) fn se(&mut self) -> Result<i64, CodecError> {
        let code = i64::from(self.ue()?);
        Ok(if code % 2 == 0 {
            -(code / 2)
        } else {
            code / 2 + 1
        })
    }
}

/// Removes the emulation prevention bytes of a NAL unit (ISO/IEC 14496-10 clause 7.4.1.1).
pub(super) fn unescape(nal: &[u8]) -> Vec<u8> {
    let mut rbsp = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        rbsp.push(byte);
    }
    rbsp
}

/// Walks a configuration record and hands out slices that share its memory.
pub(super) struct RecordReader<'a> {
    record: &'a Bytes,
    position: usize,
    what: &'static str,
}

impl<'a> RecordReader<'a> {
    pub(super) fn new(record: &'a Bytes, what: &'static str) -> Self {
        Self {
            record,
            position: 0,
            what,
        }
    }

    pub(super) fn u8(&mut self) -> Result<u8, CodecError> {
        let byte = self
            .record
            .get(self.position)
            .copied()
            .ok_or(CodecError::Truncated { what: self.what })?;
        self.position += 1;
        Ok(byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, CodecError> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    pub(super) fn slice(&mut self, len: usize) -> Result<Bytes, CodecError> {
        let end = self.position.saturating_add(len);
        if end > self.record.len() {
            return Err(CodecError::Truncated { what: self.what });
        }
        let slice = self.record.slice(self.position..end);
        self.position = end;
        Ok(slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_of_the_standards_table() {
        // 1 | 010 | 011 | 00100 | 00101
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut reader = BitReader::new(&bytes, "test");
        let values: Vec<u32> = (0..5).map(|_| reader.ue().unwrap()).collect();
        assert_eq!(values, [0, 1, 2, 3, 4]);

        let mut reader = BitReader::new(&bytes, "test");
        let values: Vec<i64> = (0..5).map(|_| reader.se().unwrap()).collect();
        assert_eq!(values, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn exp_golomb_at_its_bound() {
        // 31 zeros, a one and 31 ones are the largest code: 2^32 - 2.
        let mut longest = vec![0, 0, 0, 1];
        longest.extend([0xFF; 4]);
        assert_eq!(BitReader::new(&longest, "test").ue().unwrap(), u32::MAX - 1);
        let too_long = [0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(
            BitReader::new(&too_long, "test").ue(),
            Err(CodecError::invalid("Exp-Golomb prefix", 32_u32))
        );
        assert_eq!(
            BitReader::new(&[0], "test").ue(),
            Err(CodecError::Truncated { what: "test" })
        );
    }

    #[test]
    fn emulation_prevention_goes_only_after_two_zeros() {
        assert_eq!(
            unescape(&[0, 0, 3, 1, 0, 3, 0, 0, 3, 0, 0, 3, 3]),
            [0, 0, 1, 0, 3, 0, 0, 0, 0, 3]
        );
    }
}
