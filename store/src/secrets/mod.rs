//! Credentials of storages: in memory they hide from every print, on disk they are sealed with a key that is not there.
//!
//! ```text
//! key file or environment ─► Keyring ─┬─ wraps ─► data key, one per secret ─ encrypts ─► the secret
//!                                     └─ knows older keys, and opens what they wrapped
//! ```
//! An envelope: each secret is encrypted with a random key of its own, and that key with the first key of the ring. So
//! changing the ring's key re-encrypts 32 bytes per storage, and no key ever encrypts much. Both use XChaCha20-Poly1305,
//! whose nonces are long enough to be drawn by chance. What a secret belongs to is authenticated with it: a sealed secret
//! that is moved to another storage does not open.

mod keyring; // the keys, and what they do
mod sealed; // a secret as it is stored

pub use keyring::{KEY_BYTES, Keyring};
pub use sealed::Sealed;

use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// Text that must not be seen: no print shows it, and its memory is overwritten when it goes.
///
/// ```
/// use ebbtide_store::secrets::Secret;
/// let secret = Secret::new("hunter2".to_owned());
/// assert_eq!(format!("{secret:?}"), "***");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text.
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text itself, for whoever has to send or encrypt it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}
