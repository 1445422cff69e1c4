//! Notes: what a call did otherwise than it was asked to, or took beyond the current reference.
//!
//! A client's code must go on as on the cloud, so a note never changes an answer's body or status. It stands where a person looks who
//! wonders: in the answer's header `x-localyun-note`, in the journal, and in `explain` of the stream that the call was about.
//! Whoever comes across something worth a note says so by [`tell`], however deep inside the call.

use std::cell::RefCell;
use std::fmt;

use crate::phrases::{Phrase, Said};

/// Notes that one call keeps; a list of a thousand odd items is no thousand notes.
const MOST: usize = 8;

/// Something a caller should know, though the call was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A command found nothing that it could act on.
    NothingToDo {
        /// The value of Command.
        command: &'static str,
        /// Why there is nothing to do.
        because: Phrase,
    },
    /// JSON text came in the spelling of another language.
    LooseJson {
        /// The parameter's full name.
        parameter: String,
    },
    /// Parameters were taken without effect here.
    WithoutEffect {
        parameters: &'static [&'static str],
        because: Phrase,
    },
    /// Something was done that the current reference does not offer.
    Beyond {
        /// What, as a sentence without its full stop.
        what: Phrase,
    },
    /// What the current reference requires was absent and was filled in.
    FilledIn {
        /// The parameters.
        parameters: Vec<&'static str>,
        /// With what.
        from: Phrase,
    },
    /// What another node noted that ran the call.
    Elsewhere(Said),
}

impl Note {
    /// The note as others can word it.
    #[must_use]
    pub fn said(&self) -> Said {
        match self {
            Note::NothingToDo { command, because } => Phrase::NothingDone.around(
                [("command", command)],
                "because",
                vec![(*because).into()],
            ),
            Note::LooseJson { parameter } => Phrase::LooseJson.with([("parameter", parameter)]),
            Note::WithoutEffect {
                parameters,
                because,
            } => Phrase::WithoutEffect.around(
                [("parameters", &parameters.join(", "))],
                "because",
                vec![(*because).into()],
            ),
            Note::Beyond { what } => (*what).into(),
            Note::FilledIn { parameters, from } => Phrase::FilledIn.around(
                [("parameters", &parameters.join(", "))],
                "from",
                vec![(*from).into()],
            ),
            Note::Elsewhere(said) => said.clone(),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

tokio::task_local! {
    /// The notes of one call.
    static NOTES: RefCell<Vec<Note>>;
}

/// Keeps a note for the caller. Work that belongs to no call has nobody to tell.
pub fn tell(note: Note) {
    let _ = NOTES.try_with(|notes| {
        let mut notes = notes.borrow_mut();
        if notes.len() < MOST && !notes.contains(&note) {
            notes.push(note);
        }
    });
}

/// Does a piece of work and collects what it had to tell.
pub async fn collected<T>(work: impl Future<Output = T>) -> (T, Vec<Note>) {
    let collected = async {
        let done = work.await;
        (done, NOTES.with(RefCell::take))
    };
    NOTES.scope(RefCell::default(), collected).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loose(n: usize) -> Note {
        Note::LooseJson {
            parameter: format!("P.{n}"),
        }
    }

    #[tokio::test]
    async fn a_call_collects_its_own_notes_once_each_and_not_without_end() {
        tell(loose(0));
        let (done, notes) = collected(async {
            for n in [1, 1, 2] {
                tell(loose(n));
            }
            tokio::task::yield_now().await;
            "done"
        })
        .await;
        assert_eq!((done, notes), ("done", vec![loose(1), loose(2)]));
        let (_, notes) = collected(async { (0..100).for_each(|n| tell(loose(n))) }).await;
        assert_eq!(notes.len(), MOST);
    }
}
