//! The `localyun` program; everything is in [`localyun::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    // Where the machine gives huge pages to everybody, a heap that holds little in many places would fill few of them.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    localyun::cli::main()
}
