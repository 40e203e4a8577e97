//! Any text as one path component that every filesystem and object store takes, and back.
//!
//! | in the text | in the path |
//! | --- | --- |
//! | `a`…`z`, `0`…`9`, `-`, and `_` and `.` inside | as it is |
//! | everything else, byte by byte, upper-case letters too | `@` and two lower-case hex digits |
//! | `.` at either end, `_` at the start | escaped: `..` is no step up, and no reader skips the folder as hidden |
//! | a name that Windows keeps for a device (`nul`, `com1.txt`) | its first letter escaped |
//! | more than [`COMPONENT_BYTES_MAX`] bytes of all that | its beginning, `@-` and a hash of the whole text |
//!
//! The result has no upper-case letter, so `Ann` and `ann` stay apart where a filesystem folds case.
//! The mark is `@` and not `%`, because URL decoding on the way (Delta logs, Hadoop paths, `object_store::path::Path::from`)
//! would take `%41` for an `A` or escape it a second time.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::Error;

/// The longest component made here. Filesystems hold 255 bytes; the rest is left to the literal text of a template.
pub const COMPONENT_BYTES_MAX: usize = 200;

/// 160 bits of SHA-256: users choose their ids, so nobody may be able to find two that meet.
const HASH_HEX_LEN: usize = 40;

/// What stands between the beginning and the hash of a shortened text. No escape makes it: `-` is not a hex digit.
const SHORTENED: &str = "@-";

/// The one path component that stands for this text and for no other.
///
/// ```
/// use ebbtide_store::path::escape::escape;
///
/// assert_eq!(escape("ann-7"), "ann-7");
/// assert_eq!(escape("Ann"), "@41nn");
/// assert_eq!(escape("../../etc"), "@2e.@2f..@2fetc");
/// ```
pub fn escape(text: &str) -> String {
    let whole = escape_all(text);
    if whole.len() <= COMPONENT_BYTES_MAX {
        return whole;
    }
    let mut kept = COMPONENT_BYTES_MAX - SHORTENED.len() - HASH_HEX_LEN;
    // `@4` alone would be no escape, so one that is cut in half goes whole.
    if let Some(mark) = whole[kept - 2..kept].find('@') {
        kept = kept - 2 + mark;
    }
    let hash = hex(&Sha256::digest(text.as_bytes())[..HASH_HEX_LEN / 2]);
    format!("{}{SHORTENED}{hash}", &whole[..kept])
}

/// What a path component tells about the text it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unescaped {
    /// The whole text.
    Whole(String),
    /// The text was too long for a path; this is how it begins. The footer of the file has all of it.
    Shortened {
        /// The bytes kept; a character may be cut at the end.
        begins_with: Vec<u8>,
    },
}

/// Reads an escaped component back. Refuses what [`escape`] cannot have made, so that a foreign folder is not taken for a user's.
pub fn unescape(component: &str) -> Result<Unescaped, Error> {
    let refuse = |problem| Error::NotEscaped { component: component.to_owned(), problem };
    if let Some((kept, hash)) = component.split_once(SHORTENED) {
        let is_hash = hash.len() == HASH_HEX_LEN && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hash {
            return Err(refuse("`@-` is not followed by a hash"));
        }
        return Ok(Unescaped::Shortened { begins_with: decode(kept).map_err(refuse)? });
    }
    let text = if component == EMPTY { Vec::new() } else { decode(component).map_err(refuse)? };
    let text = String::from_utf8(text).map_err(|_| refuse("it is not UTF-8"))?;
    if escape(&text) != component {
        return Err(refuse("it would have been written in another way"));
    }
    Ok(Unescaped::Whole(text))
}

/// Stands for the empty text: an empty component would vanish from a path.
const EMPTY: &str = "@";

fn escape_all(text: &str) -> String {
    if text.is_empty() {
        return EMPTY.to_owned();
    }
    let bytes = text.as_bytes();
    let last = bytes.len() - 1;
    let device = is_device(text);
    let mut out = String::with_capacity(bytes.len() + 16);
    for (at, &byte) in bytes.iter().enumerate() {
        let plain = match byte {
            b'a'..=b'z' | b'0'..=b'9' => !(device && at == 0),
            b'-' => true,
            b'_' => at != 0,
            b'.' => at != 0 && at != last,
            _ => false,
        };
        if plain {
            out.push(char::from(byte));
        } else {
            push_escaped(&mut out, byte);
        }
    }
    out
}

fn push_escaped(out: &mut String, byte: u8) {
    out.push('@');
    write!(out, "{byte:02x}").expect("a String takes everything");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        write!(out, "{byte:02x}").expect("a String takes everything");
        out
    })
}

/// Whether Windows opens a device under this name, with whatever extension. (`COM¹` and `CONIN$` are escaped anyhow.)
pub(super) fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ');
    let numbered = |prefix: &str| {
        stem.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            && matches!(stem.as_bytes()[3..], [b'0'..=b'9'])
    };
    ["con", "prn", "aux", "nul"].iter().any(|device| stem.eq_ignore_ascii_case(device))
        || numbered("com")
        || numbered("lpt")
}

/// The same component with its first letter escaped, for one that became a device's name only when its parts were joined.
pub(super) fn hide_device(component: &str) -> String {
    let mut out = String::with_capacity(component.len() + 2);
    push_escaped(&mut out, component.as_bytes()[0]);
    out.push_str(&component[1..]);
    out
}

fn decode(component: &str) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(component.len());
    let mut rest = component.as_bytes();
    while let [byte, after @ ..] = rest {
        if *byte != b'@' {
            out.push(*byte);
            rest = after;
            continue;
        }
        let [high, low, after @ ..] = after else {
            return Err("`@` is not followed by two hex digits");
        };
        match (hex_digit(*high), hex_digit(*low)) {
            (Some(high), Some(low)) => out.push(high * 16 + low),
            _ => return Err("`@` is not followed by two lower-case hex digits"),
        }
        rest = after;
    }
    Ok(out)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_that_attack_a_path_are_one_harmless_component() {
        for (text, component) in [
            ("..", "@2e@2e"),
            (".", "@2e"),
            ("../../etc", "@2e.@2f..@2fetc"),
            ("a/b", "a@2fb"),
            ("a\\b", "a@5cb"),
            ("a\0b", "a@00b"),
            ("a\nb\u{7f}", "a@0ab@7f"),
            ("a.", "a@2e"),
            ("a ", "a@20"),
            (".hidden", "@2ehidden"),
            ("_hidden", "@5fhidden"),
            ("a.b_c-d", "a.b_c-d"),
            ("", "@"),
            ("@", "@40"),
            ("@-", "@40-"),
            ("ann@example.com", "ann@40example.com"),
            ("😀", "@f0@9f@98@80"),
            ("{userId}", "@7buser@49d@7d"),
            ("%41", "@2541"),
        ] {
            assert_eq!(escape(text), component, "{text:?}");
            assert_eq!(unescape(component), Ok(Unescaped::Whole(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn device_names_of_windows_are_escaped() {
        for (text, component) in [
            ("nul", "@6eul"),
            ("nul.txt", "@6eul.txt"),
            ("com1", "@63om1"),
            ("lpt0.a.b", "@6cpt0.a.b"),
            ("console", "console"),
            ("com10", "com10"),
            ("NUL", "@4e@55@4c"),
            ("cöm", "c@c3@b6m"),
        ] {
            assert_eq!(escape(text), component, "{text:?}");
            assert_eq!(unescape(component), Ok(Unescaped::Whole(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn a_long_id_is_cut_between_escapes_and_told_apart_by_its_hash() {
        for offset in 0..4 {
            let a = format!("{}{}", "x".repeat(offset), "ü".repeat(120));
            let b = format!("{a}!");
            let (short_a, short_b) = (escape(&a), escape(&b));
            assert!(short_a.len() <= COMPONENT_BYTES_MAX);
            assert_ne!(short_a, short_b);
            assert_eq!(short_a.split_once("@-").unwrap().0, short_b.split_once("@-").unwrap().0);
            let Ok(Unescaped::Shortened { begins_with }) = unescape(&short_a) else {
                panic!("{short_a} should read back as shortened");
            };
            assert!(a.as_bytes().starts_with(&begins_with) && begins_with.len() > 40);
        }
    }

    #[test]
    fn what_escape_did_not_make_is_not_read_back() {
        for component in ["Ann", "a@", "a@4", "a@4G", "a@41@", "@4E", "@61", "a b", "nul", "@-", "a@-12", "x@ff"] {
            assert!(unescape(component).is_err(), "{component:?} was read back");
        }
    }

    /// Ids as an attacker would choose them: few characters, so that near misses are common.
    fn ids() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[aA@./_ \\-2e0\0é]{0,6}",
            "[aA@.é]{60,255}",
            prop::sample::select(vec!["con", "CON", "nul.a", "com1", "Com1", "aux", "prn"]).prop_map(str::to_owned),
        ]
    }

    proptest! {
        #[test]
        fn every_id_is_a_safe_component(id in ids()) {
            let component = escape(&id);
            prop_assert!(!component.is_empty() && component.len() <= COMPONENT_BYTES_MAX);
            prop_assert!(component.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'@')));
            prop_assert!(!component.starts_with(['.', '_']) && !component.ends_with('.'));
            prop_assert!(!is_device(&component));
        }

        #[test]
        fn every_id_reads_back(id in ids()) {
            match unescape(&escape(&id))? {
                Unescaped::Whole(read) => prop_assert_eq!(read, id),
                Unescaped::Shortened { begins_with } => prop_assert!(id.as_bytes().starts_with(&begins_with)),
            }
        }

        #[test]
        fn two_ids_never_share_a_component(a in ids(), b in ids()) {
            // Folding case must not bring them together either.
            prop_assert_eq!(a == b, escape(&a).to_lowercase() == escape(&b).to_lowercase());
        }

        #[test]
        fn a_component_has_one_reading(component in "[a@0-9c-f.-]{0,12}") {
            if let Ok(Unescaped::Whole(text)) = unescape(&component) {
                prop_assert_eq!(escape(&text), component);
            }
        }
    }
}
