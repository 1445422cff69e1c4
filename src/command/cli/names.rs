//! `KEY=VALUE` arguments, and whether the documented API knows their names: a typing error is told before anything is sent.

use super::CliError;
use super::arguments::RequestArgs;
use crate::spec::{Spec, names};
use crate::wire::params::{Pairs, Tree};

/// Splits the parameters and, unless told otherwise, checks every name.
pub(super) fn parameters(args: &RequestArgs) -> Result<Vec<(String, String)>, CliError> {
    let mut pairs = Vec::with_capacity(args.parameters.len());
    for text in &args.parameters {
        match text.split_once('=') {
            Some((name, _)) if names::is_of_the_call(name) => {
                return Err(CliError::Usage(format!(
                    "{name} is set by localyun itself, and cannot be given as a parameter"
                )));
            }
            Some((name, value)) if !name.is_empty() => {
                pairs.push((name.to_owned(), value.to_owned()));
            }
            _ => {
                return Err(CliError::Usage(format!(
                    "{text:?} is no parameter; write KEY=VALUE"
                )));
            }
        }
    }
    if !args.force {
        check(&args.action, &pairs)?;
    }
    Ok(pairs)
}

fn check(action: &str, pairs: &[(String, String)]) -> Result<(), CliError> {
    let spec = Spec::embedded();
    let Some(known) = spec.action(action) else {
        return Err(unknown(
            "action",
            action,
            spec.closest(action).map(str::to_owned),
        ));
    };
    // What has no readable shape, such as a list with a gap, is the server's to refuse.
    let lent = pairs.iter();
    let given: Pairs<'_> = lent.map(|(n, v)| (n.as_str(), v.as_str())).collect();
    if Tree::from_pairs(&given).is_err() {
        return Ok(());
    }
    for (name, _) in pairs {
        if let Err(near) = names::find(known, name) {
            return Err(unknown(&format!("parameter of {action}:"), name, near));
        }
    }
    Ok(())
}

fn unknown(what: &str, name: &str, near: Option<String>) -> CliError {
    let hint = near
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    CliError::Usage(format!(
        "unknown {what} {name}{hint} (--force sends it all the same)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(action: &str, name: &str) -> Option<String> {
        let pairs = [(name.to_owned(), "x".to_owned())];
        check(action, &pairs).err().map(|error| error.to_string())
    }

    #[test]
    fn documented_names_pass() {
        for name in [
            "DomainName",
            "RecordFormat.1.Format",
            "RecordFormat.2.CycleDuration",
            "TranscodeTemplates.3",
            "RegionId",
            "Format",
            "SecurityToken",
        ] {
            // A list that begins at 2 has a gap, which is for the server to say.
            assert_eq!(told("AddLiveAppRecordConfig", name), None, "{name}");
        }
    }

    #[test]
    fn typing_errors_are_told_with_the_name_that_was_meant() {
        let expected = [
            ("DomainNam", "DomainName"),
            ("domainname", "DomainName"),
            ("RecordFormat.1.Formt", "RecordFormat.1.Format"),
            ("RecordFormats.1.Format", "RecordFormat.1.Format"),
            ("DomainName.1", "DomainName"),
        ];
        for (name, near) in expected {
            let words = told("AddLiveAppRecordConfig", name).unwrap();
            assert!(words.contains(&format!("did you mean {near}?")), "{words}");
        }
        let words = told("AddLiveAppRecordConfig", "Xyzzy").unwrap();
        assert!(!words.contains("did you mean"), "{words}");
        let words = told("AddLiveAppRecordConfg", "A").unwrap();
        assert!(
            words.contains("did you mean AddLiveAppRecordConfig?"),
            "{words}"
        );
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        let args = |parameter: &str, force| RequestArgs {
            action: "DescribeLiveRecordConfig".into(),
            parameters: vec![parameter.into()],
            force,
            target: crate::cli::arguments::TargetArgs {
                endpoint: None,
                access_key: None,
                ca_file: None,
            },
        };
        for bad in [
            "DomainName",
            "=x",
            "Action=DeleteLiveDomain",
            "Version=1",
            "Signature=a",
        ] {
            assert!(parameters(&args(bad, true)).is_err(), "{bad}");
            assert!(parameters(&args(bad, false)).is_err(), "{bad}");
        }
        assert!(parameters(&args("Nonsense=1", false)).is_err());
        assert_eq!(
            parameters(&args("Nonsense=1", true)).unwrap(),
            [("Nonsense".to_owned(), "1".to_owned())]
        );
        assert_eq!(
            parameters(&args("DomainName=a=b", false)).unwrap()[0].1,
            "a=b"
        );
    }
}
