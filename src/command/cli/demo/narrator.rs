//! What the demo prints: numbered steps, what was sent and answered, and the time of each.

use std::time::{Duration, Instant};

use crate::clock::monotonic;

/// Prints step by step.
#[derive(Debug)]
pub(super) struct Narrator {
    began: Instant,
    step_began: Option<Instant>,
    number: u32,
}

impl Narrator {
    /// The clock of the whole starts.
    pub(super) fn new() -> Self {
        Self {
            began: monotonic(),
            step_began: None,
            number: 0,
        }
    }

    /// Ends the step before and begins the next one.
    pub(super) fn step(&mut self, title: &str) {
        // The first step is told when it is done already.
        let began = if self.number == 0 {
            self.began
        } else {
            monotonic()
        };
        self.end();
        self.number += 1;
        self.step_began = Some(began);
        crate::cli::say(format!("\n{}. {title}", self.number));
    }

    /// A line of the step.
    pub(super) fn tell(&self, line: impl std::fmt::Display) {
        crate::cli::say(format!("   {line}"));
    }

    /// What went out.
    pub(super) fn sent(&self, line: impl std::fmt::Display) {
        crate::cli::say(format!("   -> {line}"));
    }

    /// What came back.
    pub(super) fn answered(&self, line: impl std::fmt::Display) {
        crate::cli::say(format!("   <- {line}"));
    }

    /// Ends the step with its time.
    pub(super) fn end(&mut self) {
        if let Some(began) = self.step_began.take() {
            self.tell(format!("({})", readable(began.elapsed())));
        }
    }

    /// Time since the start.
    pub(super) fn total(&self) -> String {
        readable(self.began.elapsed())
    }
}

/// A time as people say it.
fn readable(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_readable() {
        assert_eq!(readable(Duration::from_micros(999_999)), "999 ms");
        assert_eq!(readable(Duration::from_millis(1_234)), "1.23 s");
    }
}
