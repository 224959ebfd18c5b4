//! Did you mean …?

/// The candidate that was probably meant: near enough by edits that a slip of the finger explains it.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |text: &str| text.to_lowercase().replace('-', "_");
    let folded = fold(word);
    let bound = match folded.chars().count() {
        0 | 1 => return None,
        2..=3 => 1,
        4..=7 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| (strsim::damerau_levenshtein(&folded, &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        assert_eq!(nearest("sorces", ["sinks", "sources"]), Some("sources"));
        assert_eq!(nearest("clean_pin", ["clean-pin"]), Some("clean-pin"));
        assert_eq!(nearest("epcoh", ["epoch"]), Some("epoch"));
        assert_eq!(nearest("kafka", ["files", "delta"]), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
