//! The keys, and what they do.

use super::{Sealed, Secret};
use crate::Error;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use ebbtide_engine::Env;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// Bytes of a key; a key file writes them as twice as many hex digits.
pub const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// Keys of a ring, at most: one to seal with, and those it is being changed from.
const KEYS_MAX: usize = 16;

/// The keys that seal secrets at rest: the first seals, all open. An empty ring stores them as they are.
#[derive(Clone, Default)]
pub struct Keyring(Arc<Vec<RingKey>>);

struct RingKey {
    id: String,
    bytes: Secret,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

impl Keyring {
    /// Reads keys, one a line or between commas; blank lines and those that begin with `#` say nothing. Each is
    /// [`KEY_BYTES`] bytes in hex. `place` is where they come from, for errors.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the line, never with what stands in it.
    pub fn parse(text: &Secret, place: &str) -> Result<Self, Error> {
        let mut keys: Vec<RingKey> = Vec::new();
        for (number, line) in (1..).zip(text.expose().lines()) {
            let line = line.trim();
            if line.starts_with('#') {
                continue;
            }
            for digits in line.split(',').map(str::trim).filter(|digits| !digits.is_empty()) {
                let bytes = decode(digits).ok_or_else(|| Error::Invalid {
                    message: format!("{place}, line {number}: a key is {} hex digits, this is not", 2 * KEY_BYTES),
                    hint: Some("make one with `ebbtide secrets new-key`, or with `openssl rand -hex 32`".to_owned()),
                })?;
                let key = RingKey { id: key_id(&bytes), bytes: Secret::new(digits.to_ascii_lowercase()) };
                if keys.iter().any(|known| known.id == key.id) {
                    return Err(Error::invalid(format!("{place}, line {number}: this key was there before")));
                }
                keys.push(key);
            }
        }
        match keys.len() {
            0 => Err(Error::Invalid {
                message: format!("{place} holds no key"),
                hint: Some("make one with `ebbtide secrets new-key`, or leave the setting out".to_owned()),
            }),
            1..=KEYS_MAX => Ok(Self(Arc::new(keys))),
            many => Err(Error::invalid(format!("{place} holds {many} keys; the limit is {KEYS_MAX}"))),
        }
    }

    /// A new key, as a key file holds it.
    pub fn new_key(env: &dyn Env) -> Secret {
        Secret::new(hex::encode(random::<KEY_BYTES>(env)))
    }

    /// The id of the key that seals; none if there is none.
    pub fn sealing(&self) -> Option<&str> {
        self.0.first().map(|key| key.id.as_str())
    }

    /// The secret as it is to be stored. `whose` is what it belongs to; only for that does it open again.
    pub fn seal(&self, secret: &Secret, whose: &str, env: &dyn Env) -> Sealed {
        let Some(key) = self.0.first() else { return Sealed::Plain { text: secret.expose().to_owned() } };
        let data_key = random::<KEY_BYTES>(env);
        let nonce = random::<NONCE_BYTES>(env);
        let text = encrypt(&data_key, &nonce, secret.expose().as_bytes(), whose);
        wrap(key, &data_key, whose, env, hex::encode(nonce), hex::encode(text))
    }

    /// The secret that was stored.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the ring has not its key; [`Error::Corrupt`] if it is not what was sealed for `whose`.
    pub fn open(&self, sealed: &Sealed, whose: &str) -> Result<Secret, Error> {
        let (nonce, text) = match sealed {
            Sealed::Plain { text } => return Ok(Secret::new(text.clone())),
            Sealed::Xchacha20Poly1305 { nonce, text, .. } => (nonce, text),
        };
        let data_key = self.unwrap(sealed, whose)?;
        let opened = (|| {
            let text = decrypt(&data_key, &decode(nonce)?, &hex::decode(text).ok()?, whose)?;
            String::from_utf8(text).ok()
        })();
        opened.map(Secret::new).ok_or_else(|| torn(whose))
    }

    /// The same secret under the key that seals now; none if it is already.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub fn rewrap(&self, sealed: &Sealed, whose: &str, env: &dyn Env) -> Result<Option<Sealed>, Error> {
        if sealed.key_id() == self.sealing() {
            return Ok(None);
        }
        let (Sealed::Xchacha20Poly1305 { nonce, text, .. }, Some(key)) = (sealed, self.0.first()) else {
            let secret = self.open(sealed, whose)?;
            return Ok(Some(self.seal(&secret, whose, env)));
        };
        let data_key = self.unwrap(sealed, whose)?;
        Ok(Some(wrap(key, &data_key, whose, env, nonce.clone(), text.clone())))
    }

    fn unwrap(&self, sealed: &Sealed, whose: &str) -> Result<[u8; KEY_BYTES], Error> {
        let Sealed::Xchacha20Poly1305 { key_id, wrap_nonce, wrapped_key, .. } = sealed else { return Err(torn(whose)) };
        let key = self.0.iter().find(|key| key.id == *key_id).ok_or_else(|| Error::Invalid {
            message: format!("the credentials of {whose} are sealed with the key {key_id}, which is not configured"),
            hint: Some(match self.0.as_slice() {
                [] => "name the file that has it in the setting secrets.key_file".to_owned(),
                keys => format!(
                    "configured are {}; add the missing one behind them",
                    keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>().join(", ")
                ),
            }),
        })?;
        (|| {
            let bytes = decode(key.bytes.expose())?;
            decrypt(&bytes, &decode(wrap_nonce)?, &hex::decode(wrapped_key).ok()?, whose)?.try_into().ok()
        })()
        .ok_or_else(|| torn(whose))
    }
}

fn wrap(key: &RingKey, data_key: &[u8; KEY_BYTES], whose: &str, env: &dyn Env, nonce: String, text: String) -> Sealed {
    let wrap_nonce = random::<NONCE_BYTES>(env);
    let ring_key: [u8; KEY_BYTES] = decode(key.bytes.expose()).expect("it was read when the ring was made");
    Sealed::Xchacha20Poly1305 {
        key_id: key.id.clone(),
        wrapped_key: hex::encode(encrypt(&ring_key, &wrap_nonce, data_key, whose)),
        wrap_nonce: hex::encode(wrap_nonce),
        nonce,
        text,
    }
}

/// What tells keys apart in errors and in the store: the start of a hash, from which nobody gets the key.
fn key_id(key: &[u8; KEY_BYTES]) -> String {
    hex::encode(&Sha256::digest([b"ebbtide key id".as_slice(), key].concat())[..4])
}

fn decode<const N: usize>(digits: &str) -> Option<[u8; N]> {
    hex::decode(digits).ok()?.try_into().ok()
}

/// Chance of the system, which is fit for keys; only a test's is not.
fn random<const N: usize>(env: &dyn Env) -> [u8; N] {
    let mut bytes = [0; N];
    for eight in bytes.chunks_mut(8) {
        eight.copy_from_slice(&env.random().to_le_bytes()[..eight.len()]);
    }
    bytes
}

fn encrypt(key: &[u8; KEY_BYTES], nonce: &[u8; NONCE_BYTES], text: &[u8], whose: &str) -> Vec<u8> {
    XChaCha20Poly1305::new(&Key::from(*key))
        .encrypt(&XNonce::from(*nonce), Payload { msg: text, aad: whose.as_bytes() })
        .expect("encryption fails only beyond 256 GiB")
}

fn decrypt(key: &[u8; KEY_BYTES], nonce: &[u8; NONCE_BYTES], text: &[u8], whose: &str) -> Option<Vec<u8>> {
    XChaCha20Poly1305::new(&Key::from(*key))
        .decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: whose.as_bytes() })
        .ok()
}

fn torn(whose: &str) -> Error {
    Error::corrupt(format!("the sealed credentials of {whose} do not open: they are not what was stored for it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebbtide_engine::env::SystemEnv;

    fn ring(keys: &[&str]) -> Keyring {
        Keyring::parse(&Secret::new(keys.join("\n")), "a test").unwrap()
    }

    fn key() -> String {
        Keyring::new_key(&SystemEnv).expose().to_owned()
    }

    #[test]
    fn what_is_sealed_opens_for_its_owner_alone() {
        let secret = Secret::new("{\"secret_access_key\":\"x\"}".to_owned());
        let (one, two) = (key(), key());
        let rings = [Keyring::default(), ring(&[&one])];
        for keyring in &rings {
            let sealed = keyring.seal(&secret, "storage 'a'", &SystemEnv);
            assert_eq!(keyring.open(&sealed, "storage 'a'").unwrap(), secret);
            assert!(!format!("{sealed:?} {secret:?} {keyring:?}").contains("secret_access_key"));
            let stored = serde_json::to_string(&sealed).unwrap();
            assert_eq!(stored.contains("secret_access_key"), keyring.sealing().is_none(), "{stored}");
            assert_eq!(serde_json::from_str::<Sealed>(&stored).unwrap(), sealed);
        }
        let sealed = rings[1].seal(&secret, "storage 'a'", &SystemEnv);
        assert!(matches!(rings[1].open(&sealed, "storage 'b'"), Err(Error::Corrupt { .. })));
        let missing = ring(&[&two]).open(&sealed, "storage 'a'").unwrap_err().to_string();
        assert!(missing.contains("is not configured") && missing.contains("storage 'a'"), "{missing}");
        assert!(
            rings[1].seal(&secret, "a", &SystemEnv) != rings[1].seal(&secret, "a", &SystemEnv),
            "never the same twice"
        );
    }

    #[test]
    fn a_key_is_changed_without_touching_the_secret() {
        let secret = Secret::new("s".to_owned());
        let (old, new) = (key(), key());
        for (from, sealed_by) in [("a key", ring(&[&old])), ("none", Keyring::default())] {
            let sealed = sealed_by.seal(&secret, "a", &SystemEnv);
            let both = ring(&[&new, &old]);
            let rewrapped = both.rewrap(&sealed, "a", &SystemEnv).unwrap().expect(from);
            assert_eq!(rewrapped.key_id(), ring(&[&new]).sealing(), "{from}");
            assert_eq!(
                ring(&[&new]).open(&rewrapped, "a").unwrap(),
                secret,
                "{from}: the old key is not needed any more"
            );
            assert_eq!(both.rewrap(&rewrapped, "a", &SystemEnv).unwrap(), None, "{from}: nothing to do twice");
        }
    }

    #[test]
    fn bad_keys_are_told_by_line_and_not_by_content() {
        let good = key();
        for (text, says) in [
            (String::new(), "holds no key"),
            ("# nothing\n\n".to_owned(), "holds no key"),
            ("abcd".to_owned(), "line 1"),
            (format!("# mine\n{good}\nzz{}", &good[2..]), "line 3"),
            (format!("{good}\n{good}"), "line 2: this key was there before"),
            (format!("{good},{good}"), "was there before"),
            ((0..17).map(|_| key()).collect::<Vec<_>>().join(","), "17 keys"),
        ] {
            let error = Keyring::parse(&Secret::new(text.clone()), "key file").unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
            assert!(!error.contains(&good[2..]), "{error}");
        }
        assert_eq!(ring(&[&format!("  {} ", good.to_uppercase())]).sealing(), ring(&[&good]).sealing());
    }
}
