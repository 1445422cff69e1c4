//! How much freed memory the C library keeps: little, so that a server of many streams stays as small as what it holds.
//!
//! glibc gives threads arenas of their own, up to eight a core, and each keeps the most that it ever needed; and it hands ever larger
//! blocks out of them, once one was freed. It reads its settings from the environment, when a process starts and never again, so the
//! process starts itself once more, under the same number, with those that are wanted. Somebody's own settings stay.

/// Two arenas; blocks from 128 KiB on are mapped and given back by themselves, always (glibc raises that bound by and by otherwise).
const SETTINGS: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
];

/// Starts the process anew where that is of use; otherwise, and where it cannot be done, it returns.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn settle() {
    use std::os::unix::process::CommandExt;
    let is_set = |name: &str| std::env::var_os(name).is_some();
    if is_set("GLIBC_TUNABLES") || SETTINGS.iter().any(|(name, _)| is_set(name)) {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut own = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = own.next() {
        command.arg0(name);
    }
    // It only returns when it failed; then the process goes on as it is.
    let _ = command.args(own).envs(SETTINGS).exec();
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn settle() {}
