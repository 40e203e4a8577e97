//! Settings that drivers send. Those that would change what a statement means, and cannot, are refused.

use super::Identity;
use crate::error::{Error, Result, code, nearest};
use crate::functions::VERSION;
use std::collections::BTreeMap;
use std::time::Duration;

/// Values by setting, as they were before something.
pub(crate) type Saved = BTreeMap<&'static str, String>;

/// What may be set, and to what.
enum Rule {
    /// Anything: it means something to the client alone.
    Anything,
    /// One of these, in any case.
    One(&'static [&'static str]),
    /// A number.
    Number,
    /// A time; 0 for none.
    Time,
    /// A list of namespaces.
    Names,
    /// Nothing: it can be shown.
    Fixed,
}

/// Name, value at first, rule. By name.
const KNOWN: &[(&str, &str, Rule)] = &[
    ("application_name", "", Rule::Anything),
    ("bytea_output", "hex", Rule::One(&["hex"])),
    ("client_encoding", "UTF8", Rule::One(&["utf8", "utf-8", "unicode"])),
    ("client_min_messages", "notice", Rule::Anything),
    ("datestyle", "ISO, MDY", Rule::One(&["iso", "iso, mdy", "iso, ymd", "iso, dmy", "iso,mdy", "iso,ymd", "iso,dmy"])),
    ("default_transaction_isolation", "read committed", Rule::One(&["read committed", "read uncommitted"])),
    ("default_transaction_read_only", "off", Rule::One(&["off", "false", "no", "0"])),
    ("extra_float_digits", "1", Rule::Number),
    ("idle_in_transaction_session_timeout", "0", Rule::One(&["0"])),
    ("integer_datetimes", "on", Rule::Fixed),
    ("intervalstyle", "postgres", Rule::One(&["postgres", "iso_8601", "postgres_verbose", "sql_standard"])),
    ("is_superuser", "off", Rule::Fixed),
    ("lock_timeout", "0", Rule::Time),
    ("max_identifier_length", "64", Rule::Fixed),
    ("row_security", "on", Rule::One(&["on", "true"])),
    ("search_path", "", Rule::Names),
    ("server_encoding", "UTF8", Rule::Fixed),
    ("server_version", "16.0", Rule::Fixed),
    ("session_authorization", "", Rule::Fixed),
    ("standard_conforming_strings", "on", Rule::One(&["on", "true"])),
    ("statement_timeout", "0", Rule::Time),
    ("synchronous_commit", "on", Rule::One(&["on", "true", "local", "remote_write", "remote_apply"])),
    ("timezone", "UTC", Rule::One(&["utc", "gmt", "etc/utc", "etc/gmt", "zulu", "z", "0", "+00", "+00:00", "-00:00"])),
    ("transaction_isolation", "read committed", Rule::One(&["read committed", "read uncommitted"])),
    ("transaction_read_only", "off", Rule::Fixed),
];

fn known(name: &str) -> Option<&'static (&'static str, &'static str, Rule)> {
    KNOWN.iter().find(|(known, ..)| *known == name)
}

/// The settings of a session.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Those that differ from the start.
    values: Saved,
    /// What RESET goes back to, where it is not what [`KNOWN`] says.
    start: Saved,
    search_path: Vec<String>,
    statement_timeout: Option<Duration>,
}

impl Settings {
    pub(super) fn new(statement_timeout: Option<Duration>, identity: &Identity) -> Self {
        let mut start = Saved::new();
        if let Some(timeout) = statement_timeout {
            start.insert("statement_timeout", format!("{}ms", timeout.as_millis()));
        }
        start.insert("session_authorization", identity.name().to_owned());
        start.insert("is_superuser", if identity.is_service() { "on" } else { "off" }.to_owned());
        Self { values: Saved::new(), start, search_path: Vec::new(), statement_timeout }
    }

    /// Sets a setting to a value, or to a list of them.
    pub(super) fn set(&mut self, name: &str, values: &[String]) -> Result<()> {
        let name = name.to_ascii_lowercase();
        let Some((name, _, rule)) = known(&name) else { return Err(unknown(&name)) };
        let value = values.join(", ");
        let refused = |why: Option<&str>| {
            let error = match *name {
                "synchronous_commit" => Error::unsupported("synchronous_commit cannot be turned off")
                    .detail("a write is acknowledged when it is on disk"),
                "timezone" => Error::unsupported(format!("time zone \"{value}\" is not supported"))
                    .hint("times are shown in UTC; SET TIME ZONE 'UTC'"),
                "client_encoding" => {
                    Error::unsupported(format!("encoding \"{value}\" is not supported")).hint("text is UTF-8")
                }
                "default_transaction_isolation"
                | "transaction_isolation"
                | "default_transaction_read_only"
                | "idle_in_transaction_session_timeout"
                | "standard_conforming_strings"
                | "bytea_output"
                | "row_security" => Error::unsupported(format!("{name} = \"{value}\" is not supported")),
                _ => Error::new(
                    code::INVALID_PARAMETER_VALUE,
                    format!("invalid value for parameter \"{name}\": \"{value}\""),
                ),
            };
            match why {
                Some(why) => error.hint(why),
                None => error,
            }
        };
        match rule {
            Rule::Anything => {}
            Rule::One(allowed) if allowed.iter().any(|allowed| value.eq_ignore_ascii_case(allowed)) => {}
            Rule::One(_) => return Err(refused(None)),
            Rule::Number if value.parse::<i64>().is_ok() => {}
            Rule::Number => return Err(refused(Some("write a whole number"))),
            Rule::Time => {
                let time = duration(&value).ok_or_else(|| refused(Some("write milliseconds, or as in '5s'")))?;
                if *name == "statement_timeout" {
                    self.statement_timeout = (!time.is_zero()).then_some(time);
                }
            }
            Rule::Names => {
                let names = values.iter().flat_map(|value| value.split(','));
                self.search_path = names.map(|name| name.trim().trim_matches('"').to_lowercase()).collect();
            }
            Rule::Fixed => {
                return Err(Error::new(
                    code::INVALID_PARAMETER_VALUE,
                    format!("parameter \"{name}\" cannot be changed"),
                ));
            }
        }
        self.values.insert(name, value);
        Ok(())
    }

    /// Sets a setting back to what it was at first; all of them for none.
    pub(super) fn reset(&mut self, name: Option<&str>) -> Result<()> {
        match name {
            None => self.restore(&Saved::new()),
            Some(name) => {
                let name = name.to_ascii_lowercase();
                let Some((name, ..)) = known(&name) else { return Err(unknown(&name)) };
                let mut values = self.values.clone();
                values.remove(name);
                self.restore(&values);
            }
        }
        Ok(())
    }

    /// All settings that differ from the start.
    pub(super) fn saved(&self) -> Saved {
        self.values.clone()
    }

    /// Makes the settings what they were when `saved` was taken.
    pub(super) fn restore(&mut self, saved: &Saved) {
        let start = self.start.get("statement_timeout").and_then(|text| duration(text));
        self.values.clear();
        self.search_path.clear();
        self.statement_timeout = start;
        for (name, value) in saved {
            // It was accepted before, so it is again.
            let _ = self.set(name, std::slice::from_ref(value));
        }
    }

    /// What a setting is.
    pub(super) fn show(&self, name: &str) -> Result<String> {
        let name = name.to_ascii_lowercase();
        let Some((name, at_first, _)) = known(&name) else { return Err(unknown(&name)) };
        let value = self.values.get(name).or_else(|| self.start.get(name));
        Ok(value.map_or_else(|| (*at_first).to_owned(), Clone::clone))
    }

    /// Every setting with its value.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, String)> {
        KNOWN.iter().map(|(name, ..)| (*name, self.show(name).unwrap_or_default()))
    }

    /// Namespaces that bare table names are looked up in.
    pub(super) fn search_path(&self) -> &[String] {
        &self.search_path
    }

    /// How long a statement may run.
    pub(super) fn statement_timeout(&self) -> Option<Duration> {
        self.statement_timeout
    }
}

fn unknown(name: &str) -> Error {
    let error = Error::new(code::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""));
    match nearest(name, KNOWN.iter().map(|(known, ..)| *known)) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("SHOW ALL lists what can be set; this is {VERSION}")),
    }
}

/// Milliseconds, or a number with one of PostgreSQL's units.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis: u64 = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(millis).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new(None, &Identity::Service("admin".into()))
    }

    fn set(settings: &mut Settings, name: &str, value: &str) -> Result<()> {
        settings.set(name, &[value.to_owned()])
    }

    #[test]
    fn what_drivers_send_is_accepted() {
        let mut settings = settings();
        for (name, value) in [
            ("extra_float_digits", "3"),
            ("application_name", "psql"),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO"),
            ("TimeZone", "UTC"),
            ("client_min_messages", "warning"),
            ("standard_conforming_strings", "on"),
            ("statement_timeout", "30s"),
            ("search_path", "chat, other"),
            ("default_transaction_isolation", "read committed"),
        ] {
            set(&mut settings, name, value).unwrap_or_else(|error| panic!("{name} = {value}: {error}"));
        }
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(30)));
        assert_eq!(settings.search_path(), ["chat", "other"]);
        assert_eq!(settings.show("application_name").unwrap(), "psql");
        settings.reset(None).unwrap();
        assert_eq!(settings.statement_timeout(), None);
        assert_eq!(settings.show("application_name").unwrap(), "");
    }

    #[test]
    fn what_would_change_meaning_is_refused() {
        let mut settings = settings();
        for (name, value, sqlstate) in [
            ("synchronous_commit", "off", code::FEATURE_NOT_SUPPORTED),
            ("timezone", "Europe/Berlin", code::FEATURE_NOT_SUPPORTED),
            ("client_encoding", "latin1", code::FEATURE_NOT_SUPPORTED),
            ("default_transaction_isolation", "serializable", code::FEATURE_NOT_SUPPORTED),
            ("statement_timeout", "soon", code::INVALID_PARAMETER_VALUE),
            ("server_version", "9", code::INVALID_PARAMETER_VALUE),
            ("serch_path", "a", code::UNDEFINED_OBJECT),
        ] {
            assert_eq!(set(&mut settings, name, value).unwrap_err().sqlstate, sqlstate, "{name} = {value}");
        }
        let error = set(&mut settings, "serch_path", "a").unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean search_path?"));
    }

    #[test]
    fn a_restore_brings_back_what_was_and_nothing_else() {
        let mut settings = settings();
        set(&mut settings, "application_name", "a").unwrap();
        let saved = settings.saved();
        set(&mut settings, "application_name", "b").unwrap();
        set(&mut settings, "statement_timeout", "5s").unwrap();
        settings.restore(&saved);
        assert_eq!(settings.show("application_name").unwrap(), "a");
        assert_eq!(settings.statement_timeout(), None);
    }
}
