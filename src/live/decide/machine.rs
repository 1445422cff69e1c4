//! The recording state machine of one stream (section 2.5 of the behaviour reference), as one table.
//!
//! Pure: inputs in, the next state and an ordered list of things to do out. The recorder carries them out.

use serde::{Deserialize, Serialize};

use crate::model::rule::OnDemand;

/// Where the recording of a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing is recorded.
    Idle,
    /// The on-demand question is out; frames are kept until the answer.
    Asking,
    Recording,
    /// The file stays open: the stream was lost or a command paused it.
    Paused(Cause),
}

/// Why a recording is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Lost,
    Command,
}

/// What happens to a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A publisher came, or a window opened under one. `wanted`: the ingest parameter asks for recording (mode 2).
    Publish {
        mode: OnDemand,
        wanted: bool,
    },
    /// The publisher went away.
    Lost,
    AnswerYes,
    AnswerNo,
    Start,
    Stop,
    CancelDelay,
    Restart,
    DelayElapsed,
    WindowClosed,
    /// The recording cannot go on (unsupported codec, bucket gone, disk full).
    Failed,
    /// The stream cannot be recorded at all: no file is made of what came.
    Unrecordable,
    /// The service stops: what is recorded is finished.
    Shutdown,
}

/// What the recorder has to do, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Put the question to the on-demand URL, keeping frames meanwhile.
    Ask,
    /// Throw away the session and its frames.
    Discard,
    /// Begin a session with the rule in force; says record_started.
    Open,
    /// Make the kept frames a session; says record_started.
    Adopt,
    /// Go on in the same files; says record_resumed.
    Resume,
    /// Close the current slice; says record_paused.
    Pause,
    /// Close all files and end the session.
    Finalise,
    /// Close all files and go on in new ones; says record_started.
    CutFiles,
    ArmDelay,
    DisarmDelay,
}

/// How a command went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Where the recording stood before.
    pub before: State,
    /// There was something to do.
    pub acted: bool,
}

/// Why a command is refused.
///
/// # What to do
/// Nothing was changed. The API answers a command `TaskAlreadyStarted` or `InvalidStream.NotFound`, as the product does; no other input is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    TaskAlreadyStarted,
    /// Nobody publishes any more: a recording that began now would have nobody whose loss ends it.
    NotLive,
}

/// The next state and the steps to it. `live`: a publisher is there.
pub fn step(state: State, live: bool, input: Input) -> Result<(State, &'static [Step]), Refusal> {
    use Cause::{Command, Lost as ByLoss};
    use Input as I;
    use State::{Asking, Idle, Paused, Recording};
    use Step as S;

    let go: (State, &'static [Step]) = match (state, input) {
        // A publisher comes.
        (Idle, I::Publish { mode, wanted }) => match (mode, wanted) {
            (OnDemand::Automatic, _) | (OnDemand::IngestParameter, true) => (Recording, &[S::Open]),
            (OnDemand::HttpCallback, _) => (Asking, &[S::Ask]),
            (OnDemand::IngestParameter, false) | (OnDemand::Manual, _) => (Idle, &[]),
        },
        (Paused(_), I::Publish { mode, wanted }) => match (mode, wanted) {
            (OnDemand::Manual, _) | (OnDemand::IngestParameter, false) => (state, &[]),
            _ => (Recording, &[S::DisarmDelay, S::Resume]),
        },
        // The question that is out asks about the push before. Each push is asked about for itself, by the rule that it has.
        (Asking, I::Publish { mode, wanted }) => match (mode, wanted) {
            (OnDemand::Automatic, _) | (OnDemand::IngestParameter, true) => {
                (Recording, &[S::Discard, S::Open])
            }
            (OnDemand::HttpCallback, _) => (Asking, &[S::Discard, S::Ask]),
            (OnDemand::IngestParameter, false) | (OnDemand::Manual, _) => (Idle, &[S::Discard]),
        },
        (Recording, I::Publish { .. }) => (state, &[]),

        // It goes away.
        (Recording, I::Lost) => (Paused(ByLoss), &[S::Pause, S::ArmDelay]),
        (Paused(_), I::Lost) => (Paused(ByLoss), &[]),
        (Idle | Asking, I::Lost) => (state, &[]),

        // The on-demand answer.
        (Asking, I::AnswerYes) if live => (Recording, &[S::Adopt]),
        (Asking, I::AnswerYes) => (Paused(ByLoss), &[S::Adopt, S::Pause, S::ArmDelay]),
        (Asking, I::AnswerNo) => (Idle, &[S::Discard]),
        (_, I::AnswerYes | I::AnswerNo) => (state, &[]),

        // RealTimeRecordCommand: restart, stop and cancel_delay are for what was started.
        (_, I::Start | I::Restart) if !live => return Err(Refusal::NotLive),
        (Recording, I::Start) => return Err(Refusal::TaskAlreadyStarted),
        (Idle, I::Start) => (Recording, &[S::Open]),
        (Asking, I::Start) => (Recording, &[S::Adopt]),
        (Idle | Asking, I::Restart | I::Stop | I::CancelDelay) => (state, &[]),
        (Paused(_), I::Start) | (Paused(Command), I::Restart) => {
            (Recording, &[S::DisarmDelay, S::Resume])
        }
        (Paused(ByLoss), I::Restart) => (Recording, &[S::DisarmDelay, S::Finalise, S::Open]),
        (Recording, I::Restart) => (Recording, &[S::CutFiles]),
        (Recording, I::Stop) => (Paused(Command), &[S::Pause, S::ArmDelay]),
        (Paused(_), I::Stop) => (state, &[]),
        (Recording, I::CancelDelay) => (Idle, &[S::Pause, S::Finalise]),
        (Paused(_), I::CancelDelay) => (Idle, &[S::DisarmDelay, S::Finalise]),

        // Time.
        (Paused(_), I::DelayElapsed) => (Idle, &[S::Finalise]),
        (_, I::DelayElapsed) => (state, &[]),
        (Recording, I::WindowClosed) => (Idle, &[S::Pause, S::Finalise]),
        (Paused(_), I::WindowClosed) => (Idle, &[S::DisarmDelay, S::Finalise]),
        // The answer decides on what came before.
        (Idle | Asking, I::WindowClosed) => (state, &[]),

        // The end.
        (Recording, I::Failed) => (Idle, &[S::Finalise]),
        (Paused(_), I::Failed) => (Idle, &[S::DisarmDelay, S::Finalise]),
        (Recording, I::Unrecordable) => (Idle, &[S::Discard]),
        (Paused(_), I::Unrecordable) => (Idle, &[S::DisarmDelay, S::Discard]),
        (Recording, I::Shutdown) => (Idle, &[S::Pause, S::Finalise]),
        (Paused(_), I::Shutdown) => (Idle, &[S::DisarmDelay, S::Finalise]),
        (Asking, I::Failed | I::Unrecordable | I::Shutdown) => (Idle, &[S::Discard]),
        (Idle, I::Failed | I::Unrecordable | I::Shutdown) => (Idle, &[]),
    };
    Ok(go)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(inputs: &[Input]) -> (State, Vec<Step>) {
        let mut state = State::Idle;
        let mut live = false;
        let mut steps = Vec::new();
        for input in inputs {
            match input {
                Input::Publish { .. } => live = true,
                Input::Lost => live = false,
                _ => {}
            }
            if let Ok((next, todo)) = step(state, live, *input) {
                state = next;
                steps.extend_from_slice(todo);
            }
        }
        (state, steps)
    }

    const AUTO: Input = Input::Publish {
        mode: OnDemand::Automatic,
        wanted: false,
    };
    const MANUAL: Input = Input::Publish {
        mode: OnDemand::Manual,
        wanted: false,
    };

    #[test]
    fn a_short_drop_is_one_session() {
        let (state, steps) = run(&[AUTO, Input::Lost, AUTO, Input::Lost, Input::DelayElapsed]);
        assert_eq!(state, State::Idle);
        let pause = [Step::Pause, Step::ArmDelay];
        let expected: Vec<Step> = [
            &[Step::Open][..],
            &pause,
            &[Step::DisarmDelay, Step::Resume],
            &pause,
            &[Step::Finalise],
        ]
        .concat();
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_manual_recording_does_not_come_back_by_itself() {
        let (state, steps) = run(&[MANUAL, Input::Start, Input::Lost, MANUAL]);
        assert_eq!(state, State::Paused(Cause::Lost));
        assert_eq!(steps, [Step::Open, Step::Pause, Step::ArmDelay]);
    }

    #[test]
    fn start_while_recording_is_refused() {
        assert_eq!(
            step(State::Recording, true, Input::Start),
            Err(Refusal::TaskAlreadyStarted)
        );
    }

    /// The publisher may go between the look whether it is there and the command.
    #[test]
    fn nothing_begins_where_nobody_publishes() {
        for state in [State::Idle, State::Asking, State::Paused(Cause::Lost)] {
            for input in [Input::Start, Input::Restart] {
                assert_eq!(
                    step(state, false, input),
                    Err(Refusal::NotLive),
                    "{input:?}"
                );
            }
        }
    }

    #[test]
    fn each_push_is_asked_about_for_itself() {
        const ASKED: Input = Input::Publish {
            mode: OnDemand::HttpCallback,
            wanted: false,
        };
        let (state, steps) = run(&[ASKED, Input::Lost, ASKED, Input::AnswerYes]);
        assert_eq!(state, State::Recording);
        assert_eq!(
            steps,
            [Step::Ask, Step::Discard, Step::Ask, Step::Adopt],
            "what came of the first push waits for no answer any more"
        );
        // The rule was changed meanwhile.
        for (push, state, last) in [
            (AUTO, State::Recording, Step::Open),
            (MANUAL, State::Idle, Step::Discard),
        ] {
            let (then, steps) = run(&[ASKED, Input::Lost, push]);
            assert_eq!((then, steps.last()), (state, Some(&last)));
        }
        // A recording that goes on is not asked about again.
        let (state, steps) = run(&[ASKED, Input::AnswerYes, Input::Lost, ASKED]);
        assert_eq!(state, State::Recording);
        assert_eq!(steps.last(), Some(&Step::Resume));
    }

    #[test]
    fn the_end_of_a_window_ends_what_is_recorded_and_no_question() {
        let over = |state| step(state, true, Input::WindowClosed);
        for state in [State::Idle, State::Asking] {
            assert_eq!(over(state), Ok((state, &[][..])));
        }
        let ends = [Step::Pause, Step::Finalise];
        assert_eq!(over(State::Recording), Ok((State::Idle, &ends[..])));
        let ends = [Step::DisarmDelay, Step::Finalise];
        for cause in [Cause::Lost, Cause::Command] {
            assert_eq!(over(State::Paused(cause)), Ok((State::Idle, &ends[..])));
        }
    }

    #[test]
    fn where_nothing_was_started_only_a_start_does_something() {
        for state in [State::Idle, State::Asking] {
            for input in [Input::Restart, Input::Stop, Input::CancelDelay] {
                assert_eq!(step(state, true, input), Ok((state, &[][..])), "{input:?}");
            }
            assert_eq!(step(state, true, Input::Start).unwrap().0, State::Recording);
        }
    }

    fn any_input() -> impl Strategy<Value = Input> {
        let mode = prop_oneof![
            Just(OnDemand::Automatic),
            Just(OnDemand::HttpCallback),
            Just(OnDemand::IngestParameter),
            Just(OnDemand::Manual)
        ];
        prop_oneof![
            (mode, any::<bool>()).prop_map(|(mode, wanted)| Input::Publish { mode, wanted }),
            Just(Input::Lost),
            Just(Input::AnswerYes),
            Just(Input::AnswerNo),
            Just(Input::Start),
            Just(Input::Stop),
            Just(Input::CancelDelay),
            Just(Input::Restart),
            Just(Input::DelayElapsed),
            Just(Input::WindowClosed),
            Just(Input::Failed),
            Just(Input::Shutdown),
        ]
    }

    proptest! {
        /// Whatever happens, sessions open and end in pairs, a pause lies inside a session, and the delay is armed exactly while paused.
        #[test]
        fn steps_are_always_legal(inputs in proptest::collection::vec(any_input(), 0..60)) {
            let (mut state, mut live) = (State::Idle, false);
            let (mut open, mut armed, mut paused) = (false, false, false);
            for input in inputs {
                match input {
                    Input::Publish { .. } => live = true,
                    Input::Lost => live = false,
                    // The timer only exists while it is armed.
                    Input::DelayElapsed if !armed => continue,
                    _ => {}
                }
                let Ok((next, steps)) = step(state, live, input) else { continue };
                if input == Input::DelayElapsed { armed = false; }
                for step in steps {
                    match step {
                        Step::Open | Step::Adopt => { prop_assert!(!open); open = true; paused = false; }
                        Step::Finalise => { prop_assert!(open); open = false; }
                        Step::Pause => { prop_assert!(open && !paused); paused = true; }
                        Step::Resume => { prop_assert!(open && paused); paused = false; }
                        Step::CutFiles => prop_assert!(open && !paused),
                        Step::ArmDelay => { prop_assert!(!armed); armed = true; }
                        Step::DisarmDelay => { prop_assert!(armed); armed = false; }
                        Step::Ask | Step::Discard => prop_assert!(!open),
                    }
                }
                state = next;
                prop_assert_eq!(open, matches!(state, State::Recording | State::Paused(_)));
                prop_assert_eq!(armed, matches!(state, State::Paused(_)));
                prop_assert!(!matches!(state, State::Recording) || live);
            }
        }
    }
}
