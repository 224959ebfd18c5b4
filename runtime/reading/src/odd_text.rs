//! A text that turns a column of numbers or times into one of text: `NA`, `-`, `unknown`.

use arrow_schema::DataType;
use wasmill_connect::OddText;

use super::infer::Shape;

/// The texts of columns that have other values, too.
#[derive(Debug, Default)]
pub(super) struct Texts(Vec<(String, Column)>);

#[derive(Debug)]
struct Column {
    /// The text, and in how many records it occurs. With another text besides, it is not an
    /// exception.
    text: Option<(String, usize)>,
    others: usize,
    is_mixed: bool,
    /// What the other values are like.
    rest: Shape,
}

impl Texts {
    /// Adds a value of a column.
    pub fn add(&mut self, name: &str, text: &str, shape: &Shape) {
        let index = match self.0.iter().position(|(known, _)| known == name) {
            Some(index) => index,
            None => {
                self.0.push((name.to_owned(), Column { text: None, others: 0, is_mixed: false, rest: Shape::Unknown }));
                self.0.len() - 1
            }
        };
        let column = &mut self.0[index].1;
        match (shape, &mut column.text) {
            (Shape::Text, Some((known, count))) if known == text => *count += 1,
            (Shape::Text, Some(_)) => column.is_mixed = true,
            (Shape::Text, none) => *none = Some((text.to_owned(), 1)),
            (other, _) => {
                column.others += 1;
                column.rest.merge(other.clone());
            }
        }
    }

    /// The columns that would have another type without one text. `null`: the texts that mean null now.
    pub fn found(self, null: &[String]) -> Vec<OddText> {
        let odd = |(name, column): (String, Column)| {
            let (text, records) = column.text.filter(|_| !column.is_mixed && column.others > 0)?;
            let otherwise = column.rest.data_type();
            (otherwise != DataType::Utf8).then(|| OddText {
                column: name,
                text,
                records,
                values: records + column.others,
                otherwise,
                null: null.to_vec(),
            })
        };
        self.0.into_iter().filter_map(odd).collect()
    }
}
