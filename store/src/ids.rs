//! Names and numbers of things, each a type whose existence is its validity.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A row version's place in commit order, over all tables; given out by the engine, never reused.
pub type Seq = u64;

/// A table for its whole life. A table made again under the same name has another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableId(pub u64);

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The owner of rows: any text of 1 to 255 bytes, or [`UserId::shared`].
///
/// ```
/// use ebbtide_store::UserId;
/// assert_eq!(UserId::new("ana").unwrap().as_str(), "ana");
/// assert!(UserId::new("").is_err(), "a user has a name");
/// assert!(UserId::new(&"x".repeat(256)).is_err(), "of at most 255 bytes");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(Arc<str>);

/// Bytes in a user id, at most: keys hold its length in one byte.
pub const USER_ID_BYTES_MAX: usize = 255;

impl UserId {
    /// A user named by somebody outside.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty id or one of more than [`USER_ID_BYTES_MAX`] bytes.
    pub fn new(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::invalid("a user id cannot be empty"));
        }
        Self::stored(text)
    }

    /// The fixed owner of every row of a SHARED table.
    pub fn shared() -> Self {
        Self(Arc::from(""))
    }

    /// A user id as it was stored: like [`UserId::new`], and the empty text is the shared owner.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`USER_ID_BYTES_MAX`] bytes.
    pub fn stored(text: &str) -> Result<Self, Error> {
        if text.len() > USER_ID_BYTES_MAX {
            let start: String = text.chars().take(20).collect();
            return Err(Error::invalid(format!(
                "the user id that starts with {start:?} has {} bytes; the limit is {USER_ID_BYTES_MAX}",
                text.len()
            )));
        }
        Ok(Self(Arc::from(text)))
    }

    /// The id as text; empty for the shared owner.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the owner of a SHARED table's rows.
    pub fn is_shared(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for UserId {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::stored(&text)
    }
}

impl From<UserId> for String {
    fn from(user: UserId) -> Self {
        user.as_str().to_owned()
    }
}

/// An identifier of a namespace, a table or a column: `[a-z0-9_]`, 1 to 64 characters, folded to lower case.
///
/// ```
/// use ebbtide_store::Name;
/// assert_eq!(Name::new("Chat_2").unwrap().as_str(), "chat_2");
/// assert!(Name::new("a-b").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Characters in a name, at most.
pub const NAME_CHARS_MAX: usize = 64;

impl Name {
    /// Folds `text` to lower case and checks it.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first character that cannot be in a name, or the length.
    pub fn new(text: &str) -> Result<Self, Error> {
        check(text, "name", "letters, digits and '_'", |c| c.is_ascii_alphanumeric() || c == '_')?;
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A registered storage: `[a-z0-9_-]`, 1 to 64 characters, folded to lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorageId(String);

impl StorageId {
    /// Folds `text` to lower case and checks it.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first character that cannot be in an id, or the length.
    pub fn new(text: &str) -> Result<Self, Error> {
        check(text, "storage id", "letters, digits, '_' and '-'", |c| {
            c.is_ascii_alphanumeric() || c == '_' || c == '-'
        })?;
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The storage that exists from the first start on and can never be dropped.
    pub fn local() -> Self {
        Self("local".to_owned())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(text: &str, what: &str, allowed: &str, good: impl Fn(char) -> bool) -> Result<(), Error> {
    if text.is_empty() {
        return Err(Error::invalid(format!("a {what} cannot be empty")));
    }
    if let Some(bad) = text.chars().find(|c| !good(*c)) {
        return Err(Error::invalid(format!("the {what} {text:?} holds {bad:?}; it may hold {allowed}")));
    }
    if text.len() > NAME_CHARS_MAX {
        return Err(Error::invalid(format!(
            "the {what} {text:?} has {} characters; the limit is {NAME_CHARS_MAX}",
            text.len()
        )));
    }
    Ok(())
}

macro_rules! text_like {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self, Error> {
                Self::new(&text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
        impl std::ops::Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }
        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }
        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl std::str::FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                Self::new(text)
            }
        }
    )*};
}
text_like!(Name, StorageId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_checked() {
        assert_eq!(Name::new("AbC_9").unwrap().as_str(), "abc_9");
        for (bad, says) in [("", "empty"), ("a.b", "'.'"), ("naïve", "'ï'"), ("a b", "' '"), ("a\0", "'\\0'")] {
            let error = Name::new(bad).unwrap_err().to_string();
            assert!(error.contains(says), "{bad:?}: {error}");
        }
        assert!(Name::new(&"a".repeat(64)).is_ok());
        assert!(Name::new(&"a".repeat(65)).unwrap_err().to_string().contains("64"));
        assert!(StorageId::new("my-bucket_1").is_ok());
        assert!(StorageId::new("../x").is_err());
    }

    #[test]
    fn users_are_any_text_up_to_255_bytes() {
        for good in ["a", "../../etc", "\0", "😀", "A", "a/b", &"é".repeat(127)] {
            assert_eq!(UserId::new(good).unwrap().as_str(), good);
        }
        assert!(UserId::new(&"é".repeat(128)).is_err());
        assert!(UserId::shared().is_shared());
        let back: UserId = serde_json::from_str(&serde_json::to_string(&UserId::shared()).unwrap()).unwrap();
        assert!(back.is_shared(), "the shared owner is stored like any other");
    }
}
