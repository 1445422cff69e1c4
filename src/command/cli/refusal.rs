//! A command line that cannot be read, told in one line. Help and version come through here too, since the parser
//! hands them over as errors.

use std::process::ExitCode;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Prints it and gives the exit status.
pub(super) fn show(error: &Error) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        super::say(error.to_string().trim_end());
        let Some(error) = super::printed::failure() else {
            return ExitCode::SUCCESS;
        };
        super::complain(&error);
        return error.status();
    }
    super::complain(one_line(error));
    ExitCode::from(2)
}

/// How the usage of a subcommand ends that runs another program.
const BEHIND_DASHES: &str = "-- <COMMAND>";

fn one_line(error: &Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        // The parser's guesses, the best one last.
        Some(ContextValue::Strings(texts)) => texts.last().map(String::as_str),
        _ => None,
    };
    let (problem, near) = match error.kind() {
        ErrorKind::UnknownArgument => {
            let given = text(ContextKind::InvalidArg).unwrap_or_default();
            if !given.starts_with('-') && error.to_string().contains(BEHIND_DASHES) {
                return format!("a command goes behind --: localyun exec [OPTIONS] -- {given} …");
            }
            let what = if given.starts_with('-') {
                "unknown option"
            } else {
                "unexpected word"
            };
            (format!("{what} {given}"), text(ContextKind::SuggestedArg))
        }
        ErrorKind::InvalidSubcommand => (
            format!(
                "unknown subcommand {}",
                text(ContextKind::InvalidSubcommand).unwrap_or_default()
            ),
            text(ContextKind::SuggestedSubcommand),
        ),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let names = subcommands(&error.to_string()).join(", ");
            (format!("a subcommand is missing: {names}"), None)
        }
        ErrorKind::ValueValidation => (in_plain_words(&first_paragraph(&error.to_string())), None),
        _ => (first_paragraph(&error.to_string()), None),
    };
    match near {
        Some(near) => format!("{problem}; did you mean {near}?"),
        None => format!("{problem} (--help shows what there is)"),
    }
}

/// The names that a help text lists.
fn subcommands(help: &str) -> Vec<&str> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    list.take_while(|line| !line.trim().is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

/// What Rust's own readers of numbers say, for people who write no Rust.
fn in_plain_words(problem: &str) -> String {
    problem
        .replace("invalid float literal", "that is no number")
        .replace("invalid digit found in string", "that is no whole number")
}

/// The parser's own words without its usage and its tips.
fn first_paragraph(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    lines
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::parse;

    fn told(line: &str) -> String {
        one_line(&parse(line.split_whitespace().map(Into::into)).unwrap_err())
    }

    #[test]
    fn each_mistake_is_one_line_that_names_it() {
        let expected = [
            (
                "localyun serve --api-adr x",
                "unknown option --api-adr; did you mean --api-addr?",
            ),
            (
                "localyun --api-adr x",
                "unknown option --api-adr; did you mean --api-addr?",
            ),
            (
                "localyun publsh",
                "unknown subcommand publsh; did you mean publish?",
            ),
            (
                "localyun serv",
                "unknown subcommand serv; did you mean serve?",
            ),
            (
                "localyun serve extra",
                "unexpected word extra (--help shows what there is)",
            ),
            (
                "localyun exec --auth off pytest -q",
                "a command goes behind --: localyun exec [OPTIONS] -- pytest …",
            ),
            (
                "localyun serve --no-such-flag",
                "unknown option --no-such-flag (--help shows what there is)",
            ),
        ];
        for (line, words) in expected {
            assert_eq!(told(line), words);
        }
        for line in ["localyun help", "localyun help call", "localyun help serve"] {
            let shown = parse(line.split_whitespace().map(Into::into)).unwrap_err();
            assert_eq!(shown.kind(), ErrorKind::DisplayHelp, "{line}");
        }
        for (line, part) in [
            ("localyun rocket", "unknown subcommand rocket"),
            ("localyun publish --domain d", "--stream"),
            (
                "localyun publish --domain d --stream s --speed fast",
                "fast",
            ),
            ("localyun serve --auth", "--auth"),
            (
                "localyun snapshot",
                "a subcommand is missing: save, load, diff",
            ),
            (
                "localyun wait file --timeout x",
                "'--timeout <S>': that is no number",
            ),
            ("localyun recordings --limit 0", "0 is not in 1..=1000"),
            (
                "localyun callbacks --limit 99999",
                "99999 is not in 1..=1000",
            ),
            ("localyun wait ,", "name a kind, such as file"),
            ("localyun tail --kind ,", "name a kind, such as file"),
            ("localyun sign X --method PUT", "PUT"),
            ("localyun call", "<ACTION>"),
        ] {
            let words = told(line);
            assert!(words.contains(part) && !words.contains('\n'), "{words}");
        }
    }
}
