//! A report as text: sections of lines, each a label, a number and what there is to say of it.

use std::fmt;

enum Row {
    Heading(String),
    Line { label: String, value: String, note: String },
}

/// A table that is rendered by its `Display`.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a section.
    pub fn section(&mut self, heading: &str) {
        self.rows.push(Row::Heading(heading.to_owned()));
    }

    /// Adds a line; the note may be empty.
    pub fn line(&mut self, label: &str, value: impl fmt::Display, note: impl Into<String>) {
        self.rows.push(Row::Line { label: label.to_owned(), value: value.to_string(), note: note.into() });
    }

    /// Adds a line for something worth a word only if it happened.
    pub fn line_if_any(&mut self, label: &str, number: u64, note: impl Into<String>) {
        if number > 0 {
            self.line(label, crate::count(number), note);
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = |part: fn(&Row) -> usize| self.rows.iter().map(part).max().unwrap_or(0);
        let labels = widest(|row| match row {
            Row::Line { label, .. } => label.chars().count(),
            Row::Heading(_) => 0,
        });
        let values = widest(|row| match row {
            Row::Line { value, .. } => value.chars().count(),
            Row::Heading(_) => 0,
        });
        for row in &self.rows {
            match row {
                Row::Heading(heading) => writeln!(f, "{heading}")?,
                Row::Line { label, value, note } if note.is_empty() => {
                    writeln!(f, "  {label:<labels$}  {value:>values$}")?;
                }
                Row::Line { label, value, note } => {
                    writeln!(f, "  {label:<labels$}  {value:>values$}  {note}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new();
        table.section("Capture");
        table.line("frames", "1,234", "");
        table.line_if_any("dropped by the kernel", 7, "the ring was full");
        table.line_if_any("never", 0, "not shown");
        let expected = "\
Capture
  frames                 1,234
  dropped by the kernel      7  the ring was full
";
        assert_eq!(table.to_string(), expected);
    }
}
