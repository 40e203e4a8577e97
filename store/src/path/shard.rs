//! Sharding strategies: which folder between a table and its users a user belongs to.
//!
//! | name | shards |
//! | --- | --- |
//! | `alphabetic` | the first letter, `a`…`z`; `other` for anything else |
//! | `numeric` | the first digit, `0`…`9`; `none` without one |
//! | `consistent_hash(n)` | `shard-0000`…, so that raising n moves about 1/n of the users |
//! | `none` | no folder |

use std::{collections::BTreeMap, fmt, sync::Arc};

use sha2::{Digest, Sha256};

use super::{Error, nearest::nearest};

/// The most shards `consistent_hash` can have: their names have four digits.
pub const SHARDS_MAX: u32 = 10_000;

/// Says which shard a user belongs to.
///
/// The same user must get the same shard for ever: a segment keeps the path it was written with, but a user whose shard changes has two folders.
pub trait ShardStrategy: fmt::Debug + Send + Sync {
    /// The shard's name, which becomes one path component whatever it holds; empty for no folder at all.
    fn shard(&self, user_id: &str) -> String;
}

/// The strategies a table may name. A Rust embedder can add its own.
///
/// ```
/// use std::sync::Arc;
/// use ebbtide_store::path::shard::{Registry, ShardStrategy};
///
/// /// `eu-ann` belongs to `eu`.
/// #[derive(Debug)]
/// struct Region;
///
/// impl ShardStrategy for Region {
///     fn shard(&self, user_id: &str) -> String {
///         user_id.split('-').next().unwrap_or_default().to_owned()
///     }
/// }
///
/// let mut registry = Registry::default();
/// registry.register("region", Arc::new(Region))?;
/// assert_eq!(registry.find("region")?.shard("eu-ann"), "eu");
/// # Ok::<(), ebbtide_store::path::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Registry {
    strategies: BTreeMap<String, Arc<dyn ShardStrategy>>,
}

const ALPHABETIC: &str = "alphabetic";
const CONSISTENT_HASH: &str = "consistent_hash";
/// An older name of it.
const HASH: &str = "hash";

impl Default for Registry {
    fn default() -> Registry {
        let builtin: [(&str, Arc<dyn ShardStrategy>); 3] =
            [(ALPHABETIC, Arc::new(Alphabetic)), ("numeric", Arc::new(Numeric)), ("none", Arc::new(Unsharded))];
        Registry { strategies: builtin.map(|(name, strategy)| (name.to_owned(), strategy)).into() }
    }
}

impl Registry {
    /// The strategy of a table that names none.
    pub const DEFAULT: &'static str = ALPHABETIC;

    /// The strategy that a table's `SHARDING` text means: `alphabetic`, `consistent_hash(16)`.
    pub fn find(&self, text: &str) -> Result<Arc<dyn ShardStrategy>, Error> {
        let (name, argument) = split(text)?;
        if name == CONSISTENT_HASH || name == HASH {
            let shards = shard_count(text, argument)?;
            return Ok(Arc::new(ConsistentHash { shards }));
        }
        let strategy = self.strategies.get(&name).ok_or_else(|| self.unknown(&name))?;
        if argument.is_some() {
            return Err(Error::ShardingArgument {
                text: text.to_owned(),
                problem: format!("{name} takes no argument; write {name} alone"),
            });
        }
        Ok(Arc::clone(strategy))
    }

    /// Adds a strategy under a name of `a-z`, `0-9` and `_`. A name is taken for good: tables refer to it.
    pub fn register(&mut self, name: &str, strategy: Arc<dyn ShardStrategy>) -> Result<(), Error> {
        let refuse = |problem| Err(Error::ShardingName { name: name.to_owned(), problem });
        let is_name = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
            return refuse("a name has 1 to 64 letters a-z, digits and `_`");
        }
        if name == CONSISTENT_HASH || name == HASH || self.strategies.contains_key(name) {
            return refuse("there is a strategy of this name, and tables may be laid out by it");
        }
        self.strategies.insert(name.to_owned(), strategy);
        Ok(())
    }

    /// Every name [`Registry::find`] knows, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.strategies.keys().cloned().collect();
        names.push(format!("{CONSISTENT_HASH}(n)"));
        names.sort();
        names
    }

    fn unknown(&self, name: &str) -> Error {
        let known = self.strategies.keys().map(String::as_str).chain([CONSISTENT_HASH]);
        Error::UnknownSharding {
            name: name.to_owned(),
            nearest: nearest(name, known).map(str::to_owned),
            known: self.names().join(", "),
        }
    }
}

/// `Consistent_Hash( 16 )` is `consistent_hash` and `16`.
fn split(text: &str) -> Result<(String, Option<&str>), Error> {
    let trimmed = text.trim();
    let (name, argument) = match trimmed.split_once('(') {
        None => (trimmed, None),
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(argument) => (name.trim_end(), Some(argument.trim())),
            None => {
                return Err(Error::ShardingArgument {
                    text: text.to_owned(),
                    problem: "the `(` is not closed at the end".to_owned(),
                });
            }
        },
    };
    Ok((name.to_ascii_lowercase(), argument))
}

fn shard_count(text: &str, argument: Option<&str>) -> Result<u32, Error> {
    argument.and_then(|argument| argument.parse().ok()).filter(|shards| (1..=SHARDS_MAX).contains(shards)).ok_or_else(
        || Error::ShardingArgument {
            text: text.to_owned(),
            problem: format!("say over how many shards, from 1 to {SHARDS_MAX}, for example {CONSISTENT_HASH}(16)"),
        },
    )
}

#[derive(Debug)]
struct Alphabetic;

impl ShardStrategy for Alphabetic {
    fn shard(&self, user_id: &str) -> String {
        match user_id.chars().next() {
            Some(first) if first.is_ascii_alphabetic() => first.to_ascii_lowercase().to_string(),
            _ => "other".to_owned(),
        }
    }
}

#[derive(Debug)]
struct Numeric;

impl ShardStrategy for Numeric {
    fn shard(&self, user_id: &str) -> String {
        match user_id.chars().find(char::is_ascii_digit) {
            Some(digit) => digit.to_string(),
            None => "none".to_owned(),
        }
    }
}

#[derive(Debug)]
struct Unsharded;

impl ShardStrategy for Unsharded {
    fn shard(&self, _user_id: &str) -> String {
        String::new()
    }
}

#[derive(Debug)]
struct ConsistentHash {
    shards: u32,
}

impl ShardStrategy for ConsistentHash {
    fn shard(&self, user_id: &str) -> String {
        // A hash that stays the same over versions and machines, which `std::hash` does not promise.
        let hash = Sha256::digest(user_id.as_bytes());
        let key = u64::from_be_bytes(hash[..8].try_into().expect("SHA-256 has 32 bytes"));
        format!("shard-{:04}", jump(key, self.shards))
    }
}

/// Jump consistent hash (Lamping and Veach, 2014): no table, even shards, and growing from n to n+1 moves 1/(n+1) of the keys, all to the new one.
fn jump(mut key: u64, shards: u32) -> u32 {
    let (mut shard, mut next) = (0, 0);
    while next < i64::from(shards) {
        shard = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let spread = (1u64 << 31) as f64 / ((key >> 33) + 1) as f64;
        next = ((shard + 1) as f64 * spread) as i64;
    }
    u32::try_from(shard).expect("below `shards`, which is a u32")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shard(text: &str, user_id: &str) -> String {
        Registry::default().find(text).unwrap().shard(user_id)
    }

    #[test]
    fn strategies_name_their_shards() {
        for (text, user_id, expected) in [
            ("alphabetic", "ann", "a"),
            ("Alphabetic", "Zoe", "z"),
            ("alphabetic", "7up", "other"),
            ("alphabetic", "élan", "other"),
            ("alphabetic", "", "other"),
            ("numeric", "user-42", "4"),
            ("numeric", "ann", "none"),
            ("numeric", "٣", "none"),
            ("none", "ann", ""),
            ("consistent_hash(1)", "ann", "shard-0000"),
            ("consistent_hash( 16 )", "ann", "shard-0005"),
            ("hash(16)", "ann", "shard-0005"),
        ] {
            assert_eq!(shard(text, user_id), expected, "{text} {user_id:?}");
        }
    }

    #[test]
    fn jumps_as_the_paper_does() {
        for (key, shards, shard) in
            [(1, 1, 0), (42, 57, 43), (0xdead_10cc, 1, 0), (0xdead_10cc, 666, 361), (256, 1024, 520)]
        {
            assert_eq!(jump(key, shards), shard, "{key} over {shards}");
        }
    }

    #[test]
    fn one_more_shard_moves_only_its_share_and_only_into_the_new_one() {
        const USERS: usize = 20_000;
        for shards in [1u32, 4, 16, 99] {
            let before = ConsistentHash { shards };
            let after = ConsistentHash { shards: shards + 1 };
            let new = format!("shard-{shards:04}");
            let moved = (0..USERS)
                .map(|n| format!("user-{n}"))
                .filter(|user| before.shard(user) != after.shard(user))
                .inspect(|user| assert_eq!(after.shard(user), new))
                .count();
            let expected = USERS as f64 / f64::from(shards + 1);
            assert!((moved as f64 - expected).abs() < expected * 0.3, "{shards}: {moved} of about {expected} moved");
        }
    }

    #[test]
    fn shards_are_even() {
        let strategy = ConsistentHash { shards: 10 };
        let mut users = BTreeMap::<String, u32>::new();
        for n in 0..10_000 {
            *users.entry(strategy.shard(&n.to_string())).or_default() += 1;
        }
        assert_eq!(users.len(), 10);
        assert!(users.values().all(|count| (850..1_150).contains(count)), "{users:?}");
    }

    #[test]
    fn what_is_not_understood_is_explained() {
        for (text, message) in [
            (
                "alphabetical",
                "unknown sharding \"alphabetical\", did you mean alphabetic?; known are alphabetic, consistent_hash(n), none, numeric",
            ),
            ("geo", "unknown sharding \"geo\"; known are"),
            ("consistent_hash", "for example consistent_hash(16)"),
            ("consistent_hash(0)", "from 1 to 10000"),
            ("consistent_hash(10001)", "from 1 to 10000"),
            ("consistent_hash(many)", "from 1 to 10000"),
            ("consistent_hash(4", "not closed"),
            ("alphabetic(4)", "alphabetic takes no argument"),
            ("", "unknown sharding \"\""),
        ] {
            let error = Registry::default().find(text).expect_err(text).to_string();
            assert!(error.contains(message), "{text:?}: {error}");
        }
    }

    #[test]
    fn an_embedder_adds_a_strategy_but_takes_no_name_away() {
        let mut registry = Registry::default();
        registry.register("first_two", Arc::new(Unsharded)).unwrap();
        assert_eq!(registry.find("FIRST_TWO").unwrap().shard("ann"), "");
        assert_eq!(registry.names(), ["alphabetic", "consistent_hash(n)", "first_two", "none", "numeric"]);
        for name in ["first_two", "alphabetic", "consistent_hash", "hash", "", "Upper", "a b", "a(1)"] {
            assert!(registry.register(name, Arc::new(Unsharded)).is_err(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn growing_never_moves_a_user_between_old_shards(key: u64, shards in 1u32..2_000) {
            let (before, after) = (jump(key, shards), jump(key, shards + 1));
            prop_assert!(before < shards && (after == before || after == shards));
        }

        #[test]
        fn every_user_has_a_shard(user_id in ".*", text in prop::sample::select(vec!["alphabetic", "numeric", "none", "consistent_hash(7)"])) {
            let first = shard(text, &user_id);
            prop_assert_eq!(first, shard(text, &user_id));
        }
    }
}
