//! Lists of actions with `*` in them, for what may be forwarded and what may not. Pure.

/// Patterns of action names; `*` stands for any letters, also none. An empty list takes no action.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionPatterns(Vec<String>);

impl ActionPatterns {
    /// Reads names with commas between them.
    ///
    /// # Errors
    /// The first one that cannot be a pattern of an action's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = |pattern: &&str| {
            !pattern.is_empty()
                && pattern
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"*_-.".contains(&b))
        };
        let patterns: Vec<&str> = text.split(',').map(str::trim).collect();
        match patterns.iter().find(|pattern| !fits(pattern)) {
            Some(bad) => Err((*bad).to_owned()),
            None => Ok(Self(patterns.into_iter().map(str::to_owned).collect())),
        }
    }

    /// Whether an action is meant by one of them. Case does not matter: a list that forbids must not be passed by another spelling.
    #[must_use]
    pub fn takes(&self, action: &str) -> bool {
        self.0.iter().any(|pattern| fits(pattern, action))
    }
}

/// Whether a name fits a pattern: its pieces between the stars stand in the name in their order, the first at the beginning and the last
/// at the end.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        match left.find(piece) {
            Some(at) => left = left.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_letters() {
        for (pattern, name, is) in [
            ("Delete*", "DeleteLiveDomain", true),
            ("Delete*", "deletelivedomain", true),
            ("Delete*", "BatchDeleteLiveDomainConfigs", false),
            ("*Delete*", "BatchDeleteLiveDomainConfigs", true),
            ("*Delete*Configs", "BatchDeleteLiveDomainConfigs", true),
            ("*Delete*Config", "BatchDeleteLiveDomainConfigs", false),
            ("AddLiveDomain", "AddLiveDomain", true),
            ("AddLiveDomain", "AddLiveDomainMapping", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("a*b*b", "abb", true),
        ] {
            assert_eq!(fits(pattern, name), is, "{pattern} {name}");
        }
    }

    #[test]
    fn lists_are_read_or_the_bad_one_is_named() {
        let list = ActionPatterns::parse("Describe*, AddLiveDomain").unwrap();
        assert!(list.takes("DescribeLiveDomain") && list.takes("AddLiveDomain"));
        assert!(!list.takes("DeleteLiveDomain"));
        assert_eq!(ActionPatterns::parse("A,,B"), Err(String::new()));
        assert_eq!(ActionPatterns::parse("A b"), Err("A b".to_owned()));
        assert!(!ActionPatterns::default().takes("A"));
    }
}
