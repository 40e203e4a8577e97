//! How one setting is declared: what kind of value it is, its default and its bounds.
//!
//! A declaration is the one place that knows a setting. The struct that the program uses, the check
//! of a value, and the commented `ebbtide.toml` all come from it.

use std::fmt::Display;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::settings::Settings;
use crate::unit;

/// A value as it was written, before anybody knows what it should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    Integer(i64),
    Boolean(bool),
    Text(String),
    /// From an environment variable, which has no types: `512` may be a number or a text.
    Bare(String),
    /// Anything that no setting takes, by its name: a date, an array, …
    Other(&'static str),
}

impl Raw {
    fn describe(&self) -> String {
        match self {
            Self::Integer(number) => format!("the number {number}"),
            Self::Boolean(value) => format!("{value}"),
            Self::Text(text) | Self::Bare(text) => format!("\"{text}\""),
            Self::Other(what) => format!("a value of type {what}"),
        }
    }
}

/// A kind of value: how it is read and shown.
pub(crate) trait Kind {
    type Value: PartialOrd;
    fn read(&self, raw: &Raw) -> Result<Self::Value, String>;
    /// As it would be written in the file, or `None` when it stands for "unset".
    fn show(&self, value: &Self::Value) -> Option<String>;
    /// What sort of value it is, in a word.
    fn name(&self) -> &'static str;
    /// The words it takes, if it takes no others.
    fn words(&self) -> Vec<&'static str> {
        Vec::new()
    }
    /// The bounds of what is wrapped, for a kind that wraps another.
    fn bounds(&self) -> Option<(String, String)> {
        None
    }
}

/// A setting's kind, default and bounds.
pub(crate) struct Declared<K: Kind> {
    kind: K,
    pub(crate) default: K::Value,
    bounds: Option<(K::Value, K::Value)>,
    example: Option<&'static str>,
}

impl<K: Kind> Declared<K> {
    fn new(kind: K, default: K::Value) -> Self {
        Self { kind, default, bounds: None, example: None }
    }

    /// The least and the greatest value that are accepted.
    pub(crate) fn within(mut self, least: K::Value, greatest: K::Value) -> Self {
        self.bounds = Some((least, greatest));
        self
    }

    /// What the commented file shows for a setting that has no value by default.
    pub(crate) fn example(mut self, text: &'static str) -> Self {
        self.example = Some(text);
        self
    }

    pub(crate) fn read(&self, raw: &Raw) -> Result<K::Value, String> {
        let value = self.kind.read(raw)?;
        let Some((least, greatest)) = &self.bounds else { return Ok(value) };
        let shown = |value: &K::Value| self.kind.show(value).unwrap_or_default();
        if value < *least {
            return Err(format!("{} is below the least, {}", shown(&value), shown(least)));
        }
        if value > *greatest {
            return Err(format!("{} is above the greatest, {}", shown(&value), shown(greatest)));
        }
        Ok(value)
    }

    fn shown(&self) -> Shown {
        Shown {
            default: self.kind.show(&self.default),
            example: self.example,
            bounds: self.shown_bounds(),
            words: self.kind.words(),
        }
    }

    fn shown_bounds(&self) -> Option<(String, String)> {
        match &self.bounds {
            Some((least, greatest)) => Some((self.kind.show(least)?, self.kind.show(greatest)?)),
            None => self.kind.bounds(),
        }
    }
}

/// A declaration as the commented file shows it.
pub(crate) struct Shown {
    pub(crate) default: Option<String>,
    pub(crate) example: Option<&'static str>,
    pub(crate) bounds: Option<(String, String)>,
    pub(crate) words: Vec<&'static str>,
}

/// Shows a declaration; the caller says the type of its value, which nothing else here would tell.
pub(crate) fn show<T, K: Kind<Value = T>>(declared: &Declared<K>) -> Shown {
    declared.shown()
}

/// Shows a value as its declaration would write it.
pub(crate) fn show_value<T, K: Kind<Value = T>>(declared: &Declared<K>, value: &T) -> Option<String> {
    declared.kind.show(value)
}

/// What sort of value a declaration takes.
pub(crate) fn kind_name<T, K: Kind<Value = T>>(declared: &Declared<K>) -> &'static str {
    declared.kind.name()
}

/// A setting without its type, so that all of them fit in one list.
pub(crate) struct Setting {
    pub(crate) section: &'static str,
    pub(crate) key: &'static str,
    pub(crate) docs: &'static [&'static str],
    pub(crate) shown: fn() -> Shown,
    pub(crate) kind: fn() -> &'static str,
    pub(crate) value: fn(&Settings) -> Option<String>,
    pub(crate) set: fn(&mut Settings, &Raw) -> Result<(), String>,
}

/// A section: `[server]` and its settings.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) docs: &'static [&'static str],
    pub(crate) settings: Vec<Setting>,
}

// The kinds, each with the function that a declaration calls.

/// A whole number.
pub(crate) struct Count<T>(PhantomData<T>);
pub(crate) fn count<T: Number>(default: T) -> Declared<Count<T>> {
    Declared::new(Count(PhantomData), default)
}

/// A size in bytes.
pub(crate) struct Bytes<T>(PhantomData<T>);
pub(crate) fn bytes<T: Number>(default: T) -> Declared<Bytes<T>> {
    Declared::new(Bytes(PhantomData), default)
}

/// A length of time.
pub(crate) struct Time;
pub(crate) fn time(default: Duration) -> Declared<Time> {
    Declared::new(Time, default)
}

/// An address and port to listen on.
pub(crate) struct Address;
pub(crate) fn address(default: SocketAddr) -> Declared<Address> {
    Declared::new(Address, default)
}

/// A folder.
pub(crate) struct Folder;
pub(crate) fn folder(default: &str) -> Declared<Folder> {
    Declared::new(Folder, PathBuf::from(default))
}

/// Yes or no.
pub(crate) struct Switch;
pub(crate) fn switch(default: bool) -> Declared<Switch> {
    Declared::new(Switch, default)
}

/// A text.
pub(crate) struct Text;
pub(crate) fn text(default: &str) -> Declared<Text> {
    Declared::new(Text, default.to_owned())
}

/// One of a few words.
pub(crate) struct Choice<T: 'static>(&'static [(&'static str, T)]);
pub(crate) fn choice<T: Copy + PartialOrd>(default: T, words: &'static [(&'static str, T)]) -> Declared<Choice<T>> {
    Declared::new(Choice(words), default)
}

/// A value that may be left out, of another kind when it is there.
pub(crate) struct Unset<K>(Declared<K>)
where
    K: Kind;
pub(crate) fn unset<K: Kind>(kind: Declared<K>) -> Declared<Unset<K>> {
    Declared::new(Unset(kind), None)
}

/// A whole number type that a setting may have.
pub(crate) trait Number: Copy + PartialOrd + Display + TryFrom<u64> + TryInto<u64> {}
impl<T: Copy + PartialOrd + Display + TryFrom<u64> + TryInto<u64>> Number for T {}

fn to_number<T: Number>(value: u64) -> Result<T, String> {
    T::try_from(value).map_err(|_| format!("{value} is greater than this setting can hold"))
}

impl<T: Number> Kind for Count<T> {
    type Value = T;
    fn read(&self, raw: &Raw) -> Result<T, String> {
        let number = match raw {
            Raw::Integer(number) => u64::try_from(*number).ok(),
            Raw::Bare(text) => text.trim().replace('_', "").parse().ok(),
            Raw::Boolean(_) | Raw::Text(_) | Raw::Other(_) => None,
        };
        to_number(number.ok_or_else(|| format!("{} is not a whole number from 0 up, such as 512", raw.describe()))?)
    }
    fn show(&self, value: &T) -> Option<String> {
        Some(value.to_string())
    }
    fn name(&self) -> &'static str {
        "number"
    }
}

impl<T: Number> Kind for Bytes<T> {
    type Value = T;
    fn read(&self, raw: &Raw) -> Result<T, String> {
        to_number(match raw {
            Raw::Integer(number) => {
                u64::try_from(*number).map_err(|_| format!("{number} is not a size: a size is not negative"))?
            }
            Raw::Text(text) | Raw::Bare(text) => unit::parse_bytes(text)?,
            Raw::Boolean(_) | Raw::Other(_) => {
                return Err(format!("{} is not a size, such as \"64 MiB\"", raw.describe()));
            }
        })
    }
    fn show(&self, value: &T) -> Option<String> {
        let bytes = (*value).try_into().unwrap_or(u64::MAX);
        Some(quoted(&unit::show_bytes(bytes)))
    }
    fn name(&self) -> &'static str {
        "bytes"
    }
}

impl Kind for Time {
    type Value = Duration;
    fn read(&self, raw: &Raw) -> Result<Duration, String> {
        match raw {
            Raw::Text(text) | Raw::Bare(text) => unit::parse_duration(text),
            Raw::Integer(number) => {
                Err(format!("{number} has no unit: write a duration as \"{number}s\" or \"{number}ms\""))
            }
            Raw::Boolean(_) | Raw::Other(_) => Err(format!("{} is not a duration, such as \"60s\"", raw.describe())),
        }
    }
    fn show(&self, value: &Duration) -> Option<String> {
        Some(quoted(&unit::show_duration(*value)))
    }
    fn name(&self) -> &'static str {
        "duration"
    }
}

impl Kind for Address {
    type Value = SocketAddr;
    fn read(&self, raw: &Raw) -> Result<SocketAddr, String> {
        let written = match raw {
            Raw::Text(text) | Raw::Bare(text) => Some(text.trim().replace("localhost:", "127.0.0.1:")),
            Raw::Integer(_) | Raw::Boolean(_) | Raw::Other(_) => None,
        };
        written.and_then(|written| written.parse().ok()).ok_or_else(|| {
            format!("{} is not an address with a port, such as \"127.0.0.1:5442\" or \"[::1]:5442\"", raw.describe())
        })
    }
    fn show(&self, value: &SocketAddr) -> Option<String> {
        Some(quoted(&value.to_string()))
    }
    fn name(&self) -> &'static str {
        "address"
    }
}

impl Kind for Folder {
    type Value = PathBuf;
    fn read(&self, raw: &Raw) -> Result<PathBuf, String> {
        match raw {
            Raw::Text(text) | Raw::Bare(text) if !text.is_empty() => Ok(PathBuf::from(text)),
            _ => Err(format!("{} is not the path of a folder, such as \"./data\"", raw.describe())),
        }
    }
    fn show(&self, value: &PathBuf) -> Option<String> {
        Some(quoted(&value.to_string_lossy()))
    }
    fn name(&self) -> &'static str {
        "folder"
    }
}

impl Kind for Switch {
    type Value = bool;
    fn read(&self, raw: &Raw) -> Result<bool, String> {
        match raw {
            Raw::Boolean(value) => Ok(*value),
            Raw::Bare(text) if text == "true" => Ok(true),
            Raw::Bare(text) if text == "false" => Ok(false),
            _ => Err(format!("{} is neither true nor false", raw.describe())),
        }
    }
    fn show(&self, value: &bool) -> Option<String> {
        Some(value.to_string())
    }
    fn name(&self) -> &'static str {
        "boolean"
    }
}

impl Kind for Text {
    type Value = String;
    fn read(&self, raw: &Raw) -> Result<String, String> {
        match raw {
            Raw::Text(text) | Raw::Bare(text) => Ok(text.clone()),
            _ => Err(format!("{} is no text; put it in quotes", raw.describe())),
        }
    }
    fn show(&self, value: &String) -> Option<String> {
        Some(quoted(value))
    }
    fn name(&self) -> &'static str {
        "text"
    }
}

impl<T: Copy + PartialOrd> Kind for Choice<T> {
    type Value = T;
    fn read(&self, raw: &Raw) -> Result<T, String> {
        let written = match raw {
            Raw::Text(text) | Raw::Bare(text) => Some(text),
            _ => None,
        };
        let found = written.and_then(|text| self.0.iter().find(|(word, _)| word == text));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = self.0.iter().map(|(word, _)| quoted(word)).collect();
            format!("{} is none of {}", raw.describe(), words.join(", "))
        })
    }
    fn show(&self, value: &T) -> Option<String> {
        self.0.iter().find(|(_, known)| known == value).map(|(word, _)| quoted(word))
    }
    fn name(&self) -> &'static str {
        "choice"
    }
    fn words(&self) -> Vec<&'static str> {
        self.0.iter().map(|(word, _)| *word).collect()
    }
}

impl<K: Kind> Kind for Unset<K> {
    type Value = Option<K::Value>;
    fn read(&self, raw: &Raw) -> Result<Self::Value, String> {
        self.0.read(raw).map(Some)
    }
    fn show(&self, value: &Self::Value) -> Option<String> {
        value.as_ref().and_then(|value| self.0.kind.show(value))
    }
    fn name(&self) -> &'static str {
        self.0.kind.name()
    }
    fn bounds(&self) -> Option<(String, String)> {
        self.0.shown_bounds()
    }
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
