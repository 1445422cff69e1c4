//! One line that tells a waiting person how things stand. Only a terminal gets it: logs and pipes stay as they are.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::paper::size;
use super::variable;
use crate::clock::{machine_sleep, monotonic};

/// What is over sooner needs no line.
const SILENT: Duration = Duration::from_millis(500);
const REDRAW_EVERY: Duration = Duration::from_millis(200);
/// Columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;

/// Whether somebody looks at standard error.
fn is_watched() -> bool {
    std::io::stderr().is_terminal() && variable("TERM").is_none_or(|kind| kind != "dumb")
}

/// Does the work, and shows meanwhile what `line` says of it.
pub(super) async fn beside<T>(
    work: impl Future<Output = T>,
    line: impl Fn(Duration) -> String,
) -> T {
    if !is_watched() {
        return work.await;
    }
    drawn(work, line, SILENT, &mut std::io::stderr()).await
}

/// As [`beside`], on paper of any kind.
async fn drawn<T>(
    work: impl Future<Output = T>,
    line: impl Fn(Duration) -> String,
    silent: Duration,
    out: &mut impl Write,
) -> T {
    let began = monotonic();
    let mut drawn = false;
    let mut pause = silent;
    tokio::pin!(work);
    let done = loop {
        tokio::select! {
            biased;
            done = &mut work => break done,
            () = machine_sleep(pause) => {
                let columns = variable("COLUMNS").and_then(|text| text.parse().ok()).unwrap_or(COLUMNS);
                let shown: String = line(began.elapsed()).chars().take(columns.saturating_sub(1)).collect();
                let _ = write!(out, "\r\u{1b}[2K{shown}");
                let _ = out.flush();
                (drawn, pause) = (true, REDRAW_EVERY);
            }
        }
    };
    if drawn {
        // What is told next begins on a line of its own.
        let _ = write!(out, "\r\u{1b}[2K");
        let _ = out.flush();
    }
    done
}

/// Bytes on their way, and how many there will be, where that is known.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    done: Cell<u64>,
    all: Option<u64>,
}

impl Transfer {
    pub(super) fn of(all: Option<u64>) -> Self {
        Self {
            done: Cell::new(0),
            all,
        }
    }

    /// More of it has come.
    pub(super) fn add(&self, bytes: usize) {
        self.done.set(self.done.get() + bytes as u64);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.done.get()
    }

    /// How it stands after that time.
    pub(super) fn line(&self, elapsed: Duration) -> String {
        let done = self.done.get();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a speed for people; the conversion saturates"
        )]
        let speed = (done as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
        match self.all.filter(|all| *all > 0) {
            Some(all) => format!(
                "{} of {} ({} %), {} a second",
                size(done),
                size(all),
                done.saturating_mul(100) / all,
                size(speed)
            ),
            None => format!("{}, {} a second", size(done), size(speed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_is_drawn_over_itself_and_gone_at_the_end() {
        let mut out = Vec::new();
        let work = async {
            machine_sleep(Duration::from_millis(50)).await;
            7
        };
        let done = drawn(
            work,
            |_| "x".repeat(500),
            Duration::from_millis(1),
            &mut out,
        )
        .await;
        let told = String::from_utf8(out).unwrap();
        assert_eq!(done, 7);
        assert!(
            told.starts_with("\r\u{1b}[2Kxxx") && told.ends_with("\r\u{1b}[2K"),
            "{told:?}"
        );
        assert!(!told.contains('\n') && told.matches('x').count() < 500);
        let mut quick = Vec::new();
        drawn(async {}, |_| "x".to_owned(), SILENT, &mut quick).await;
        assert!(quick.is_empty());
    }

    #[test]
    fn a_transfer_tells_how_much_of_how_much() {
        let transfer = Transfer::of(Some(10_000));
        transfer.add(2_500);
        assert_eq!(
            transfer.line(Duration::from_secs(1)),
            "2.5 kB of 10.0 kB (25 %), 2.5 kB a second"
        );
        assert!(Transfer::of(None).line(Duration::ZERO).starts_with("0 B, "));
    }
}
