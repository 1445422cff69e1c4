//! Logs: standard error, compact, coloured only where somebody watches.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::paper;
use crate::config::{Config, ConfigError};

/// Starts logging with the filter of the settings.
pub(super) fn start(config: &Config) -> Result<(), ConfigError> {
    let wrong = |problem: String| {
        let source = config.shown.iter().find(|shown| shown.name == "log");
        let source = source.map_or("--log", |shown| shown.source.as_str());
        ConfigError::new(source, problem)
    };
    let directives = directives(&config.log).map_err(wrong)?;
    let filter = EnvFilter::try_new(directives)
        .map_err(|error| wrong(format!("{:?} is no log filter: {error}", config.log)))?;
    start_with(filter);
    Ok(())
}

/// A level alone is for localyun's own parts; the libraries below would drown them, and speak from warn on. Another word alone
/// would be the name of a part, and everything else silent: a misspelt level is far likelier.
fn directives(wanted: &str) -> Result<String, String> {
    let level = wanted.trim().to_ascii_lowercase();
    match level.as_str() {
        "info" | "debug" | "trace" => Ok(format!("warn,localyun={level}")),
        "off" | "error" | "warn" => Ok(level),
        _ if wanted.contains(['=', ',', '[']) => Ok(wanted.to_owned()),
        _ => Err(format!(
            "{wanted:?} is none of off, error, warn, info, debug, trace, and no filter such as warn,localyun=debug"
        )),
    }
}

/// Starts logging of what went wrong only.
pub(super) fn start_quiet() {
    start_with(EnvFilter::new("error"));
}

fn start_with(filter: EnvFilter) {
    // A subscriber that is there already (in tests) is as good.
    let _ = tracing_subscriber::fmt()
        .compact()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && paper::may_colour())
        // It would tell of a line that cannot be written by a panic, in the middle of a recording: a log whose disk is full is a log less.
        .log_internal_errors(false)
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Raw};

    #[test]
    fn a_level_alone_leaves_the_libraries_quiet() {
        let read = |wanted| directives(wanted).unwrap();
        assert_eq!(read("info"), "warn,localyun=info");
        assert_eq!(read("DEBUG"), "warn,localyun=debug");
        assert_eq!(read("error"), "error");
        assert_eq!(read("sqlx=debug"), "sqlx=debug");
        assert!(directives("inof").is_err() && directives("").is_err());
    }

    #[test]
    fn a_wrong_filter_names_its_setting() {
        let config = |source: &str| {
            let mut raw = Raw::default();
            raw.set("log", "localyun=loud", source);
            config::load(&raw, |_| None).unwrap()
        };
        let told = start(&config("--log")).unwrap_err().to_string();
        assert!(
            told.starts_with("--log: ") && told.contains("loud"),
            "{told}"
        );
    }
}
