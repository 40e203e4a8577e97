//! The known name that a wrong one was probably meant to be.

/// The nearest of `known`, when it is near enough to be worth saying.
pub(crate) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    // A third of the letters: nearer than that is a slip, further off is another word.
    let distance_max = (wrong.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, name), name))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["memory_bytes_max", "row_group_rows_max", "row_group_bytes_max", "encoders"];
        let cases = [
            ("memory_byte_max", Some("memory_bytes_max")),
            ("MEMORY_BYTES_MAX", Some("memory_bytes_max")),
            ("row_group_row_max", Some("row_group_rows_max")),
            ("encodres", Some("encoders")),
            ("colour", None),
            ("x", None),
        ];
        for (wrong, right) in cases {
            assert_eq!(nearest(wrong, known), right, "{wrong}");
        }
    }
}
