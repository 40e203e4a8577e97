//! Is a message what its kind says: texts in UTF-8 and closed by a zero byte, lists as long as they claim?
//!
//! pgwire decodes texts lossily (two user names could become one) and reads past a short message with a panic. So every message is walked through here first, and
//! only a well-formed one is decoded.

/// Why a message was not taken. The stream of messages is intact all the same, because a message says its own length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A text is not UTF-8; the byte at this place of the message's body is the first wrong one.
    Encoding { at: usize },
    /// The message ends before its fields do, or goes on after them.
    Layout,
}

/// Walks through the body (what follows kind and length) of a message from a client.
pub(crate) fn check(kind: u8, body: &[u8]) -> Result<(), Fault> {
    let mut walk = Walk { body, at: 0 };
    match kind {
        b'Q' | b'f' | b'p' => walk.text()?,
        b'P' => {
            walk.text()?;
            walk.text()?;
            walk.list(|walk| walk.skip(4))?;
        }
        b'B' => {
            walk.text()?;
            walk.text()?;
            walk.list(|walk| walk.skip(2))?;
            walk.list(Walk::value)?;
            walk.list(|walk| walk.skip(2))?;
        }
        b'D' | b'C' => {
            walk.skip(1)?;
            walk.text()?;
        }
        b'E' => {
            walk.text()?;
            walk.skip(4)?;
        }
        b'd' => return Ok(()),
        b'H' | b'S' | b'X' | b'c' => {}
        _ => return Err(Fault::Layout),
    }
    walk.end()
}

/// Walks through the pairs of a startup message (what follows length and version).
pub(crate) fn check_startup(body: &[u8]) -> Result<(), Fault> {
    let mut walk = Walk { body, at: 0 };
    // The list of names and values is closed by an empty name.
    while walk.body.get(walk.at).is_some_and(|byte| *byte != 0) {
        walk.text()?;
        walk.text()?;
    }
    walk.skip(1)?;
    walk.end()
}

struct Walk<'a> {
    body: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn skip(&mut self, bytes: usize) -> Result<(), Fault> {
        let end = self.at.checked_add(bytes).ok_or(Fault::Layout)?;
        if end > self.body.len() {
            return Err(Fault::Layout);
        }
        self.at = end;
        Ok(())
    }

    fn text(&mut self) -> Result<(), Fault> {
        let rest = &self.body[self.at..];
        let length = rest.iter().position(|byte| *byte == 0).ok_or(Fault::Layout)?;
        if let Err(error) = std::str::from_utf8(&rest[..length]) {
            return Err(Fault::Encoding { at: self.at + error.valid_up_to() });
        }
        self.skip(length + 1)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let from = self.at;
        self.skip(N)?;
        self.body[from..self.at].try_into().map_err(|_| Fault::Layout)
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        for _ in 0..u16::from_be_bytes(self.number()?) {
            item(self)?;
        }
        Ok(())
    }

    /// A parameter: its length and its bytes, or −1 for NULL.
    fn value(&mut self) -> Result<(), Fault> {
        match i32::from_be_bytes(self.number()?) {
            -1 => Ok(()),
            length => self.skip(usize::try_from(length).map_err(|_| Fault::Layout)?),
        }
    }

    fn end(&self) -> Result<(), Fault> {
        if self.at == self.body.len() { Ok(()) } else { Err(Fault::Layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_messages_pass() {
        assert_eq!(check(b'Q', b"SELECT 1\0"), Ok(()));
        assert_eq!(check(b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x17"), Ok(()));
        assert_eq!(check(b'B', b"\0s\0\0\0\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\x01\0\x01"), Ok(()));
        assert_eq!(check(b'E', b"\0\0\0\0\x64"), Ok(()));
        assert_eq!(check(b'D', b"Ss\0"), Ok(()));
        assert_eq!(check(b'S', b""), Ok(()));
        assert_eq!(check(b'd', b"\xff\0\xfe"), Ok(()));
        assert_eq!(check_startup(b"user\0ana\0database\0x\0\0"), Ok(()));
    }

    #[test]
    fn short_and_long_messages_are_refused() {
        assert_eq!(check(b'Q', b"SELECT 1"), Err(Fault::Layout));
        assert_eq!(check(b'Q', b"SELECT 1\0more"), Err(Fault::Layout));
        assert_eq!(check(b'P', b"\0SELECT 1\0\0\x02\0\0\0\x17"), Err(Fault::Layout));
        assert_eq!(check(b'B', b"\0s\0\0\0\0\x01\x7f\xff\xff\xffx\0\0"), Err(Fault::Layout));
        assert_eq!(check(b'B', b"\0s\0\0\0\0\x01\xff\xff\xff\xfe\0\0"), Err(Fault::Layout));
        assert_eq!(check(b'E', b"\0\0"), Err(Fault::Layout));
        assert_eq!(check(b'S', b"x"), Err(Fault::Layout));
        assert_eq!(check(b'!', b""), Err(Fault::Layout));
        assert_eq!(check_startup(b"user\0ana\0"), Err(Fault::Layout));
        assert_eq!(check_startup(b"user\0"), Err(Fault::Layout));
    }

    #[test]
    fn a_text_that_is_not_utf8_is_named_with_its_place() {
        assert_eq!(check(b'Q', b"SELECT '\xff'\0"), Err(Fault::Encoding { at: 8 }));
        assert_eq!(check_startup(b"user\0a\xffb\0\0"), Err(Fault::Encoding { at: 6 }));
    }
}
