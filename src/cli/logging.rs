//! Logs: standard error, compact, coloured only where somebody watches.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, ConfigError};

/// Starts logging with the filter of the settings.
pub(super) fn start(config: &Config) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(&config.log).map_err(|error| {
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
