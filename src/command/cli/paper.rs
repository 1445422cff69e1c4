//! How tools show things: columns and colours where somebody watches, plain lines with tabs where another program reads.

use std::io::IsTerminal;

use serde_json::Value;

/// Columns beside each other.
#[derive(Debug, Default)]
pub(super) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// A colour of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Red,
    Green,
    Yellow,
    Blue,
    Grey,
}

impl Colour {
    fn code(self) -> u8 {
        match self {
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Blue => 34,
            Self::Grey => 90,
        }
    }
}

/// Whether standard output is looked at by a person who has not forbidden colours.
pub(super) fn is_watched() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether a terminal takes colours, and nobody has forbidden them.
pub(super) fn may_colour() -> bool {
    super::variable("NO_COLOR").is_none()
        && super::variable("TERM").is_none_or(|kind| kind != "dumb")
}

/// A text in a colour, where that is seen.
pub(super) fn coloured(text: &str, colour: Colour, watched: bool) -> String {
    if watched && may_colour() {
        format!("\u{1b}[{}m{text}\u{1b}[0m", colour.code())
    } else {
        text.to_owned()
    }
}

/// The columns that a text takes: letters of East Asian scripts take two.
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| {
            if ('\u{1100}'..='\u{ffe6}').contains(&c) {
                2
            } else {
                1
            }
        })
        .sum()
}

impl Table {
    pub(super) fn of(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        // A name may hold anything; a line stays a line.
        let plain = |cell: String| cell.replace(|c: char| c.is_control(), "?");
        self.rows.push(cells.into_iter().map(plain).collect());
    }

    /// The table as text without a line end.
    pub(super) fn text(&self, watched: bool) -> String {
        if !watched {
            let lines: Vec<String> = self.rows.iter().map(|row| row.join("\t")).collect();
            return lines.join("\n");
        }
        let mut widths: Vec<usize> = self.head.iter().map(|head| width(head)).collect();
        for row in &self.rows {
            for (wide, cell) in widths.iter_mut().zip(row) {
                *wide = width(cell).max(*wide);
            }
        }
        let last = widths.len().saturating_sub(1);
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::new();
            for (number, (cell, wide)) in cells.zip(&widths).enumerate() {
                line.push_str(cell);
                if number < last {
                    line.push_str(&" ".repeat(wide - width(cell).min(*wide) + 2));
                }
            }
            line.trim_end().to_owned()
        };
        let head = line(&mut self.head.iter().copied());
        let mut lines = vec![coloured(&head, Colour::Grey, watched)];
        lines.extend(
            self.rows
                .iter()
                .map(|row| line(&mut row.iter().map(String::as_str))),
        );
        lines.join("\n")
    }
}

/// A member of an object as text; nothing where it is absent.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A member as a number or text, as it is written.
pub(super) fn shown(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// `domain/app/stream` of what has them.
pub(super) fn place(value: &Value) -> String {
    let parts = ["domain", "app", "stream"].map(|name| text(value, name));
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

/// Bytes as people say them.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut whole = bytes;
    let mut tenths = 0;
    while whole >= 1_000 && unit + 1 < UNITS.len() {
        tenths = whole % 1_000 / 100;
        whole /= 1_000;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 || whole >= 100 {
        format!("{whole} {name}")
    } else {
        format!("{whole}.{tenths} {name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_columns_for_people_and_tabs_for_programs() {
        let mut table = Table::of(&["NAME", "N"]);
        table.row(vec!["中".to_owned(), "1".to_owned()]);
        table.row(vec!["long name\n".to_owned(), "22".to_owned()]);
        assert_eq!(table.text(false), "中\t1\nlong name?\t22");
        let watched = table.text(true);
        let lines: Vec<&str> = watched.lines().collect();
        assert!(lines[0].contains("NAME        N"), "{watched}");
        assert_eq!(&lines[1..], ["中          1", "long name?  22"]);
    }

    #[test]
    fn bytes_are_said_shortly() {
        let said = [999, 1_500, 123_456, 5_432_100].map(size);
        assert_eq!(said, ["999 B", "1.5 kB", "123 kB", "5.4 MB"]);
    }
}
