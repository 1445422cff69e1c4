//! The `localyun` program; everything is in [`localyun::cli`].

use std::process::ExitCode;

/// glibc's keeps what it ever needed, strewn over the arenas of its threads: a server of many streams grew by a fifth in a day.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    localyun::cli::main()
}
