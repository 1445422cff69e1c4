//! Logs: standard error, compact, coloured only where somebody watches.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, ConfigError};

/// Starts logging with the filter of the settings.
pub(super) fn start(config: &Config) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(directives(&config.log)).map_err(|error| {
        let source = config.shown.iter().find(|shown| shown.name == "log");
        let source = source.map_or("--log", |shown| shown.source.as_str());
        ConfigError::new(
            source,
            format!("{:?} is no log filter: {error}", config.log),
        )
    })?;
    start_with(filter);
    Ok(())
}

/// A level alone is for localyun's own parts; the libraries below would drown them, and speak from warn on.
fn directives(wanted: &str) -> String {
    match wanted {
        "info" | "debug" | "trace" => format!("warn,localyun={wanted}"),
        other => other.to_owned(),
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
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Raw};

    #[test]
    fn a_level_alone_leaves_the_libraries_quiet() {
        assert_eq!(directives("info"), "warn,localyun=info");
        assert_eq!(directives("error"), "error");
        assert_eq!(directives("sqlx=debug"), "sqlx=debug");
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
