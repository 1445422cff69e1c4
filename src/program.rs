//! The program: the command line, given the server that it starts and the actions that it tells of.

use std::process::ExitCode;

use crate::actions;
use crate::cli;
use crate::cli::program::{Program, Server, Work};
use crate::config::{Config, ConfigError};
use crate::server::{self, Running};
use crate::signals::Signals;
use crate::site::addresses::Addresses;
use crate::spec::Spec;
use crate::spec::coverage::Coverage;

struct Localyun;

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    cli::main(&Localyun)
}

impl Program for Localyun {
    fn serve(&self, config: Config, signals: Signals) -> Work<'_, Result<(), ConfigError>> {
        Box::pin(server::serve(config, signals))
    }

    fn start<'a>(
        &'a self,
        config: Config,
        signals: &'a mut Signals,
    ) -> Work<'a, Result<Option<Box<dyn Server>>, ConfigError>> {
        Box::pin(async {
            let started = server::start_unless_told(config, signals).await?;
            Ok(started.map(|running| -> Box<dyn Server> { Box::new(running) }))
        })
    }

    fn implemented(&self) -> Vec<&'static str> {
        actions::all().map(|action| action.name).collect()
    }

    fn coverage(&self, spec: &Spec) -> Result<Coverage, String> {
        let declined = actions::declined::all(spec);
        Coverage::of(spec, &self.implemented(), &declined).map_err(|error| error.to_string())
    }
}

impl Server for Running {
    fn addresses(&self) -> &Addresses {
        &self.here
    }

    fn startup_ms(&self) -> u64 {
        self.startup_ms
    }

    fn stop(self: Box<Self>) -> Work<'static, ()> {
        Box::pin(Running::stop(*self))
    }

    fn wait(self: Box<Self>, signals: &mut Signals) -> Work<'_, Result<(), ConfigError>> {
        Box::pin(Running::wait(*self, signals))
    }
}
