//! `compare`: scripts of calls against localyun and against an upstream, and where the answers differ.
//!
//! Exit status: 0 all the same, 1 something differs, 2 something could not be run. Only scripts that read are run unless more is allowed.

mod runner;
mod shown;
mod side;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::arguments::{CompareArgs, TargetArgs};
use super::http::{self, Terms};
use super::paper::is_watched;
use super::signed::Scheme;
use super::target::Target;
use super::{CliError, Outcome, complain, say, signals, variable};
use crate::compare::junit;
use crate::compare::mask::Masker;
use crate::compare::outcome::{self, Run, Verdict};
use crate::compare::script::{GIVEN, MAX_BYTES, Need, Script, What};
use crate::compare::words;
use crate::ids;
use crate::likeness;
use crate::site::host;
use runner::Given;
use side::Side;

/// How long the upstream may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most scripts of a run.
const MAX_SCRIPTS: usize = 1_000;
/// Letters and digits of the word that is another one for each script of each run.
const TAG: usize = 8;

/// A script with its file.
struct Loaded {
    file: String,
    folder: PathBuf,
    script: Script,
}

type Pairs = BTreeMap<String, String>;

pub(super) async fn run(mut args: CompareArgs) -> Outcome {
    if let Some(server) = args.server.take() {
        args.target.endpoint = Some(server);
    }
    let both = pairs(&args.var, "--var")?;
    let only_there = pairs(&args.upstream_var, "--upstream-var")?;
    let allowed = allowed(args.allow.as_deref())?;
    let [here, there] = sides(&args).await?;
    let given = GIVEN.map(str::to_owned).into_iter();
    let known: Vec<String> = given.chain(both.keys().cloned()).collect();
    let scripts = load(&args.scripts, &known)?;

    let mut signals = signals()?;
    let stop = runner::Stops::default();
    let watching = stop.clone();
    let watcher = tokio::spawn(async move {
        signals.told().await;
        watching.soon.cancel();
        // Whoever asks once more does not wait for what is cleaned up.
        signals.told().await;
        watching.at_once.cancel();
    });
    let mut run = Run::default();
    let mut masker = Masker::default();
    for (number, loaded) in scripts.iter().enumerate() {
        if stop.soon.is_cancelled() {
            break;
        }
        let missing: Vec<&str> = loaded
            .script
            .needs()
            .difference(&allowed)
            .map(|need| need.word())
            .collect();
        if !missing.is_empty() {
            run.outcomes.push(left_out(loaded, &missing));
            continue;
        }
        let tag = tag(number);
        let values = [
            values(&loaded.script, &tag, &both, &Pairs::new())?,
            values(&loaded.script, &tag, &both, &only_there)?,
        ];
        for values in &values {
            learn_pushes(&mut masker, &loaded.script, values);
        }
        let given = Given {
            script: &loaded.script,
            file: &loaded.file,
            folder: &loaded.folder,
        };
        let outcomes = runner::run(&given, [&here, &there], values, &stop).await;
        let part = Run { outcomes };
        complain(format!(
            "{}: {}",
            loaded.script.name,
            shown::sum(&part, false)
        ));
        run.outcomes.extend(part.outcomes);
    }
    watcher.abort();
    write(&args, &run, [&here, &there], &mut masker)?;
    if stop.at_once.is_cancelled() {
        return Err(CliError::Usage(
            "interrupted again: what a script had made may be there still; the steps of its cleanup that were left out are told above".to_owned(),
        ));
    }
    if stop.soon.is_cancelled() {
        return Err(CliError::Usage("interrupted".to_owned()));
    }
    Ok(ExitCode::from(run.status()))
}

/// Teaches the domains that a script pushes to: they stand in no call, and an error may tell them. What an earlier answer gives is not known yet.
fn learn_pushes(masker: &mut Masker, script: &Script, values: &Pairs) {
    for step in script.all_steps() {
        if let What::Push(push) = &step.what
            && let Ok(domain) = push.domain.filled(values, 0)
        {
            masker.learn("Domain", &domain);
        }
    }
}

/// Prints the run and writes the files that were asked for. The masker of the report has learnt what the scripts say.
fn write(
    args: &CompareArgs,
    run: &Run,
    sides: [&Side; 2],
    masker: &mut Masker,
) -> Result<(), CliError> {
    let watched = is_watched();
    if args.json {
        say(format!("{:#}", run.to_json(None)));
    } else {
        let table = shown::table(run, args.all, watched);
        if !table.is_empty() {
            say(table);
        }
        say(shown::sum(run, watched));
    }
    let written = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|error| {
            CliError::Usage(format!("{} cannot be written: {error}", path.display()))
        })
    };
    if let Some(path) = &args.junit {
        written(path, junit::document(run))?;
    }
    if let Some(path) = &args.report {
        for side in sides {
            masker.learn_key(&side.target.key.id, &side.target.key.secret);
            if let Some(token) = &side.target.key.token {
                masker.learn_key("", token);
            }
            masker.learn("Host", side.target.endpoint.host_str().unwrap_or_default());
            let push_addr = side.push_addr.as_deref().unwrap_or_default();
            let host = push_addr.rsplit_once(':').map(|(host, _)| host);
            masker.learn("Host", host.unwrap_or_default());
        }
        written(path, format!("{:#}\n", run.to_json(Some(masker))))?;
    }
    Ok(())
}

/// A script that is not run, since it would do what was not allowed.
fn left_out(loaded: &Loaded, missing: &[&str]) -> outcome::Outcome {
    outcome::Outcome {
        script: loaded.script.name.clone(),
        file: loaded.file.clone(),
        line: 1,
        step: "(all)".to_owned(),
        action: None,
        parameters: Vec::new(),
        here: String::new(),
        there: String::new(),
        verdict: Verdict::NotRun(format!("needs --allow {}", missing.join(","))),
        took_ms: 0,
    }
}

async fn sides(args: &CompareArgs) -> Result<[Side; 2], CliError> {
    let scheme = if args.v1 { Scheme::V1 } else { Scheme::Acs3 };
    let target = Target::of(&args.target)?;
    let wanted = |flag: &Option<String>, name: &str, option: &str, what: &str| {
        let found = flag.clone().or_else(|| variable(name));
        found.ok_or_else(|| {
            CliError::Usage(format!("{option} or {name} names the upstream's {what}"))
        })
    };
    let upstream = Target::of(&TargetArgs {
        endpoint: Some(wanted(
            &args.upstream,
            "LOCALYUN_UPSTREAM",
            "--upstream",
            "address",
        )?),
        access_key: Some(wanted(
            &args.upstream_access_key,
            "LOCALYUN_UPSTREAM_ACCESS_KEY",
            "--upstream-access-key",
            "access key",
        )?),
        ca_file: None,
    })
    .map_err(|error| CliError::Usage(format!("--upstream: {error}")))?;
    if upstream.endpoint == target.endpoint {
        return Err(CliError::Usage(format!(
            "--upstream: {} is the server that is to be compared with it",
            http::place(&target.endpoint)
        )));
    }
    let client = http::client_for(&args.target)?;
    let mut here = Side {
        name: "localyun",
        target,
        client,
        terms: Terms::OWN,
        scheme,
        is_localyun: true,
        answers_itself: true,
        push_addr: None,
        speed: if args.upstream_localyun { 0.0 } else { 1.0 },
    };
    here.push_addr = Some(here.rtmp_of_health().await.map_err(CliError::Usage)?);
    let mut there = Side {
        name: "the upstream",
        target: upstream,
        client: http::upstream_client(args.upstream_ca_file.as_deref(), PATIENCE)?,
        terms: Terms::of_upstream(PATIENCE),
        scheme,
        is_localyun: args.upstream_localyun,
        answers_itself: false,
        push_addr: None,
        speed: here.speed,
    };
    there.push_addr = match &args.upstream_push {
        Some(addr) => {
            let addr = addr.trim_start_matches("rtmp://").trim_end_matches('/');
            if !host::has_port(addr) {
                return Err(CliError::Usage(format!(
                    "--upstream-push: {addr:?} is no address; write HOST:PORT"
                )));
            }
            Some(addr.to_owned())
        }
        None if args.upstream_localyun => {
            Some(there.rtmp_of_health().await.map_err(CliError::Usage)?)
        }
        None => None,
    };
    Ok([here, there])
}

fn pairs(given: &[String], option: &str) -> Result<Pairs, CliError> {
    let mut pairs = Pairs::new();
    for text in given {
        let pair = text.split_once('=');
        let Some((name, value)) = pair.filter(|(name, _)| words::is_name(name)) else {
            return Err(CliError::Usage(format!(
                "{option}: {text:?} is no NAME=VALUE with a name of lower case letters, digits and _"
            )));
        };
        pairs.insert(name.to_owned(), value.to_owned());
    }
    Ok(pairs)
}

fn allowed(text: Option<&str>) -> Result<BTreeSet<Need>, CliError> {
    let mut allowed = BTreeSet::new();
    for word in text
        .into_iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
    {
        if word == "all" {
            allowed.extend(Need::ALL);
            continue;
        }
        let need = Need::ALL.into_iter().find(|need| need.word() == word);
        allowed.insert(need.ok_or_else(|| {
            let near = likeness::closest(Need::ALL.iter().map(|need| need.word()), word);
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            CliError::Usage(format!(
                "--allow: unknown {word:?}{near} (write, delete, push, wait, all)"
            ))
        })?);
    }
    Ok(allowed)
}

/// A word that no other script of no other run has.
fn tag(number: usize) -> String {
    let random: String = ids::nonce()
        .to_ascii_lowercase()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(TAG)
        .collect();
    format!("{random}{number}")
}

/// The variables that every script has.
fn defaults(tag: &str) -> Pairs {
    let values = [
        tag.to_owned(),
        format!("play-{tag}.example.com"),
        format!("push-{tag}.example.com"),
        format!("parity-{tag}"),
        "oss-cn-shanghai.aliyuncs.com".to_owned(),
        "cn-shanghai".to_owned(),
        "example.com".to_owned(),
        String::new(),
    ];
    let names = GIVEN.map(str::to_owned);
    names.into_iter().zip(values).collect()
}

/// The variables of a script on one side: what the caller gives wins over the script, and that over the defaults.
fn values(script: &Script, tag: &str, both: &Pairs, own: &Pairs) -> Result<Pairs, CliError> {
    let mut values = defaults(tag);
    for given in [both, own] {
        values.extend(
            given
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
    for (name, text) in &script.variables {
        if both.contains_key(name) || own.contains_key(name) {
            continue;
        }
        let now = crate::clock::machine_now();
        let value = text
            .filled(&values, now)
            .map_err(|error| CliError::Usage(format!("{}: {name}: {error}", script.name)))?;
        values.insert(name.clone(), value);
    }
    Ok(values)
}

/// Reads all scripts before the first is run.
fn load(paths: &[PathBuf], known: &[String]) -> Result<Vec<Loaded>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(in_folder(path)?);
        } else {
            files.push(path.clone());
        }
    }
    if files.len() > MAX_SCRIPTS {
        return Err(CliError::Usage(format!("more than {MAX_SCRIPTS} scripts")));
    }
    files
        .into_iter()
        .map(|path| {
            let shown = path.display().to_string();
            let wrong =
                |problem: &dyn std::fmt::Display| CliError::Usage(format!("{shown}: {problem}"));
            let text = read(&path).map_err(|error| wrong(&error))?;
            let script = Script::read(&text, known).map_err(|error| wrong(&error))?;
            Ok(Loaded {
                folder: path.parent().map(Path::to_owned).unwrap_or_default(),
                file: shown,
                script,
            })
        })
        .collect()
}

/// The text of a file, as long as it is no larger than a script may be.
fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    // One byte more, so that what is too long is seen to be.
    file.take(most + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let wrong = |problem: &dyn std::fmt::Display| {
        CliError::Usage(format!("{}: {problem}", folder.display()))
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| wrong(&error))? {
        let path = entry.map_err(|error| wrong(&error))?.path();
        if path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml")
        {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(wrong(&"there is no script (*.yaml) in it"));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_read_and_slips_are_told() {
        let words = |text: &str| {
            allowed(Some(text)).map(|needs| needs.into_iter().map(Need::word).collect::<Vec<_>>())
        };
        assert_eq!(words("delete, push").unwrap(), ["delete", "push"]);
        assert_eq!(words("all").unwrap().len(), Need::ALL.len());
        assert!(allowed(None).unwrap().is_empty());
        assert!(
            words("delte")
                .unwrap_err()
                .to_string()
                .contains("did you mean delete?")
        );
    }

    #[test]
    fn variables_of_the_caller_win() {
        let text =
            "script: x\nvars: {app: \"a-${run}\", stream: \"${app}-1\"}\nsteps:\n  - sleep: 1\n";
        let known: Vec<String> = defaults("").into_keys().collect();
        let script = Script::read(text, &known).unwrap();
        let own = values(&script, "t1", &Pairs::new(), &Pairs::new()).unwrap();
        assert_eq!(
            (own["app"].as_str(), own["stream"].as_str()),
            ("a-t1", "a-t1-1")
        );
        assert_eq!(own["domain"], "play-t1.example.com");
        let both = pairs(&["app=live".to_owned()], "--var").unwrap();
        let there = pairs(&["domain=d.example.org".to_owned()], "--upstream-var").unwrap();
        let own = values(&script, "t1", &both, &there).unwrap();
        assert_eq!(
            (own["stream"].as_str(), own["domain"].as_str()),
            ("live-1", "d.example.org")
        );
        for bad in ["app", "=x", "App=x"] {
            assert!(pairs(&[bad.to_owned()], "--var").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_report_knows_the_domains_that_are_pushed_to() {
        let text = "script: x\nsteps:\n  - push: {domain: \"${push_domain}\", app: a, stream: s}\n";
        let known: Vec<String> = defaults("").into_keys().collect();
        let script = Script::read(text, &known).unwrap();
        let mut masker = Masker::default();
        learn_pushes(&mut masker, &script, &defaults("t1"));
        assert_eq!(
            masker.text("no way to push-t1.example.com:1935"),
            "no way to <domain 1>:1935"
        );
    }

    #[test]
    fn every_script_gets_a_word_of_its_own() {
        let tags = [tag(0), tag(1)];
        assert_ne!(tags[0], tags[1]);
        for tag in tags {
            assert!(
                tag.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
                "{tag}"
            );
        }
    }
}
