//! "Did you mean".

/// A name is near when no more than a third of it has to change.
const PART_WRONG_MAX: usize = 3;

/// The known name that was probably meant.
pub(super) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    known
        .map(|name| (strsim::damerau_levenshtein(&written, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= name.chars().count().div_ceil(PART_WRONG_MAX))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_a_near_name_is_meant() {
        let known = || ["nightly cleanup", "orphans"].into_iter();
        assert_eq!(nearest("Nightly clenup", known()), Some("nightly cleanup"));
        assert_eq!(nearest("verify", known()), None);
    }
}
