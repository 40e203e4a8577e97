//! Keys whose bytes sort as their parts do.
//!
//! Numbers are `u64` big endian. Text carries its length in front, so that no text is a prefix of another and every part can be
//! read back; such texts sort by length first, which groups them all the same.
//!
//! ```
//! use ebbtide_engine::keys::{Key, Parts};
//! let key = Key::new().u64(7).text("ana").u64(42).into_vec();
//! let mut parts = Parts::of(&key);
//! assert_eq!((parts.u64(), parts.text(), parts.u64()), (Some(7), Some("ana"), Some(42)));
//! assert!(parts.is_empty());
//! ```

/// Texts up to this length carry it in one byte; a longer one carries [`LONG`] and its length in four.
const SHORT_BYTES_MAX: usize = 254;
const LONG: u8 = 255;

/// A key being built from its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// An empty key.
    pub fn new() -> Key {
        Key::default()
    }

    /// An empty key with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Key {
        Key(Vec::with_capacity(bytes))
    }

    /// Adds a number, big endian.
    #[must_use]
    pub fn u64(mut self, number: u64) -> Key {
        push_u64(&mut self.0, number);
        self
    }

    /// Adds a number so that greater ones sort first: for newest-first indexes that are read ascending.
    #[must_use]
    pub fn u64_descending(self, number: u64) -> Key {
        self.u64(!number)
    }

    /// Adds one byte.
    #[must_use]
    pub fn u8(mut self, byte: u8) -> Key {
        self.0.push(byte);
        self
    }

    /// Adds a text with its length in front.
    #[must_use]
    pub fn text(self, text: &str) -> Key {
        self.bytes(text.as_bytes())
    }

    /// Adds bytes with their length in front.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Key {
        push_bytes(&mut self.0, bytes);
        self
    }

    /// Adds bytes as they are. Nothing marks their end: for the last part of a key, or for parts of fixed length.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Key {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The key.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }

    /// The range of all keys that begin with this one.
    pub fn prefix_range(&self) -> crate::KeyRange {
        crate::KeyRange::prefix(&self.0)
    }
}

impl From<Key> for Vec<u8> {
    fn from(key: Key) -> Vec<u8> {
        key.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Appends a number, big endian.
pub fn push_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// Appends bytes with their length in front: one byte up to 254, and beyond that 255 and four bytes.
///
/// # Panics
/// For 4 GiB and more, which no engine takes as a key.
pub fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(len) if bytes.len() <= SHORT_BYTES_MAX => out.push(len),
        _ => {
            let len = u32::try_from(bytes.len()).expect("a part of a key is shorter than 4 GiB");
            out.push(LONG);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

/// The parts of a key, read from its front. Each is `None` when the bytes left cannot hold it, and then nothing is taken.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    /// The parts of `key`.
    pub fn of(key: &'a [u8]) -> Parts<'a> {
        Parts(key)
    }

    /// The next part is a number.
    pub fn u64(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*bytes))
    }

    /// The next part is a number written by [`Key::u64_descending`].
    pub fn u64_descending(&mut self) -> Option<u64> {
        self.u64().map(|number| !number)
    }

    /// The next part is one byte.
    pub fn u8(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// The next part is bytes with their length in front.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let (&first, mut rest) = self.0.split_first()?;
        let mut len = usize::from(first);
        if first == LONG {
            let (long, after) = rest.split_first_chunk::<4>()?;
            len = usize::try_from(u32::from_be_bytes(*long)).ok()?;
            rest = after;
        }
        let (bytes, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// The next part is a text.
    pub fn text(&mut self) -> Option<&'a str> {
        let before = self.0;
        let text = self.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
        if text.is_none() {
            self.0 = before;
        }
        text
    }

    /// All bytes that are left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back() {
        for len in [0, 1, 254, 255, 256, 70_000] {
            let text = "x".repeat(len);
            let key = Key::new().text(&text).u8(9).u64_descending(5).raw(b"end").into_vec();
            let mut parts = Parts::of(&key);
            assert_eq!(parts.text(), Some(text.as_str()));
            assert_eq!(parts.u8(), Some(9));
            assert_eq!(parts.u64_descending(), Some(5));
            assert_eq!(parts.rest(), b"end");
        }
    }

    #[test]
    fn no_text_is_a_prefix_of_another() {
        let texts: Vec<String> = [0, 1, 2, 253, 254, 255, 256, 300].iter().map(|&len| "a".repeat(len)).collect();
        for one in &texts {
            for other in &texts {
                let (one_key, other_key) = (Key::new().text(one).into_vec(), Key::new().text(other).into_vec());
                assert_eq!(other_key.starts_with(&one_key), one == other);
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        assert_eq!(Parts::of(&[1, 2, 3]).u64(), None);
        assert_eq!(Parts::of(&[3, b'a']).text(), None);
        assert_eq!(Parts::of(&[255, 0, 0]).bytes(), None);
        assert_eq!(Parts::of(&[1, 0xff]).text(), None);
        assert_eq!(Parts::of(&[]).u8(), None);
    }

    #[test]
    fn numbers_sort() {
        let key = |number| Key::new().u64(number).into_vec();
        assert!(key(1) < key(256) && key(256) < key(u64::MAX));
        let newest_first = |number| Key::new().u64_descending(number).into_vec();
        assert!(newest_first(2) < newest_first(1));
    }
}
