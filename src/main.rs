//! The `localyun` program; everything is in [`localyun::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    localyun::cli::main()
}
