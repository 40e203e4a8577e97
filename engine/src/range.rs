//! Ranges of keys, and the order they are read in.

/// The keys from `from` (inclusive) to `to` (exclusive). An empty `to` means: to the end of the space.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// The first key of the range, if it is there.
    pub from: Vec<u8>,
    /// The first key after the range; empty: the range has no end.
    pub to: Vec<u8>,
}

/// The order a scan returns its keys in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Smallest key first.
    #[default]
    Ascending,
    /// Greatest key first.
    Descending,
}

impl KeyRange {
    /// The keys from `from` (inclusive) to `to` (exclusive); an empty `to` means to the end.
    pub fn new(from: impl Into<Vec<u8>>, to: impl Into<Vec<u8>>) -> KeyRange {
        KeyRange { from: from.into(), to: to.into() }
    }

    /// All keys of the space.
    pub fn all() -> KeyRange {
        KeyRange::default()
    }

    /// All keys that begin with `prefix`.
    ///
    /// ```
    /// use ebbtide_engine::KeyRange;
    /// assert_eq!(KeyRange::prefix(b"ab"), KeyRange::new(*b"ab", *b"ac"));
    /// assert_eq!(KeyRange::prefix(&[7, 255]), KeyRange::new([7, 255], [8]));
    /// ```
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        KeyRange { from: prefix.to_vec(), to: after_prefix(prefix) }
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.from.as_slice() <= key && (self.to.is_empty() || key < self.to.as_slice())
    }

    /// Whether no key can lie in the range.
    pub fn is_empty(&self) -> bool {
        !self.to.is_empty() && self.from >= self.to
    }
}

/// The smallest key that is greater than every key beginning with `prefix`; empty when there is none.
fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut to = prefix.to_vec();
    while let Some(last) = to.pop() {
        if last < u8::MAX {
            to.push(last + 1);
            break;
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_covers_its_keys_and_no_other() {
        for prefix in [&b""[..], b"a", b"\xff", b"a\xff", b"\xff\xff\xff"] {
            let range = KeyRange::prefix(prefix);
            for key in [&b""[..], b"a", b"a\0", b"a\xff", b"a\xff\xff", b"b", b"\xfe", b"\xff", b"\xff\xff\xff\xff"] {
                assert_eq!(range.contains(key), key.starts_with(prefix), "prefix {prefix:?}, key {key:?}");
            }
        }
        assert!(KeyRange::new(*b"b", *b"a").is_empty());
        assert!(!KeyRange::all().is_empty());
    }
}
