//! Secrets taken out of XML answers that are recorded, by the names of elements and by pairs of name and value; what else is one is told by
//! the one list. Pure.

use std::borrow::Cow;

use quick_xml::events::{BytesText, Event};
use quick_xml::{Reader, Writer};

use crate::secrets::{self, HIDDEN};

/// An XML document without its secrets; lent where it has none. One that cannot be read is hidden as a whole.
#[must_use]
pub fn xml(document: &str) -> Cow<'_, str> {
    rewritten(document).unwrap_or(Cow::Borrowed(HIDDEN))
}

fn rewritten(document: &str) -> Option<Cow<'_, str>> {
    let mut reader = Reader::from_str(document);
    let mut writer = Writer::new(Vec::with_capacity(document.len()));
    let mut open: Vec<String> = Vec::new();
    // At each level: whether a sibling has named a secret.
    let mut pairs: Vec<bool> = vec![false];
    let mut changed = false;
    // Entities come as events of their own.
    loop {
        let event = reader.read_event().ok()?;
        match &event {
            Event::Start(start) => {
                open.push(start.name().into_inner().to_owned());
                pairs.push(false);
            }
            Event::End(_) => {
                open.pop();
                pairs.pop();
            }
            Event::Eof => break,
            _ => {}
        }
        let is_text = matches!(
            event,
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_)
        );
        let Some(name) = open.last().filter(|_| is_text) else {
            writer.write_event(event).ok()?;
            continue;
        };
        let words: &str = match &event {
            Event::Text(text) => text,
            Event::CData(text) => text,
            Event::GeneralRef(text) => text,
            _ => "",
        };
        let beside = pairs.len().checked_sub(2);
        if secrets::NAMING.contains(&name.as_str())
            && secrets::is_name(words)
            && let Some(pair) = beside.and_then(|at| pairs.get_mut(at))
        {
            *pair = true;
        }
        let named = beside
            .and_then(|at| pairs.get(at))
            .copied()
            .unwrap_or(false);
        let is_secret =
            secrets::is_name(name) || (named && secrets::NAMED.contains(&name.as_str()));
        let shown = if is_secret && !words.trim().is_empty() {
            Cow::Borrowed(HIDDEN)
        } else {
            secrets::value(words)
        };
        if shown == words {
            writer.write_event(event).ok()?;
            continue;
        }
        changed = true;
        // Only what stands in CDATA is written without escapes.
        let text = match &event {
            Event::CData(_) => BytesText::new(&shown),
            _ => BytesText::from_escaped(shown.as_ref()),
        };
        writer.write_event(Event::Text(text)).ok()?;
    }
    if !changed {
        return Some(Cow::Borrowed(document));
    }
    String::from_utf8(writer.into_inner()).ok().map(Cow::Owned)
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
}
