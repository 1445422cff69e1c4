//! The search over known mistakes: each alone first, then two at once, within a bound of work.

use crate::phrases::{Phrase, Said};

/// Bytes of text that one search may sign. A usual request has half a KiB, so that every way fits.
pub(super) const WORK: usize = 2 << 20;
/// What a try costs besides its text, in bytes.
const TRY: usize = 256;
/// Most parameters that are tried as the one that was left out.
const LEFT_OUT: usize = 64;

/// Something that clients do wrong when they sign.
pub(super) struct Mistake<W> {
    pub(super) words: Said,
    pub(super) change: Box<dyn Fn(&mut W)>,
    /// Whether it is worth trying together with others.
    pub(super) combines: bool,
}

impl<W> Mistake<W> {
    pub(super) fn new(words: impl Into<Said>, change: impl Fn(&mut W) + 'static) -> Self {
        Self {
            words: words.into(),
            change: Box::new(change),
            combines: true,
        }
    }

    /// One that is tried alone only.
    pub(super) fn alone(words: impl Into<Said>, change: impl Fn(&mut W) + 'static) -> Self {
        Self {
            combines: false,
            ..Self::new(words, change)
        }
    }
}

/// A mistake for each of these wrong values of one thing, with its words.
pub(super) fn each<W, V: Copy + 'static>(
    wrong: impl IntoIterator<Item = (V, Phrase)>,
    set: impl Fn(&mut W, V) + Copy + 'static,
) -> impl Iterator<Item = Mistake<W>> {
    wrong
        .into_iter()
        .map(move |(value, words)| Mistake::new(words, move |way: &mut W| set(way, value)))
}

/// For each of these parameters: that it was not signed.
pub(super) fn left_out<'a, W>(
    names: impl Iterator<Item = &'a String>,
    set: impl Fn(&mut W, String) + Copy + 'static,
) -> impl Iterator<Item = Mistake<W>> {
    names.take(LEFT_OUT).cloned().map(move |name| {
        let words = Phrase::ParameterNotSigned.with([("name", &name)]);
        Mistake::alone(words, move |way: &mut W| set(way, name.clone()))
    })
}

/// What a search found.
pub(super) struct Found<W> {
    pub(super) way: W,
    pub(super) words: Vec<Said>,
}

/// A try's result: whether the signature is the one that came, and the length of what was signed, in bytes.
pub(super) struct Tried {
    pub(super) same: bool,
    pub(super) length: usize,
}

/// The first way that gives the client's signature, and how many were tried.
pub(super) fn search<W: Clone + PartialEq>(
    right: &W,
    mistakes: &[Mistake<W>],
    mut attempt: impl FnMut(&W) -> Tried,
) -> (Option<Found<W>>, usize) {
    let (mut tries, mut work) = (0, 0_usize);
    // `None` when the work is used up.
    let mut matches = |way: &W| {
        let tried = attempt(way);
        tries += 1;
        work = work.saturating_add(tried.length + TRY);
        if tried.same {
            Some(true)
        } else {
            (work < WORK).then_some(false)
        }
    };
    let found = look(right, mistakes, &mut matches);
    (found, tries)
}

fn look<W: Clone + PartialEq>(
    right: &W,
    mistakes: &[Mistake<W>],
    matches: &mut impl FnMut(&W) -> Option<bool>,
) -> Option<Found<W>> {
    let changed = |way: &W, mistake: &Mistake<W>| {
        let mut way = way.clone();
        (mistake.change)(&mut way);
        way
    };
    if matches(right)? {
        return Some(Found {
            way: right.clone(),
            words: Vec::new(),
        });
    }
    for mistake in mistakes {
        let way = changed(right, mistake);
        if matches(&way)? {
            return Some(Found {
                way,
                words: vec![mistake.words.clone()],
            });
        }
    }
    let combining: Vec<&Mistake<W>> = mistakes.iter().filter(|m| m.combines).collect();
    for (at, first) in combining.iter().enumerate() {
        let one = changed(right, first);
        for second in combining.iter().skip(at + 1) {
            let both = changed(&one, second);
            // The second has taken the first one's place: that was tried already.
            if both == changed(right, second) {
                continue;
            }
            if matches(&both)? {
                return Some(Found {
                    way: both,
                    words: vec![first.words.clone(), second.words.clone()],
                });
            }
        }
    }
    None
}
