//! Secrets taken out of XML answers that are recorded, by the names of elements and by pairs of name and value; what else is one is told by
//! the one list. Pure.
//!
//! Looked at is what an element's text says to its reader: an entity, a section of CDATA or a comment may stand within a secret.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::{BytesRef, Event};

use crate::secrets::{self, HIDDEN};

/// The mark before a document, which its reader passes over and does not count.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of an element between two tags.
struct Run<'r> {
    /// The element's name.
    name: &'r str,
    /// The number of the element around that one.
    around: usize,
    /// What the text says.
    words: &'r str,
    /// Where it stands in the document, comments in it included.
    place: Range<usize>,
}

/// An XML document without its secrets; lent where it has none. One that cannot be read is hidden as a whole.
#[must_use]
pub fn xml(document: &str) -> Cow<'_, str> {
    rewritten(document).unwrap_or(Cow::Borrowed(HIDDEN))
}

fn rewritten(document: &str) -> Option<Cow<'_, str>> {
    // Found first, since a value may stand before the name of it.
    let mut naming = HashSet::new();
    runs(document, |run| {
        if secrets::NAMING.contains(&run.name) && secrets::is_name(run.words) {
            naming.insert(run.around);
        }
    })?;
    let mut hidden: Vec<(Range<usize>, String)> = Vec::new();
    runs(document, |run| {
        let is_named = secrets::NAMED.contains(&run.name) && naming.contains(&run.around);
        let is_secret = is_named || secrets::is_name(run.name);
        let shown = if is_secret && !run.words.trim().is_empty() {
            Cow::Borrowed(HIDDEN)
        } else {
            secrets::value(run.words)
        };
        if shown != run.words {
            hidden.push((run.place, escape(shown).into_owned()));
        }
    })?;
    if hidden.is_empty() {
        return Some(Cow::Borrowed(document));
    }
    let mut whole = String::with_capacity(document.len());
    let mut copied = 0;
    for (place, shown) in hidden {
        whole.push_str(document.get(copied..place.start)?);
        whole.push_str(&shown);
        copied = place.end;
    }
    whole.push_str(document.get(copied..)?);
    Some(Cow::Owned(whole))
}

/// Goes through the texts of a document's elements; `None` where it cannot be read.
fn runs(document: &str, mut each: impl FnMut(Run<'_>)) -> Option<()> {
    let marked = document.trim_start_matches(BYTE_ORDER_MARK);
    let before = document.len() - marked.len();
    let mut reader = Reader::from_str(marked);
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut elements = 0;
    let mut words = String::new();
    let mut start = before;
    loop {
        let end = before + usize::try_from(reader.buffer_position()).ok()?;
        let event = reader.read_event().ok()?;
        match &event {
            Event::Text(text) => words.push_str(text),
            Event::CData(text) => words.push_str(text),
            Event::GeneralRef(reference) => words.push_str(&meant(reference)),
            _ => {}
        }
        let is_tag = matches!(
            event,
            Event::Start(_) | Event::End(_) | Event::Empty(_) | Event::Eof
        );
        if !is_tag {
            continue;
        }
        if let Some((_, name)) = open.last().filter(|_| !words.is_empty()) {
            let around = open.iter().nth_back(1);
            each(Run {
                name,
                around: around.map_or(0, |(number, _)| *number),
                words: &words,
                place: start..end,
            });
        }
        words.clear();
        start = before + usize::try_from(reader.buffer_position()).ok()?;
        match event {
            Event::Start(tag) => {
                elements += 1;
                open.push((elements, tag.name().into_inner().to_owned()));
            }
            Event::End(_) => {
                open.pop();
            }
            Event::Eof => return Some(()),
            _ => {}
        }
    }
}

/// What a reference stands for. One that only the document itself explains stays as it is written.
fn meant(reference: &BytesRef<'_>) -> String {
    let name: &str = reference;
    match reference.resolve_char_ref() {
        Ok(Some(character)) => character.to_string(),
        _ => resolve_predefined_entity(name).map_or_else(|| format!("&{name};"), str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_xml_are_hidden() {
        let plain =
            "<?xml version='1.0' encoding='UTF-8'?><R><RequestId>A</RequestId><X>a &amp; b</X></R>";
        assert!(matches!(xml(plain), Cow::Borrowed(text) if text == plain));
        let given = "<R><NotifyAuthKey>tell&amp;tell</NotifyAuthKey><A><ArgName>auth_key1</ArgName><ArgValue>tell</ArgValue></A><A><ArgName>x</ArgName><ArgValue>y</ArgValue></A><U>http://u:tell@h/</U></R>";
        let shown = xml(given);
        assert!(!shown.contains("tell"), "{shown}");
        for there in [
            "<ArgValue>y</ArgValue>",
            "<ArgName>auth_key1</ArgName>",
            "http://***@h/",
        ] {
            assert!(shown.contains(there), "{shown}");
        }
        assert_eq!(xml("<a><b></a>"), "***");
    }

    #[test]
    fn what_stands_in_parts_is_looked_at_as_one() {
        for (given, shown) in [
            (
                "<NotifyUrl>http://h/x?b=c&amp;token=hush</NotifyUrl>",
                "<NotifyUrl>http://h/x?b=c&amp;token=***</NotifyUrl>",
            ),
            (
                "<PublishUrl>rtmp://p/live/s?vhost=d&amp;auth_key=1-0-0-ab</PublishUrl>",
                "<PublishUrl>rtmp://p/live/s?vhost=d&amp;auth_key=***</PublishUrl>",
            ),
            ("<U>http://u:pa&amp;ss@h/</U>", "<U>http://***@h/</U>"),
            (
                "<X>{&quot;AuthKey&quot;:&quot;hush&quot;}</X>",
                "<X>{&quot;AuthKey&quot;:&quot;***&quot;}</X>",
            ),
            (
                "<X>-----BEGIN RSA PRIVATE KEY-----&#13;\nhush&#xd;\n</X>",
                "<X>***</X>",
            ),
            (
                "<U>http://h/x?to<!-- - -->ken=hu<![CDATA[sh&b=c]]></U>",
                "<U>http://h/x?token=***&amp;b=c</U>",
            ),
            (
                "<U>http://h/x?&own;=1&amp;token=hush</U>",
                "<U>http://h/x?&amp;own;=1&amp;token=***</U>",
            ),
        ] {
            assert_eq!(xml(given), shown);
        }
    }

    #[test]
    fn a_value_may_stand_before_its_name() {
        let pair = |name: &str, value: &str| {
            format!("<A><ArgValue>{value}</ArgValue><ArgName>{name}</ArgName></A>")
        };
        for name in ["auth_key1", "auth&#95;key1", "<![CDATA[auth_key1]]>"] {
            let given = pair("auth_type", "type_a") + &pair(name, "hush");
            let shown = pair("auth_type", "type_a") + &pair(name, "***");
            let [given, shown] = [given, shown].map(|pairs| format!("<R>{pairs}</R>"));
            assert_eq!(xml(&given), shown);
        }
    }

    #[test]
    fn what_is_no_secret_keeps_its_bytes() {
        let given = |key: &str| {
            format!(
                "\u{feff}<?xml version='1.0'?>\r\n<R a='&amp;'>\n <X>a &amp; b\r\n&own;&#x4e2d;<![CDATA[<c>]]><!--d--></X><E />中\n<AuthKey >{key}</AuthKey >\n</R>\n"
            )
        };
        assert_eq!(xml(&given("hush&lt;")), given("***"));
        assert!(matches!(xml(&given("")), Cow::Borrowed(_)));
    }
}
