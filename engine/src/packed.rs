//! Many byte strings in one buffer.

/// Many byte strings in one buffer, so that a million rows cost two allocations and not a million.
///
/// ```
/// use ebbtide_engine::Packed;
/// let mut rows = Packed::new();
/// rows.push(b"one");
/// rows.push_with(|row| row.extend_from_slice(b"two"));
/// assert_eq!(rows.iter().collect::<Vec<_>>(), [b"one", b"two"]);
/// assert_eq!((rows.len(), rows.bytes()), (2, 6));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    bytes: Vec<u8>,
    /// Where each string ends in `bytes`.
    ends: Vec<usize>,
}

impl Packed {
    /// None yet.
    pub fn new() -> Packed {
        Packed::default()
    }

    /// None yet, with room for `count` strings of `bytes` bytes in all.
    pub fn with_capacity(count: usize, bytes: usize) -> Packed {
        Packed { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Adds one string at the end.
    pub fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
    }

    /// Adds one string at the end: whatever `write` appends to the buffer.
    ///
    /// # Panics
    /// When `write` shortens the buffer: what is in it belongs to the strings before.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        assert!(self.bytes.len() >= start, "push_with must only append: the bytes before belong to earlier strings");
        self.ends.push(self.bytes.len());
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes all strings have together.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The string at `index`, counted from 0.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.bytes.get(start..end)
    }

    /// All strings in the order they were added.
    pub fn iter(&self) -> Iter<'_> {
        Iter { packed: self, next: 0 }
    }

    /// Forgets all strings and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// The strings of a [`Packed`], in order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    packed: &'a Packed,
    next: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let value = self.packed.get(self.next)?;
        self.next += 1;
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.packed.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Packed {
    type Item = &'a [u8];
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Packed {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Packed {
        let mut packed = Packed::new();
        for value in values {
            packed.push(value.as_ref());
        }
        packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_as_they_went_in() {
        let values: Vec<Vec<u8>> = (0..50).map(|n| vec![n; usize::from(n % 7)]).collect();
        let packed: Packed = values.iter().collect();
        assert_eq!(packed.iter().map(<[u8]>::to_vec).collect::<Vec<_>>(), values);
        assert_eq!(packed.get(50), None);
        assert_eq!(packed.iter().len(), 50);
    }

    #[test]
    fn clear_keeps_nothing() {
        let mut packed: Packed = ["a", "b"].into_iter().collect();
        packed.clear();
        assert!(packed.is_empty());
        assert_eq!(packed.bytes(), 0);
        packed.push(b"c");
        assert_eq!(packed.get(0), Some(&b"c"[..]));
    }
}
