//! XML of the object store: any body is one of the documents or refused, and a key comes back from the document it is written in.

use localyun::testing::objects::serve::fuzz::{read_documents, through_xml};

pub fn run(data: &[u8]) {
    for document in read_documents(data).into_iter().flatten() {
        // An entity cannot blow a document up. The bound is for the words around each value.
        assert!(
            document.len() <= 256 + 64 * data.len(),
            "{} of {}",
            document.len(),
            data.len()
        );
    }
    let text = String::from_utf8_lossy(data);
    let writable = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    let text: String = text
        .chars()
        .filter(|c| writable(*c) && !matches!(c, '\u{fffe}' | '\u{ffff}'))
        .collect();
    if !text.is_empty() {
        assert_eq!(through_xml(&text).as_deref(), Some(text.as_str()));
    }
}
