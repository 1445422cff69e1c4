//! The demo's own server: throw-away folder, free ports, and a client for each of its doors.

use reqwest::Client;
use serde_json::Value;
use url::Url;

use crate::cli::CliError;
use crate::cli::control::Control;
use crate::cli::http::{self, Answer};
use crate::cli::program::{Program, Server};
use crate::cli::signed::{Call, Scheme, Signed, Stamp, VERSION};
use crate::cli::target::{Key, Target};
use crate::cli::throwaway::Throwaway;
use crate::config::{self, Raw};
use crate::ids;
use crate::signals::Signals;

pub(super) const DOMAIN: &str = "play.example.com";
pub(super) const APP: &str = "live";
pub(super) const STREAM: &str = "s1";
pub(super) const BUCKET: &str = "demo-recordings";
const KEY: (&str, &str) = ("testid", "testsecret");

/// A running server and who calls it.
pub(super) struct Stage {
    server: Box<dyn Server>,
    target: Target,
    client: Client,
}

impl Stage {
    /// Starts a server with embedded defaults: no environment, no config file. The folder has to outlive it.
    pub(super) async fn start(
        program: &dyn Program,
        signals: &mut Signals,
    ) -> Result<(Throwaway, Self), CliError> {
        let path = std::env::temp_dir().join(format!("localyun-demo-{}", ids::nonce()));
        let folder = Throwaway::make(path)?;
        let mut raw = Raw::default();
        raw.set("data-dir", folder.path().display().to_string(), "demo");
        for name in ["api-addr", "rtmp-addr", "oss-addr", "play-addr"] {
            raw.set(name, "127.0.0.1:0", "demo");
        }
        raw.set("access-keys", format!("{}:{}", KEY.0, KEY.1), "demo");
        let config = config::load(&raw, |_| None).map_err(CliError::failed)?;
        let started = program.start(config, signals).await;
        let Some(server) = started.map_err(CliError::failed)? else {
            return Err(CliError::failed("interrupted"));
        };
        let api = &server.addresses().api;
        let endpoint =
            Url::parse(api).map_err(|error| CliError::failed(format!("{api}: {error}")))?;
        let key = Key {
            id: KEY.0.to_owned(),
            secret: KEY.1.to_owned(),
            token: None,
        };
        let stage = Self {
            server,
            target: Target { endpoint, key },
            client: http::client()?,
        };
        Ok((folder, stage))
    }

    pub(super) fn api(&self) -> &str {
        &self.server.addresses().api
    }

    pub(super) fn rtmp(&self) -> &str {
        &self.server.addresses().rtmp
    }

    pub(super) fn oss(&self) -> &str {
        &self.server.addresses().oss
    }

    pub(super) fn startup_ms(&self) -> u64 {
        self.server.startup_ms()
    }

    pub(super) fn key(&self) -> &Key {
        &self.target.key
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn control(&self) -> Control<'_> {
        Control::new(&self.client, &self.target.endpoint)
    }

    /// One signed API call; anything but a 2xx is an error.
    pub(super) async fn call(
        &self,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<(Answer, Value), CliError> {
        let owned: Vec<(String, String)> = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let call = Call {
            method: "POST",
            action,
            version: VERSION,
            parameters: &owned,
        };
        let signed = Signed::new(Scheme::Acs3, call, &self.target, Stamp::now())?;
        let answer = http::fetch(signed.request(&self.client)).await?;
        if !answer.is_success() {
            return Err(CliError::failed(format!(
                "expected {action} to be accepted, got {}: {}",
                answer.status,
                answer.text()
            )));
        }
        let json = serde_json::from_slice(&answer.body).map_err(|error| {
            CliError::failed(format!("expected {action} to answer JSON: {error}"))
        })?;
        Ok((answer, json))
    }

    /// Stops the server in order.
    pub(super) async fn stop(self) {
        self.server.stop().await;
    }

    /// Serves until a signal.
    pub(super) async fn wait(self, signals: &mut Signals) -> Result<(), CliError> {
        self.server.wait(signals).await.map_err(CliError::failed)
    }

    /// Lines to copy for those who want more.
    pub(super) fn what_next(&self) -> String {
        let (api, rtmp) = (self.api(), self.rtmp());
        // The program as it was called, for those who have not installed it.
        let called = std::env::args_os().next();
        let called = called.unwrap_or_else(|| "localyun".into());
        let program = called.to_string_lossy();
        format!(
            "\nThe services keep running. To go on, in another terminal:\n\n\
             # another recording, with the built-in publisher (then move the clock over DelayTime)\n\
             {program} publish --domain {DOMAIN} --app {APP} --stream s2 --seconds 20 --speed 0 --rtmp-addr {rtmp} --endpoint {api}\n\
             curl -X POST {api}/_localyun/clock/advance -d '{{\"seconds\":181}}'\n\n\
             # or with an encoder\n\
             ffmpeg -re -i FILE -c copy -f flv '{rtmp}/{APP}/s3?vhost={DOMAIN}'\n\n\
             # ask the API, look behind it\n\
             {program} call DescribeLiveRecordConfig DomainName={DOMAIN} --endpoint {api}\n\
             curl {api}/_localyun/recordings\n\
             curl '{api}/_localyun/explain?domain={DOMAIN}&app={APP}&stream=s2'\n\n\
             # point SDKs and tools here\n\
             eval \"$({program} env --endpoint {api})\"\n\n\
             Callbacks that come in from now on are printed here. Ctrl-C ends it."
        )
    }
}
