//! A small table as bars: its last column of numbers, by the values of its other columns.

use indicatif::HumanCount;
use maud::{Markup, html};

use super::profile::TableProfile;
use crate::diagnostics::shorten;

/// More bars are not told apart.
const MAX_BARS: usize = 30;
/// The size of the drawing, in pixels of its own.
const WIDTH: f64 = 760.0;
const LABELS: f64 = 250.0;
const NUMBERS: f64 = 90.0;
const BAR: f64 = 16.0;
const STEP: f64 = 22.0;
/// As many characters of a label as fit.
const LABEL_CHARS: usize = 36;

/// Bars.
#[derive(Debug, PartialEq)]
pub struct Chart {
    /// The column that they show.
    measure: String,
    /// From above.
    bars: Vec<Bar>,
    /// How many more rows there are.
    more: usize,
}

#[derive(Debug, PartialEq)]
struct Bar {
    label: String,
    value: f64,
    shown: String,
}

impl Chart {
    /// The bars of a table; `None` where bars would say nothing: no number to show, none to show it by, or many rows.
    pub fn of(table: &TableProfile) -> Option<Self> {
        let kept = table.kept.as_ref().filter(|kept| kept.rows.len() > 1)?;
        let measure = table.columns.iter().rposition(|column| column.is_number)?;
        let labels: Vec<usize> = (0..table.columns.len()).filter(|column| *column != measure).collect();
        let first = *labels.first()?;
        let bar = |row: &Vec<Option<String>>| {
            let shown = row[measure].clone()?;
            let value = shown.parse::<f64>().ok().filter(|value| value.is_finite())?;
            let label = labels.iter().map(|column| row[*column].as_deref().unwrap_or("null")).collect::<Vec<_>>().join(" · ");
            Some(Bar { label, value, shown })
        };
        let mut bars: Vec<Bar> = kept.rows.iter().filter_map(bar).collect();
        // Rows are sorted: years and the like keep their order, other labels go by size.
        if !table.columns[first].is_number {
            bars.sort_by(|one, next| next.value.total_cmp(&one.value));
        }
        let more = bars.len().saturating_sub(MAX_BARS);
        bars.truncate(MAX_BARS);
        (bars.len() > 1).then(|| Self { measure: table.columns[measure].name.clone(), bars, more })
    }

    /// The drawing.
    pub fn draw(&self) -> Markup {
        let least = self.bars.iter().map(|bar| bar.value).fold(0.0, f64::min);
        let greatest = self.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
        let range = if greatest > least { greatest - least } else { 1.0 };
        let room = WIDTH - LABELS - NUMBERS;
        let place = |value: f64| LABELS + (value - least) / range * room;
        let height = STEP * self.bars.len() as f64;
        html! {
            figure {
                svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(format!("{} by row, as bars", self.measure)) {
                    @for (index, bar) in self.bars.iter().enumerate() {
                        @let top = STEP * index as f64 + (STEP - BAR) / 2.0;
                        @let (from, to) = (place(bar.value.min(0.0)), place(bar.value.max(0.0)));
                        g {
                            title { (bar.label) ": " (bar.shown) }
                            text.label x=(LABELS - 8.0) y=(top + BAR - 4.0) text-anchor="end" { (shorten(&bar.label, LABEL_CHARS)) }
                            rect.bar x=(format!("{from:.1}")) y=(top) width=(format!("{:.1}", (to - from).max(1.0))) height=(BAR) rx="2" {}
                            text.number x=(format!("{:.1}", to + 6.0)) y=(top + BAR - 4.0) { (bar.shown) }
                        }
                    }
                }
                figcaption {
                    (self.measure)
                    @if self.more > 0 { ": the first " (self.bars.len()) " of " (HumanCount((self.bars.len() + self.more) as u64)) " rows" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

    use super::super::table::Gathering;
    use super::*;

    fn table(columns: Vec<(&str, ArrayRef)>) -> TableProfile {
        let records = RecordBatch::try_from_iter(columns).unwrap();
        let mut profile = TableProfile::new(records.schema_ref());
        profile.take(&records).unwrap();
        profile
    }

    fn numbers(values: &[i64]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    fn labels(chart: Option<Chart>) -> Vec<String> {
        chart.unwrap().bars.into_iter().map(|bar| format!("{}={}", bar.label, bar.shown)).collect()
    }

    #[test]
    fn names_go_by_size_and_years_by_year() {
        let names: ArrayRef = Arc::new(StringArray::from(vec!["art", "travel", "<b>"]));
        let by_name = table(vec![("category", Arc::clone(&names)), ("count", numbers(&[1, 3, 2]))]);
        assert_eq!(labels(Chart::of(&by_name)), ["travel=3", "<b>=2", "art=1"]);
        assert!(!Chart::of(&by_name).unwrap().draw().into_string().contains("<b>"), "texts are escaped");
        let by_year = table(vec![("year", numbers(&[2022, 2020, 2021])), ("category", names), ("count", numbers(&[5, 3, 9]))]);
        assert_eq!(labels(Chart::of(&by_year)), ["2020 · travel=3", "2021 · <b>=9", "2022 · art=5"]);
    }

    #[test]
    fn what_bars_would_not_show_has_none() {
        assert_eq!(Chart::of(&table(vec![("count", numbers(&[1, 2]))])), None, "nothing to show it by");
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        assert_eq!(Chart::of(&table(vec![("name", Arc::clone(&names))])), None, "no number");
        let many = numbers(&(0..201).collect::<Vec<_>>());
        assert_eq!(Chart::of(&table(vec![("one", Arc::clone(&many)), ("two", many)])), None, "many rows");
        let negative = Chart::of(&table(vec![("name", names), ("change", numbers(&[-5, 5]))])).unwrap();
        assert!(!negative.draw().into_string().contains("width=\"-"), "bars below zero begin on their left");
    }
}
