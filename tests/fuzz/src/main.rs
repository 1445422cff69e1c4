//! The fuzz targets as one program. libFuzzer drives it; the environment variable `FUZZ_TARGET` names the target.
//!
//! Beside what each target asserts, every run of it is held to a bound on memory: an input may make the code under test
//! hold a fixed amount and so many times its own length, never what a number in it claims.
#![no_main]

mod input;
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use targets::{ALL, Target};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let names: Vec<&str> = ALL.iter().map(|target| target.name).collect();
        let Some(target) = ALL.iter().find(|target| target.name == name) else {
            eprintln!("FUZZ_TARGET must be one of: {}", names.join(" "));
            std::process::exit(2);
        };
        // What is made once (the embedded spec, a runtime) must not count as an input's memory.
        (target.run)(&[]);
        target
    })
}

fuzz_target!(|data: &[u8]| {
    let target = chosen();
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    (target.run)(data);
    let used = MEMORY.peak_usage().saturating_sub(before);
    let allowed = target.fixed_kib * 1024 + target.per_byte * data.len();
    assert!(
        used <= allowed,
        "{used} bytes of memory for an input of {}; {allowed} are allowed",
        data.len()
    );
});
