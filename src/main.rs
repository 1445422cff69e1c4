//! The `localyun` program; everything is in [`localyun::program`].

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    few_arenas();
    // Where the machine gives huge pages to everybody, a heap that holds little in many places would fill few of them.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    localyun::program::main()
}

/// Lets a server's threads share a few of glibc's arenas. glibc makes up to eight a core, and each keeps the most that it ever needed: after
/// half a simulated day of 50 streams a server was 92 MB instead of 62. The number is read from the environment when a process starts and
/// never again, so the process becomes itself once more, under the same number; it goes on as it is where that cannot be done.
/// Only `serve` and `demo`: what `exec` starts must not find a variable that its user never set.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn few_arenas() {
    use std::os::unix::process::CommandExt;

    const ARENAS: &str = "MALLOC_ARENA_MAX";
    let mut own = std::env::args_os();
    let name = own.next();
    let own: Vec<_> = own.collect();
    // Without a word, or with settings alone, it is `serve`.
    let serves = own.first().is_none_or(|word| {
        let is_asked = ["-h", "--help", "-V", "--version"]
            .iter()
            .any(|asked| word == asked);
        word == "serve"
            || word == "demo"
            || (!is_asked && word.as_encoded_bytes().starts_with(b"-"))
    });
    let is_set = |name| std::env::var_os(name).is_some();
    if !serves || is_set(ARENAS) || is_set("GLIBC_TUNABLES") {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let mut again = std::process::Command::new(program);
    if let Some(name) = name {
        again.arg0(name);
    }
    // It only returns when it failed.
    let _ = again
        .args(own)
        .env(ARENAS, cores.clamp(2, 8).to_string())
        .exec();
}
