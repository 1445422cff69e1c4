//! Places in an answer: how they are written, and patterns that name many of them.

/// A place: names of members and numbers of items, from the top.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place(Vec<String>);

impl Place {
    pub(super) fn push(&mut self, part: impl Into<String>) {
        self.0.push(part.into());
    }

    pub(super) fn pop(&mut self) {
        self.0.pop();
    }

    /// The nearest name above or here that is no number of an item.
    pub(super) fn name(&self) -> &str {
        let mut parts = self.0.iter().rev();
        parts.find(|part| !is_number(part)).map_or("", |part| part)
    }

    /// A JSON pointer (RFC 6901).
    pub(super) fn pointer(&self) -> String {
        let parts = self.0.iter();
        parts
            .map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1")))
            .collect()
    }
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
}

/// Which places are meant: a name at any depth, or a path from the top with `*` for one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    Name(String),
    Path(Vec<String>),
}

impl Pattern {
    /// Reads `Name` or `/Path/*/Name`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix('/') {
            Some(path) => {
                let parts: Vec<String> = path.split('/').map(unescaped).collect();
                parts
                    .iter()
                    .all(|part| !part.is_empty())
                    .then_some(Self::Path(parts))
            }
            None => (!text.is_empty() && !text.contains(['/', '*']))
                .then(|| Self::Name(text.to_owned())),
        }
    }

    pub(super) fn fits(&self, place: &Place) -> bool {
        match self {
            Self::Name(name) => place.name() == name,
            Self::Path(parts) => {
                parts.len() == place.0.len()
                    && parts
                        .iter()
                        .zip(&place.0)
                        .all(|(wanted, part)| wanted == "*" || wanted == part)
            }
        }
    }
}

fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_places() {
        let mut place = Place::default();
        for part in ["List", "Item", "0", "A/b"] {
            place.push(part);
        }
        assert_eq!(place.pointer(), "/List/Item/0/A~1b");
        let fits = |text: &str| Pattern::parse(text).unwrap().fits(&place);
        assert!(fits("/List/Item/*/A~1b") && fits("/List/Item/0/*") && fits("/*/*/*/*"));
        assert!(!fits("/List/Item/*") && !fits("/List/Item/1/A~1b") && !fits("Item"));
        place.pop();
        assert!(Pattern::parse("Item").unwrap().fits(&place));
        for bad in ["", "/", "/a//b", "a/b", "*"] {
            assert_eq!(Pattern::parse(bad), None, "{bad}");
        }
    }
}
