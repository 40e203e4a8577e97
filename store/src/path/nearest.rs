//! The known word that an unknown one was probably meant to be.

/// The one of `known` most like `word`, unless none is like it at all.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .min_by_key(|(distance, _)| *distance)
        // More than a third of the letters wrong is a guess, and a wrong guess teaches the wrong word.
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(word.len()))
        .map(|(_, candidate)| candidate)
}

/// Case, `_` and `-` carry no meaning in the names compared here: `{User_ID}` was meant as `{userId}`.
fn plain(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["alphabetic", "numeric", "consistent_hash", "none"];
        assert_eq!(nearest("alphabetical", known), Some("alphabetic"));
        assert_eq!(nearest("ConsistentHash", known), Some("consistent_hash"));
        assert_eq!(nearest("numerci", known), Some("numeric"));
        assert_eq!(nearest("geography", known), None);
    }
}
