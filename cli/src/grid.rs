//! Rows and columns as text: for lists, where a [`Table`](crate::Table) is for single numbers.

use std::fmt;

/// Between two columns.
const GAP: &str = "  ";

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A grid that is rendered by its `Display`, indented by two spaces.
pub struct Grid {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// A grid with these columns, each with its heading; headings that are all empty take no line.
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        let columns = columns.into_iter().map(|(heading, align)| (heading.to_owned(), align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row: a cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Leaves out the columns for which `is_wanted` says no, given their index and their cells.
    pub fn retain_columns(&mut self, mut is_wanted: impl FnMut(usize, &[&str]) -> bool) {
        for index in (0..self.columns.len()).rev() {
            let cells: Vec<&str> =
                self.rows.iter().filter_map(|row| row.get(index)).map(String::as_str).collect();
            if !is_wanted(index, &cells) {
                self.columns.remove(index);
                self.rows.iter_mut().filter(|row| index < row.len()).for_each(|row| drop(row.remove(index)));
            }
        }
    }

    /// Cuts the words of the first column so that no line is longer than `width`, but leaves 16 characters of them.
    pub fn fit(&mut self, width: usize) {
        let excess = self.widths().iter().map(|width| width + GAP.len()).sum::<usize>().saturating_sub(width);
        let first = self.widths().first().copied().unwrap_or(0).saturating_sub(excess).max(16);
        for cell in self.rows.iter_mut().filter_map(|row| row.first_mut()) {
            if cell.chars().count() > first {
                *cell = cell.chars().take(first - 1).chain(['…']).collect();
            }
        }
    }

    fn widths(&self) -> Vec<usize> {
        let width = |text: &String| text.chars().count();
        let columns = self.columns.iter().enumerate();
        let widest = columns.map(|(index, (heading, _))| {
            let cells = self.rows.iter().filter_map(|row| row.get(index));
            cells.chain([heading]).map(width).max().unwrap_or(0)
        });
        widest.collect()
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let headings: Vec<String> = self.columns.iter().map(|(heading, _)| heading.clone()).collect();
        let heading = Some(&headings).filter(|headings| headings.iter().any(|heading| !heading.is_empty()));
        for row in heading.into_iter().chain(&self.rows) {
            let mut line = String::new();
            for ((cell, (_, align)), width) in row.iter().zip(&self.columns).zip(&widths) {
                line.push_str(GAP);
                line.push_str(&match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                });
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new([("request", Align::Left), ("count", Align::Right), ("lost", Align::Right)]);
        grid.row(["GET /a/rather/long/path".to_owned(), "1,234".to_owned(), "0".to_owned()]);
        grid.row(["GET /ä".to_owned(), "5".to_owned(), "0".to_owned()]);
        grid
    }

    #[test]
    fn columns_line_up_under_their_headings() {
        let expected = "  request                  count  lost\n  \
                        GET /a/rather/long/path  1,234     0\n  \
                        GET /ä                       5     0\n";
        assert_eq!(grid().to_string(), expected);
    }

    #[test]
    fn columns_without_news_are_left_out_and_words_are_cut_to_fit() {
        let mut grid = grid();
        grid.retain_columns(|index, cells| index < 2 || cells.iter().any(|cell| *cell != "0"));
        grid.fit(26);
        let expected = "  request            count\n  GET /a/rather/lo…  1,234\n  GET /ä                 5\n";
        assert_eq!(grid.to_string(), expected);
    }

    #[test]
    fn without_headings_there_is_no_line_for_them() {
        let mut grid = Grid::new([("", Align::Left), ("", Align::Left)]);
        grid.row(["turns".to_owned(), "5".to_owned()]);
        assert_eq!(grid.to_string(), "  turns  5\n");
    }
}
