//! Lays rows out as a table of a given width.

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width, presets};

/// The least room for a column, borders included: a narrower one is unreadable.
const LEAST_WIDTH: usize = 8;

/// A column of a table.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Its name, harmless.
    pub name: String,
    /// Whether its values are right-aligned.
    pub number: bool,
}

/// The table as text, with a line break at its end. With a `width` (in characters) long values are
/// truncated with `…`, and columns without room are named below; without one nothing is truncated.
pub(super) fn layout(columns: &[Column], rows: &[Vec<Option<String>>], width: Option<u16>) -> String {
    let room = width.map_or(usize::MAX, |width| (usize::from(width) / LEAST_WIDTH).max(1));
    let shown = columns.len().min(room);
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_truncation_indicator("…");
    match width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    let header = columns.iter().take(shown).map(|column| align(Cell::new(&column.name), column.number));
    table.set_header(one_line(header.collect()));
    for row in rows {
        let cells = row.iter().zip(columns).take(shown).map(|(value, column)| match value {
            Some(text) => align(Cell::new(text), column.number),
            None => align(Cell::new("null"), column.number),
        });
        table.add_row(one_line(cells.collect()));
    }
    // The last word on narrow terminals: no column takes it all.
    if let Some(width) = width.filter(|_| shown > 1) {
        let most = Width::Fixed((width / 2).max(LEAST_WIDTH as u16));
        table.column_iter_mut().for_each(|column| {
            column.set_constraint(ColumnConstraint::UpperBoundary(most));
        });
    }
    let mut text: String = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    let hidden: Vec<&str> = columns.iter().skip(shown).map(|column| column.name.as_str()).collect();
    if !hidden.is_empty() {
        text.push_str(&cut(&format!("… and {} more columns: {}", hidden.len(), hidden.join(", ")), width));
        text.push('\n');
    }
    text
}

fn one_line(cells: Vec<Cell>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
}

fn align(cell: Cell, number: bool) -> Cell {
    if number { cell.set_alignment(CellAlignment::Right) } else { cell }
}

fn cut(line: &str, width: Option<u16>) -> String {
    let Some(width) = width.map(usize::from) else { return line.to_owned() };
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A count with a comma every three digits.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[(&str, bool)]) -> Vec<Column> {
        names.iter().map(|(name, number)| Column { name: (*name).to_owned(), number: *number }).collect()
    }

    #[test]
    fn numbers_stand_at_the_right_and_nulls_are_named() {
        let rows = vec![vec![Some("7".into()), Some("a".into())], vec![Some("1200".into()), None]];
        let text = layout(&columns(&[("ind", true), ("title", false)]), &rows, Some(40));
        let expected = "\
┌──────────────┐
│  ind   title │
╞══════════════╡
│    7   a     │
│ 1200   null  │
└──────────────┘
";
        assert_eq!(text, expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let long = "word ".repeat(60);
        let names: Vec<(String, bool)> = (0..30).map(|n| (format!("column_{n}"), false)).collect();
        let names: Vec<(&str, bool)> = names.iter().map(|(name, number)| (name.as_str(), *number)).collect();
        let rows = [vec![Some(long); 30]];
        for (count, width) in [(2, 40), (5, 60), (30, 80), (30, 200), (1, 20)] {
            let rows: Vec<_> = rows.iter().map(|row| row[..count].to_vec()).collect();
            let text = layout(&columns(&names[..count]), &rows, Some(width));
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(width), "{count} columns in {width}:\n{text}");
            assert!(text.contains('…'), "{text}");
            assert_eq!(text.lines().count(), if count > usize::from(width) / LEAST_WIDTH { 6 } else { 5 }, "one line a row:\n{text}");
        }
    }

    #[test]
    fn without_a_terminal_nothing_is_cut() {
        let long = "x".repeat(300);
        let text = layout(&columns(&[("a", false), ("b", false)]), &[vec![Some(long.clone()), None]], None);
        assert!(text.contains(&long));
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!([0, 999, 1000, 12_345, 1_234_567].map(grouped), ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
