//! Which of some sorted keys have no other key between them, and so can go as one range.

use crate::error::Error;
use std::ops::Range;

/// Stretches of `wanted` (sorted, without doubles) between whose first and last key only wanted ones are stored.
///
/// `next` gives the stored keys in order, from the first wanted one on. The walk ends after `strangers_max` other keys; what
/// lies behind is in no stretch.
pub(super) fn stretches<K: Ord>(
    wanted: &[K],
    strangers_max: usize,
    mut next: impl FnMut() -> Result<Option<K>, Error>,
) -> Result<Vec<Range<usize>>, Error> {
    let mut found = Vec::new();
    let (mut start, mut at, mut strangers) = (0, 0, 0);
    while at < wanted.len()
        && let Some(stored) = next()?
    {
        if stored == wanted[at] {
            at += 1;
            continue;
        }
        // Somebody else's key, or a wanted one that is not stored.
        if start < at {
            found.push(start..at);
        }
        while at < wanted.len() && wanted[at] < stored {
            at += 1;
        }
        if wanted.get(at) == Some(&stored) {
            start = at;
            at += 1;
            continue;
        }
        start = at;
        strangers += 1;
        if strangers > strangers_max {
            return Ok(found);
        }
    }
    if start < at {
        found.push(start..at);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::stretches;

    fn of(wanted: &[u32], stored: &[u32], strangers_max: usize) -> Vec<(usize, usize)> {
        let first = wanted.first().copied().unwrap_or(0);
        let mut stored = stored.iter().copied().filter(|key| *key >= first);
        let found = stretches(wanted, strangers_max, || Ok(stored.next())).unwrap();
        found.into_iter().map(|stretch| (stretch.start, stretch.end)).collect()
    }

    #[test]
    fn a_stretch_ends_where_another_key_lies() {
        assert_eq!(of(&[1, 2, 3], &[0, 1, 2, 3, 4], 9), [(0, 3)]);
        assert_eq!(of(&[1, 2, 5, 7], &[1, 2, 3, 4, 5, 6, 7], 9), [(0, 2), (2, 3), (3, 4)]);
        assert_eq!(of(&[1, 9], &[1, 9], 9), [(0, 2)]);
        assert_eq!(of(&[], &[1], 9), []);
    }

    #[test]
    fn a_wanted_key_that_is_not_stored_is_in_no_stretch() {
        assert_eq!(of(&[1, 2, 3, 4], &[1, 3, 4], 9), [(0, 1), (2, 4)]);
        assert_eq!(of(&[1, 2, 3], &[1, 4], 9), [(0, 1)]);
        assert_eq!(of(&[5, 6], &[], 9), []);
    }

    #[test]
    fn the_walk_ends_after_too_many_other_keys() {
        assert_eq!(of(&[1, 2, 8, 9], &[1, 2, 3, 4, 5, 8, 9], 2), [(0, 2)]);
    }

    #[test]
    fn no_stretch_ever_holds_another_key() {
        // Every subset of eight stored keys is wanted once.
        let stored: Vec<u32> = (0..8).collect();
        for subset in 0..=u8::MAX {
            let wanted: Vec<u32> = stored.iter().copied().filter(|key| subset >> key & 1 == 1).collect();
            let found = of(&wanted, &stored, 8);
            let covered: usize = found.iter().map(|(from, to)| to - from).sum();
            assert_eq!(covered, wanted.len(), "{subset:b}");
            for (from, to) in found {
                let keys = &wanted[from..to];
                assert_eq!(keys.last().unwrap() - keys[0] + 1, keys.len() as u32, "{subset:b}");
            }
        }
    }
}
