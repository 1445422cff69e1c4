//! AMF0, the value format of RTMP commands and of script tags in FLV (Adobe's Action Message Format AMF 0).
//!
//! Values come from strangers: nesting, number of values and length are bounded, strings must be UTF-8 unless the
//! caller asks for the lossy form (metadata and commands of encoders that write another encoding).

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use thiserror::Error;

/// Deepest nesting of objects and arrays.
pub const MAX_DEPTH: usize = 16;

/// Most values in one message, those inside objects and arrays included.
pub const MAX_VALUES: usize = 8_192;

const NUMBER: u8 = 0x00;
const BOOLEAN: u8 = 0x01;
const STRING: u8 = 0x02;
const OBJECT: u8 = 0x03;
const NULL: u8 = 0x05;
const UNDEFINED: u8 = 0x06;
const ECMA_ARRAY: u8 = 0x08;
const OBJECT_END: u8 = 0x09;
const STRICT_ARRAY: u8 = 0x0A;
const DATE: u8 = 0x0B;
const LONG_STRING: u8 = 0x0C;
const UNSUPPORTED: u8 = 0x0D;
const XML_DOCUMENT: u8 = 0x0F;
const TYPED_OBJECT: u8 = 0x10;

/// Names and values in the order they were sent.
pub type Properties = Vec<(String, Value)>;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A double.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A string, long string or XML document.
    String(String),
    /// An anonymous object.
    Object(Properties),
    /// Null.
    Null,
    /// Undefined, or the "unsupported" marker.
    Undefined,
    /// An array with names.
    EcmaArray(Properties),
    /// An array by position.
    StrictArray(Vec<Value>),
    /// Milliseconds since 1970; the time zone on the wire is reserved and left out.
    Date(f64),
    /// An object of a named class.
    TypedObject {
        /// The class.
        class: String,
        /// Its fields.
        properties: Properties,
    },
}

impl Value {
    /// The number, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The named property of an object or an array with names; the first where a name occurs twice.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(properties)
            | Self::EcmaArray(properties)
            | Self::TypedObject { properties, .. } => properties
                .iter()
                .find_map(|(key, value)| (key == name).then_some(value)),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// Why bytes are no AMF0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Amf0Error {
    /// The bytes stop inside a value.
    #[error("an AMF0 value ends too early")]
    Truncated,
    /// The marker stands for nothing that a client may send (movie clip, reference, record set, AMF3 switch).
    #[error("the AMF0 marker {0:#04x} is not allowed")]
    Marker(u8),
    /// A string is not UTF-8.
    #[error("an AMF0 string is not UTF-8")]
    NotUtf8,
    /// Objects nest deeper than [`MAX_DEPTH`].
    #[error("AMF0 values nest deeper than {MAX_DEPTH}")]
    TooDeep,
    /// There are more values than [`MAX_VALUES`].
    #[error("more than {MAX_VALUES} AMF0 values")]
    TooMany,
}

/// Reads every value of a message.
///
/// # Errors
/// See [`Amf0Error`].
pub fn decode_all(input: &[u8]) -> Result<Vec<Value>, Amf0Error> {
    Decoder::new(input, false).all()
}

/// As [`decode_all`], but bytes that are no UTF-8 become U+FFFD.
///
/// # Errors
/// See [`Amf0Error`]; never [`Amf0Error::NotUtf8`].
pub fn decode_all_lossy(input: &[u8]) -> Result<Vec<Value>, Amf0Error> {
    Decoder::new(input, true).all()
}

/// As [`decode_all_lossy`], but a value that cannot be read ends the message and is told beside those before it.
#[must_use]
pub fn decode_readable(input: &[u8]) -> (Vec<Value>, Option<Amf0Error>) {
    let mut decoder = Decoder::new(input, true);
    let mut values = Vec::new();
    while !decoder.input.is_empty() {
        match decoder.value(0) {
            Ok(value) => values.push(value),
            Err(error) => return (values, Some(error)),
        }
    }
    (values, None)
}

struct Decoder<'a> {
    input: &'a [u8],
    lossy: bool,
    values_left: usize,
}

impl<'a> Decoder<'a> {
    fn new(input: &'a [u8], lossy: bool) -> Self {
        Self {
            input,
            lossy,
            values_left: MAX_VALUES,
        }
    }

    fn all(mut self) -> Result<Vec<Value>, Amf0Error> {
        let mut values = Vec::new();
        while !self.input.is_empty() {
            values.push(self.value(0)?);
        }
        Ok(values)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        if depth > MAX_DEPTH {
            return Err(Amf0Error::TooDeep);
        }
        self.values_left = self.values_left.checked_sub(1).ok_or(Amf0Error::TooMany)?;
        Ok(match self.u8()? {
            NUMBER => Value::Number(self.number()?),
            BOOLEAN => Value::Boolean(self.u8()? != 0),
            STRING => Value::String(self.short_string()?),
            LONG_STRING | XML_DOCUMENT => {
                let len = u32::from_be_bytes(self.array()?);
                let len = usize::try_from(len).map_err(|_| Amf0Error::Truncated)?;
                Value::String(self.text(len)?)
            }
            OBJECT => Value::Object(self.properties(depth)?),
            NULL => Value::Null,
            UNDEFINED | UNSUPPORTED => Value::Undefined,
            ECMA_ARRAY => {
                // The count is a hint that writers get wrong; the end marker decides.
                let _: [u8; 4] = self.array()?;
                Value::EcmaArray(self.properties(depth)?)
            }
            STRICT_ARRAY => {
                let count = u32::from_be_bytes(self.array()?);
                // Grows by what is really there, never by what the count claims.
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(self.value(depth + 1)?);
                }
                Value::StrictArray(items)
            }
            DATE => {
                let milliseconds = self.number()?;
                let _: [u8; 2] = self.array()?;
                Value::Date(milliseconds)
            }
            TYPED_OBJECT => Value::TypedObject {
                class: self.short_string()?,
                properties: self.properties(depth)?,
            },
            marker => return Err(Amf0Error::Marker(marker)),
        })
    }

    fn properties(&mut self, depth: usize) -> Result<Properties, Amf0Error> {
        let mut properties = Vec::new();
        loop {
            // Some FLV writers leave out the end marker of the array that closes the message.
            if depth == 0 && self.input.is_empty() && !properties.is_empty() {
                return Ok(properties);
            }
            let name = self.short_string()?;
            if name.is_empty() && self.input.first() == Some(&OBJECT_END) {
                self.u8()?;
                return Ok(properties);
            }
            properties.push((name, self.value(depth + 1)?));
        }
    }

    fn short_string(&mut self) -> Result<String, Amf0Error> {
        let len = u16::from_be_bytes(self.array()?);
        self.text(usize::from(len))
    }

    fn text(&mut self, len: usize) -> Result<String, Amf0Error> {
        let (text, rest) = self
            .input
            .split_at_checked(len)
            .ok_or(Amf0Error::Truncated)?;
        self.input = rest;
        match String::from_utf8_lossy(text) {
            Cow::Borrowed(text) => Ok(text.to_owned()),
            Cow::Owned(text) if self.lossy => Ok(text),
            Cow::Owned(_) => Err(Amf0Error::NotUtf8),
        }
    }

    fn number(&mut self) -> Result<f64, Amf0Error> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    fn u8(&mut self) -> Result<u8, Amf0Error> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Amf0Error> {
        let (array, rest) = self.input.split_first_chunk().ok_or(Amf0Error::Truncated)?;
        self.input = rest;
        Ok(*array)
    }
}

/// Appends a value. Property names and class names longer than 65,535 bytes cannot be written and are left out with
/// their values.
pub fn encode(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Number(number) => {
            out.put_u8(NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(boolean) => {
            out.put_u8(BOOLEAN);
            out.put_u8(u8::from(*boolean));
        }
        Value::String(text) => encode_str(text, out),
        Value::Object(properties) => {
            out.put_u8(OBJECT);
            encode_properties(properties, out);
        }
        Value::Null => out.put_u8(NULL),
        Value::Undefined => out.put_u8(UNDEFINED),
        Value::EcmaArray(properties) => {
            out.put_u8(ECMA_ARRAY);
            out.put_u32(u32::try_from(properties.len()).unwrap_or(u32::MAX));
            encode_properties(properties, out);
        }
        Value::StrictArray(items) => {
            let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
            out.put_u8(STRICT_ARRAY);
            out.put_u32(count);
            for item in items {
                encode(item, out);
            }
        }
        Value::Date(milliseconds) => {
            out.put_u8(DATE);
            out.put_f64(*milliseconds);
            out.put_u16(0);
        }
        Value::TypedObject { class, properties } => {
            if let Ok(len) = u16::try_from(class.len()) {
                out.put_u8(TYPED_OBJECT);
                out.put_u16(len);
                out.put_slice(class.as_bytes());
            } else {
                out.put_u8(OBJECT);
            }
            encode_properties(properties, out);
        }
    }
}

/// Appends a string value without the need to own it.
pub fn encode_str(text: &str, out: &mut BytesMut) {
    if let Ok(len) = u16::try_from(text.len()) {
        out.put_u8(STRING);
        out.put_u16(len);
    } else {
        out.put_u8(LONG_STRING);
        out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    }
    out.put_slice(text.as_bytes());
}

fn encode_properties(properties: &[(String, Value)], out: &mut BytesMut) {
    for (name, value) in properties {
        let Ok(len) = u16::try_from(name.len()) else {
            continue;
        };
        out.put_u16(len);
        out.put_slice(name.as_bytes());
        encode(value, out);
    }
    out.put_slice(&[0, 0, OBJECT_END]);
}

#[cfg(test)]
mod tests;
