//! A secret as it is stored.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A secret as it is stored beside what it belongs to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case")]
pub enum Sealed {
    /// As it is: no key was configured when it was stored.
    Plain {
        /// The secret.
        text: String,
    },
    /// In an envelope.
    Xchacha20Poly1305 {
        /// Which key of the ring wrapped the data key.
        key_id: String,
        /// The nonce of the wrapping, hex.
        wrap_nonce: String,
        /// The data key, wrapped, hex.
        wrapped_key: String,
        /// The nonce of the secret, hex.
        nonce: String,
        /// The secret, encrypted with the data key, hex.
        text: String,
    },
}

impl Sealed {
    /// The key that wrapped it; none when it is stored as it is.
    pub fn key_id(&self) -> Option<&str> {
        match self {
            Self::Plain { .. } => None,
            Self::Xchacha20Poly1305 { key_id, .. } => Some(key_id),
        }
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key_id() {
            None => f.write_str("Sealed(***)"),
            Some(key_id) => write!(f, "Sealed(*** with key {key_id})"),
        }
    }
}
