//! `serve`: settings, logs, then the server until a signal.

use std::process::ExitCode;

use super::throwaway::Throwaway;
use super::{CliError, Outcome, complain, logging, variable};
use crate::config::{self, Raw, strange_variables};
use crate::server;

pub(super) async fn run(flags: &Raw) -> Outcome {
    tell_strange_variables();
    let config = config::load(flags, variable).map_err(CliError::usage)?;
    logging::start(&config).map_err(CliError::usage)?;
    let _folder = config
        .ephemeral
        .then(|| Throwaway::make(config.data_dir.clone()))
        .transpose()?;
    server::serve(config).await.map_err(CliError::usage)?;
    Ok(ExitCode::SUCCESS)
}

/// A variable that nothing reads was meant for something.
fn tell_strange_variables() {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for (name, near) in strange_variables(names) {
        complain(match near {
            Some(near) => format!("{name} is no setting; did you mean {near}?"),
            None => format!("{name} is no setting; localyun serve --help lists them"),
        });
    }
}
