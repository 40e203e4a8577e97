//! Rows as a table on a terminal.

use std::fmt::Write;

/// Rows that are held to find out how wide the columns are; later ones are printed as they come.
const MEASURED_ROWS: usize = 1_000;
/// A column is not made wider than this; longer values stick out.
const COLUMN_WIDTH_MAX: usize = 60;

/// One result being printed.
pub(super) struct Table {
    names: Vec<String>,
    waiting: Vec<Vec<Option<String>>>,
    widths: Option<Vec<usize>>,
    rows: u64,
}

impl Table {
    /// A result with columns of these names.
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names, waiting: Vec::new(), widths: None, rows: 0 }
    }

    /// Takes a row and gives the text to print now, if any.
    pub(super) fn push(&mut self, row: Vec<Option<String>>) -> String {
        self.rows += 1;
        if let Some(widths) = &self.widths {
            return line(&row, widths);
        }
        self.waiting.push(row);
        if self.waiting.len() < MEASURED_ROWS { String::new() } else { self.begin() }
    }

    /// The rest of the text, with the number of rows.
    pub(super) fn finish(mut self) -> String {
        let mut out = if self.widths.is_none() { self.begin() } else { String::new() };
        let noun = if self.rows == 1 { "row" } else { "rows" };
        let written = writeln!(out, "({} {noun})", self.rows);
        written.expect("a String takes everything that is written to it");
        out
    }

    fn begin(&mut self) -> String {
        let rows = std::mem::take(&mut self.waiting);
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].as_deref().map_or(0, shown_width));
            cells.max().unwrap_or(0).max(shown_width(&self.names[column])).min(COLUMN_WIDTH_MAX)
        };
        let widths: Vec<usize> = (0..self.names.len()).map(width).collect();
        let names: Vec<_> = self.names.iter().cloned().map(Some).collect();
        let rule: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let mut out = line(&names, &widths);
        out.push_str(&rule.join("-+-"));
        out.push('\n');
        for row in &rows {
            out.push_str(&line(row, &widths));
        }
        self.widths = Some(widths);
        out
    }
}

fn line(cells: &[Option<String>], widths: &[usize]) -> String {
    let mut out = String::new();
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if index > 0 {
            out.push_str(" | ");
        }
        let start = out.len();
        // NULL is shown as nothing, as psql does.
        for letter in cell.as_deref().unwrap_or_default().chars() {
            // A control character could move the cursor or worse.
            if letter.is_control() { out.extend(letter.escape_default()) } else { out.push(letter) }
        }
        let padding = width.saturating_sub(out[start..].chars().count());
        out.extend(std::iter::repeat_n(' ', padding));
    }
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
    out
}

fn shown_width(text: &str) -> usize {
    text.chars().map(|letter| if letter.is_control() { letter.escape_default().count() } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(vec!["user".to_owned(), "n".to_owned()]);
        assert_eq!(table.push(cells(&["ana", "1"])), "");
        assert_eq!(table.push(vec![None, Some("200".to_owned())]), "");
        assert_eq!(table.finish(), "user | n\n-----+----\nana  | 1\n     | 200\n(2 rows)\n");
    }

    #[test]
    fn control_characters_are_written_out() {
        let mut table = Table::new(vec!["text".to_owned()]);
        table.push(cells(&["a\u{1b}[2Jb\n"]));
        assert_eq!(table.finish(), "text\n-------------\na\\u{1b}[2Jb\\n\n(1 row)\n");
    }

    #[test]
    fn a_long_result_is_printed_as_it_comes() {
        let mut table = Table::new(vec!["n".to_owned()]);
        for _ in 1..MEASURED_ROWS {
            assert_eq!(table.push(cells(&["1"])), "");
        }
        assert!(table.push(cells(&["1"])).starts_with("n\n-\n1\n"));
        assert_eq!(table.push(cells(&["2"])), "2\n");
        assert_eq!(table.finish(), "(1001 rows)\n");
    }
}
