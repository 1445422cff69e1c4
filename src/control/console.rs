//! The console's files, from the program itself: the page, its modules, its styles. Its documents are under a policy that lets nothing from
//! elsewhere in, and no text become code.

use bytes::Bytes;
use include_dir::{Dir, include_dir};

use super::ask::{Ask, Outcome, Refused};
use crate::phrases::Phrase;
use crate::wire::outgoing::{Body, Outgoing};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/console");

const INDEX: &str = "index.html";
/// Scripts, styles and connections of this origin alone; no frame around it, no form out of it, no text as markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// A file of the console.
pub(super) async fn file(ask: Ask) -> Outcome {
    let asked = ask.part(0);
    // Addresses in the page are relative: without the slash they would lead elsewhere.
    if asked.is_empty() && !ask.parts.path.ends_with('/') {
        return Ok(
            Outgoing::new(308, "text/plain; charset=utf-8", Body::Bytes(Bytes::new()))
                .header("location", "/_localyun/ui/"),
        );
    }
    let name = if asked.is_empty() { INDEX } else { asked };
    let Some(file) = FILES.get_file(name) else {
        return Err(Refused::new(404, Phrase::NoSuchConsoleFile));
    };
    let tag = format!(
        "\"{:08x}-{}\"",
        crc32fast::hash(file.contents()),
        file.contents().len()
    );
    let unchanged = ask.parts.header("if-none-match") == Some(tag.as_str());
    let (status, body) = if unchanged {
        (304, Bytes::new())
    } else {
        (200, Bytes::from_static(file.contents()))
    };
    Ok(Outgoing::new(status, content_type(name), Body::Bytes(body))
        .header("etag", tag)
        .header("cache-control", "no-cache")
        .header("content-security-policy", POLICY)
        .header("x-content-type-options", "nosniff")
        .header("referrer-policy", "no-referrer")
        .header("cross-origin-resource-policy", "same-origin")
        .header("cross-origin-opener-policy", "same-origin"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn text(name: &str) -> &'static str {
        FILES
            .get_file(name)
            .and_then(|file| file.contents_utf8())
            .unwrap()
    }

    /// The keys of a table of texts, whose body is JSON.
    fn table(name: &str) -> serde_json::Map<String, serde_json::Value> {
        let (_, body) = text(name).split_once("export default ").unwrap();
        serde_json::from_str(body.trim_end().trim_end_matches(';')).unwrap()
    }

    fn modules<'a>(dir: &'a Dir<'a>, found: &mut Vec<(&'a str, &'a str)>) {
        for file in dir.files() {
            let path = file.path().to_str().unwrap();
            if path.ends_with(".js") && !path.starts_with("text/") {
                found.push((path, file.contents_utf8().unwrap()));
            }
        }
        dir.dirs().for_each(|dir| modules(dir, found));
    }

    fn all_modules() -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        modules(&FILES, &mut found);
        assert!(found.len() > 30);
        found
    }

    /// The places of a text that are filled in, in order. What is in braces and no name is JSON.
    fn places(value: &serde_json::Value) -> Vec<&str> {
        let text = value.as_str().unwrap();
        let rest = text.split('{').skip(1);
        let mut found: Vec<&str> = rest
            .filter_map(|rest| rest.split_once('}'))
            .map(|(name, _)| name)
            .filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
            .collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn both_languages_have_the_same_texts_with_the_same_places() {
        let (en, zh) = (table("text/en.js"), table("text/zh.js"));
        let keys = |table: &serde_json::Map<String, serde_json::Value>| {
            table.keys().cloned().collect::<BTreeSet<_>>()
        };
        assert_eq!(keys(&en), keys(&zh));
        for (key, value) in &en {
            assert_eq!(places(value), places(&zh[key]), "{key}");
            assert!(!value.as_str().unwrap().is_empty(), "{key}");
        }
    }

    #[test]
    fn every_sentence_of_the_server_has_its_chinese_with_the_same_places() {
        let told = table("text/told.js");
        let known: BTreeSet<_> = Phrase::ALL.iter().map(|phrase| phrase.code()).collect();
        let there: BTreeSet<_> = told.keys().map(String::as_str).collect();
        assert_eq!(there, known);
        for phrase in Phrase::ALL {
            let english = serde_json::Value::from(phrase.text());
            let (chinese, code) = (&told[phrase.code()], phrase.code());
            assert_eq!(places(chinese), places(&english), "{code}");
            // A sentence that is one value and nothing else says in its own language what that is about.
            let words = chinese.as_str().unwrap().replace("{call}", "路");
            assert!(words.chars().any(|c| c > '\u{2e80}'), "{code}");
        }
    }

    #[test]
    fn every_text_that_a_module_asks_for_is_there() {
        let en = table("text/en.js");
        for (path, module) in all_modules() {
            for rest in module.split("t('").skip(1) {
                let key = rest.split('\'').next().unwrap();
                let is_key = !key.is_empty()
                    && key
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b));
                // `split('…')` and the like end in t too.
                let before = module.split(rest).next().unwrap();
                let called = before[..before.len() - 3]
                    .chars()
                    .next_back()
                    .is_none_or(|c| !c.is_alphanumeric());
                if is_key && called {
                    assert!(en.contains_key(key), "{path}: {key}");
                }
            }
        }
    }

    #[test]
    fn nothing_comes_from_elsewhere_and_no_text_becomes_markup() {
        let mut all = all_modules();
        all.extend([
            ("index.html", text("index.html")),
            ("icon.svg", text("icon.svg")),
        ]);
        for (path, content) in all {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                " style=\"",
            ] {
                assert!(!content.contains(word), "{path}: {word}");
            }
            for (at, _) in content.match_indices("://") {
                let rest = &content[at + 3..];
                let known = ["www.w3.org/", "store/", "127.0.0.1", "${"]
                    .iter()
                    .any(|known| rest.starts_with(known));
                let begins = content[..at].chars().next_back();
                assert!(
                    known || !begins.is_some_and(|c| c.is_alphanumeric()),
                    "{path}: {}",
                    &rest[..rest.len().min(40)]
                );
            }
        }
    }

    #[test]
    fn the_page_asks_for_every_module_at_once() {
        // Else the browser learns of each from the one that imports it, four rounds deep.
        let page = text("index.html");
        let asked: BTreeSet<&str> = page
            .split("<link rel=\"modulepreload\" href=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        let mut there: BTreeSet<&str> = all_modules().into_iter().map(|(path, _)| path).collect();
        there.remove("app.js");
        there.extend(["text/en.js", "text/told.js", "text/zh.js"]);
        assert_eq!(asked, there);
    }

    #[test]
    fn every_import_leads_to_a_module() {
        for (path, module) in all_modules() {
            for rest in module.split("from '").skip(1) {
                let target = rest.split('\'').next().unwrap();
                let mut place: Vec<&str> = path.split('/').collect();
                place.pop();
                for step in target.split('/') {
                    match step {
                        "." => {}
                        ".." => {
                            place.pop();
                        }
                        name => place.push(name),
                    }
                }
                assert!(
                    FILES.get_file(place.join("/")).is_some(),
                    "{path}: {target}"
                );
            }
        }
    }
}
