//! The word that was probably meant.

/// The candidate that is near enough to a word for a slip to explain it; the first by name among equals.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = match word.chars().count() {
        0 | 1 => return None,
        2..=3 => 1,
        4..=7 => 2,
        _ => 3,
    };
    let folded = word.to_lowercase();
    let near = candidates.into_iter().map(|candidate| (strsim::damerau_levenshtein(&folded, &candidate.to_lowercase()), candidate));
    let near = near.filter(|(distance, candidate)| *distance <= bound && *candidate != word);
    near.min_by_key(|(distance, candidate)| (*distance, strsim::damerau_levenshtein(word, candidate), *candidate))
        .map(|(_, candidate)| candidate)
}
