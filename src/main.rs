//! The `localyun` program; everything is in [`localyun::cli`].

use std::process::ExitCode;

/// The system's keeps what it ever needed, strewn over the arenas of its threads: a server of many streams grew by a fifth in a day.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    localyun::cli::main()
}
