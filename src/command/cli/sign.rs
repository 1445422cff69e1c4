//! `sign`: a signed request to look at, to send by other means, or to compare with an SDK's.

use std::io::Write;
use std::process::ExitCode;

use super::arguments::SignArgs;
use super::signed::{self, Call, Scheme, Signed, Stamp};
use super::target::Target;
use super::{Outcome, explain, names, say};

pub(super) fn run(args: &SignArgs) -> Outcome {
    if explain::is_request(&args.request.action) {
        return explain::run(args);
    }
    let target = Target::of(&args.request.target)?;
    let parameters = names::parameters(&args.request)?;
    let scheme = if args.acs3 { Scheme::Acs3 } else { Scheme::V1 };
    let call = Call {
        method: if args.method.eq_ignore_ascii_case("POST") {
            "POST"
        } else {
            "GET"
        },
        action: &args.request.action,
        version: signed::VERSION,
        parameters: &parameters,
    };
    let signed = Signed::new(scheme, call, &target, Stamp::now())?;
    if args.explain {
        // Standard output stays the URL or the line alone, for a shell's $(…).
        let _ = writeln!(std::io::stderr().lock(), "{}\n", signed.explanation);
    }
    match scheme {
        Scheme::V1 => say(&signed.url),
        Scheme::Acs3 => say(signed.curl()),
    }
    Ok(ExitCode::SUCCESS)
}
