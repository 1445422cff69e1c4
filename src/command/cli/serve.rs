//! `serve`: settings, logs, then the server until a signal.

use std::process::ExitCode;

use super::program::Program;
use super::throwaway::Throwaway;
use super::{CliError, Outcome, logging, signals, variable};
use crate::config::{self, Raw};

pub(super) async fn run(program: &dyn Program, flags: &Raw) -> Outcome {
    let signals = signals()?;
    let config = config::load(flags, variable).map_err(CliError::usage)?;
    logging::start(&config).map_err(CliError::usage)?;
    let _folder = config
        .ephemeral
        .then(|| Throwaway::make(config.data_dir.clone()))
        .transpose()
        .map_err(|error| CliError::usage(format!("--ephemeral: {error}")))?;
    program
        .serve(config, signals)
        .await
        .map_err(CliError::usage)?;
    Ok(ExitCode::SUCCESS)
}
