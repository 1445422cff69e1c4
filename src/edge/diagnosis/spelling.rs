//! How clients spell and order parameters when they sign: the right way and the known wrong ones.

use crate::phrases::Phrase;
use crate::wire::percent;

/// A way to percent-encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    Right,
    /// Not encoded at all.
    Plain,
    /// Encoded, and the result encoded again.
    Twice,
    /// `application/x-www-form-urlencoded`: `+` for a space, `*` kept, `~` escaped.
    Form,
    PlusForSpace,
    StarKept,
    TildeEscaped,
    /// The form's encoding with its `+` put right, and nothing else.
    StarAndTilde,
    /// What JavaScript's encodeURIComponent leaves alone.
    Component,
    /// What JavaScript's encodeURI leaves alone.
    Uri,
    SlashKept,
    ColonKept,
    LowerHex,
    /// Lower-case digits, `+` for a space, and `!*()` kept.
    DotNet,
}

impl Spelling {
    /// The wrong ones, the usual first, in words that follow "names and values are".
    pub(super) const WRONG: [(Spelling, Phrase); 13] = [
        (Spelling::Plain, Phrase::NotEncoded),
        (Spelling::Twice, Phrase::EncodedTwice),
        (Spelling::Form, Phrase::EncodedAsForm),
        (Spelling::PlusForSpace, Phrase::PlusForSpace),
        (Spelling::StarKept, Phrase::StarKept),
        (Spelling::TildeEscaped, Phrase::TildeEscaped),
        (Spelling::StarAndTilde, Phrase::StarKeptTildeEscaped),
        (Spelling::SlashKept, Phrase::SlashKept),
        (Spelling::ColonKept, Phrase::ColonKept),
        (Spelling::Component, Phrase::ComponentKept),
        (Spelling::Uri, Phrase::ReservedKept),
        (Spelling::LowerHex, Phrase::LowerHexDigits),
        (Spelling::DotNet, Phrase::LowerHexDigitsAndPlus),
    ];

    /// Appends `text`, encoded this way.
    pub(super) fn write(self, out: &mut String, text: &str) {
        let (kept, plus, lower) = match self {
            Spelling::Right => ("-_.~", false, false),
            Spelling::Plain => {
                out.push_str(text);
                return;
            }
            Spelling::Twice => {
                percent::encode_twice_into(out, text);
                return;
            }
            Spelling::Form => ("-_.*", true, false),
            Spelling::PlusForSpace => ("-_.~", true, false),
            Spelling::StarKept => ("-_.~*", false, false),
            Spelling::TildeEscaped => ("-_.", false, false),
            Spelling::StarAndTilde => ("-_.*", false, false),
            Spelling::Component => ("-_.~!'()*", false, false),
            Spelling::Uri => ("-_.~!'()*;/?:@&=+$,#", false, false),
            Spelling::SlashKept => ("-_.~/", false, false),
            Spelling::ColonKept => ("-_.~:", false, false),
            Spelling::LowerHex => ("-_.~", false, true),
            Spelling::DotNet => ("-_.!*()", true, true),
        };
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
                out.push(char::from(byte));
            } else if plus && byte == b' ' {
                out.push('+');
            } else {
                out.push('%');
                for nibble in [byte >> 4, byte & 0x0f] {
                    let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                    out.push(if lower {
                        digit
                    } else {
                        digit.to_ascii_uppercase()
                    });
                }
            }
        }
    }
}

/// A way to put parameters into an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By name as bytes: the right one.
    Bytes,
    AsSent,
    IgnoringCase,
    /// By the whole `name=value`, which puts `A.1=` before `A=`.
    Joined,
}

impl Order {
    pub(super) const WRONG: [(Order, Phrase); 3] = [
        (Order::AsSent, Phrase::NotSorted),
        (Order::IgnoringCase, Phrase::SortedIgnoringCase),
        (Order::Joined, Phrase::SortedByPair),
    ];
}

/// `name=value&…` in this order and spelling.
pub(super) fn canonical_query(
    pairs: &[&(String, String)],
    order: Order,
    spelling: Spelling,
) -> String {
    let mut pairs = pairs.to_vec();
    match order {
        Order::AsSent => {}
        Order::Bytes => pairs.sort_unstable(),
        Order::IgnoringCase => pairs.sort_by_cached_key(|(name, _)| name.to_ascii_lowercase()),
        Order::Joined => pairs.sort_by_cached_key(|(name, value)| format!("{name}={value}")),
    }
    let mut out = String::with_capacity(256);
    for (at, (name, value)) in pairs.into_iter().enumerate() {
        if at > 0 {
            out.push('&');
        }
        spelling.write(&mut out, name);
        out.push('=');
        spelling.write(&mut out, value);
    }
    out
}

/// How the HTTP method is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Own,
    Swapped,
    Lower,
}

impl Verb {
    pub(super) const WRONG: [(Verb, Phrase); 2] = [
        (Verb::Swapped, Phrase::MethodSwapped),
        (Verb::Lower, Phrase::MethodLower),
    ];

    pub(super) fn of(self, method: &str) -> String {
        match self {
            Verb::Own => method.to_ascii_uppercase(),
            Verb::Swapped if method.eq_ignore_ascii_case("GET") => "POST".to_owned(),
            Verb::Swapped => "GET".to_owned(),
            Verb::Lower => method.to_ascii_lowercase(),
        }
    }
}
