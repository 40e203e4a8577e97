//! How a storage is reached: the CONFIG of a storage, a JSON object.

use super::Provider;
use crate::Error;
use ebbtide_config::{parse_bytes, parse_duration};
use serde_json::{Map, Value};
use std::time::Duration;

/// The CONFIG of a storage. Every limit has a default, and no key is taken that nothing reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where requests go, in place of the provider's own address: `http://127.0.0.1:9000`.
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
    /// The storage account.
    pub account: Option<String>,
    /// The bucket is part of the host's name, not of the path.
    pub virtual_hosted_style: bool,
    /// The profile of AWS's config files to take credentials from.
    pub profile: Option<String>,
    /// Requests that wait for an answer at a time.
    pub requests_in_flight_max: usize,
    /// Requests begun per second.
    pub requests_per_second_max: Option<f64>,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How often one request is sent again after an answer that may be better next time.
    pub retries_max: usize,
    /// How long one request is sent again at all.
    pub retry_timeout: Duration,
    /// The size of a part, and of the largest object that is sent in one piece.
    pub part_bytes: usize,
    /// Parts of one object on their way at a time.
    pub parts_in_flight_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            account: None,
            virtual_hosted_style: false,
            profile: None,
            requests_in_flight_max: 64,
            requests_per_second_max: None,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            retries_max: 4,
            retry_timeout: Duration::from_secs(60),
            part_bytes: 8 << 20,
            parts_in_flight_max: 2,
        }
    }
}

/// What S3 and its like want of every part but the last.
const PART_BYTES_MIN: u64 = 5 << 20;
const PART_BYTES_MAX: u64 = 64 << 20;
const HOUR: Duration = Duration::from_secs(3600);

/// Every key, and whom it means something to.
const KEYS: [(&str, &[Provider]); 13] = {
    use Provider::{Azure, Gcs, S3};
    [
        ("endpoint", &[S3, Gcs, Azure]),
        ("region", &[S3]),
        ("account", &[Azure]),
        ("virtual_hosted_style", &[S3]),
        ("profile", &[S3]),
        ("requests_in_flight_max", &[S3, Gcs, Azure]),
        ("requests_per_second_max", &[S3, Gcs, Azure]),
        ("request_timeout", &[S3, Gcs, Azure]),
        ("connect_timeout", &[S3, Gcs, Azure]),
        ("retries_max", &[S3, Gcs, Azure]),
        ("retry_timeout", &[S3, Gcs, Azure]),
        ("part_bytes", &[S3, Gcs, Azure]),
        ("parts_in_flight_max", &[S3, Gcs, Azure]),
    ]
};

impl Settings {
    /// Reads the CONFIG of a storage; without one the defaults count.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the key, and the nearest known one where it is unknown.
    pub fn parse(provider: Provider, json: Option<&str>) -> Result<Self, Error> {
        let mut settings = Self::default();
        let Some(json) = json else { return Ok(settings) };
        for (key, value) in object("CONFIG", json)? {
            let known = KEYS.iter().filter(|(_, providers)| providers.contains(&provider)).map(|(name, _)| *name);
            if !known.clone().any(|name| name == key) {
                return Err(unknown("CONFIG", &key, known));
            }
            settings.set(&key, &value).map_err(|why| match key.as_str() {
                // Keys are put into addresses, though they do not belong there.
                "endpoint" => Error::invalid(format!("CONFIG: {key} {why}")),
                _ => Error::invalid(format!("CONFIG: {key} {why}, not {}", shown(&value))),
            })?;
        }
        Ok(settings)
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match key {
            "endpoint" => self.endpoint = Some(endpoint(&text(value)?)?),
            "region" => self.region = Some(word(value)?),
            "account" => self.account = Some(word(value)?),
            "profile" => self.profile = Some(text(value)?),
            "virtual_hosted_style" => {
                self.virtual_hosted_style = value.as_bool().ok_or("is true or false")?;
            }
            "requests_in_flight_max" => self.requests_in_flight_max = count(value, 1, 4096)?,
            "requests_per_second_max" => {
                let rate = value.as_f64().filter(|rate| (0.1..=100_000.0).contains(rate));
                self.requests_per_second_max = Some(rate.ok_or("is a number from 0.1 to 100000")?);
            }
            "request_timeout" => self.request_timeout = duration(value)?,
            "connect_timeout" => self.connect_timeout = duration(value)?,
            "retries_max" => self.retries_max = count(value, 0, 100)?,
            "retry_timeout" => self.retry_timeout = duration(value)?,
            "part_bytes" => self.part_bytes = bytes(value)?,
            "parts_in_flight_max" => self.parts_in_flight_max = count(value, 1, 64)?,
            _ => return Err("is read by nothing".to_owned()),
        }
        Ok(())
    }

    /// Whether requests go over plain HTTP: only where the endpoint says so.
    pub fn allows_http(&self) -> bool {
        self.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"))
    }
}

/// A JSON object's members.
pub(super) fn object(what: &str, json: &str) -> Result<Map<String, Value>, Error> {
    match serde_json::from_str(json) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Error::invalid(format!("{what} must be a JSON object"))),
        // Where, not what: it may be a secret.
        Err(error) => Err(Error::invalid(format!(
            "Invalid {what} JSON: it goes wrong at line {}, column {}",
            error.line(),
            error.column()
        ))),
    }
}

/// A key that nothing reads. It is repeated only when it looks like one that is known: a secret may stand in its place.
pub(super) fn unknown<'a>(what: &str, key: &str, known: impl Iterator<Item = &'a str> + Clone) -> Error {
    match crate::path::nearest(key, known.clone()) {
        Some(near) => Error::Invalid {
            message: format!("{what}: unknown key {key:?}"),
            hint: Some(format!("did you mean {near:?}?")),
        },
        None => Error::Invalid {
            message: format!("{what} has a key that means nothing here"),
            hint: Some(format!("known are {}", known.collect::<Vec<_>>().join(", "))),
        },
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn text(value: &Value) -> Result<String, String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| "is a text".to_owned())
}

fn word(value: &Value) -> Result<String, String> {
    let good = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    text(value).ok().filter(|text| good(text)).ok_or_else(|| "is a word of letters, digits and '-'".to_owned())
}

/// An address of a server, as the client takes it: no slash at the end, and nothing in it that could be a secret.
fn endpoint(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    let good =
        ["http://", "https://"].iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|host| !host.is_empty()))
            && !text.contains(['@', '?', '#', ' ']);
    if good { Ok(text.to_owned()) } else { Err("is an address such as https://host:9000".to_owned()) }
}

fn count(value: &Value, least: usize, greatest: usize) -> Result<usize, String> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number
        .filter(|number| (least..=greatest).contains(number))
        .ok_or_else(|| format!("is a whole number from {least} to {greatest}"))
}

fn duration(value: &Value) -> Result<Duration, String> {
    let duration = value.as_str().and_then(|text| parse_duration(text).ok());
    duration
        .filter(|duration| (Duration::from_millis(1)..=HOUR).contains(duration))
        .ok_or_else(|| "is a time of at most an hour, such as \"30s\"".to_owned())
}

fn bytes(value: &Value) -> Result<usize, String> {
    let bytes = value.as_u64().or_else(|| value.as_str().and_then(|text| parse_bytes(text).ok()));
    bytes
        .filter(|bytes| (PART_BYTES_MIN..=PART_BYTES_MAX).contains(bytes))
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| "is a size from \"5 MiB\" to \"64 MiB\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_read() {
        let json = r#"{"endpoint": "http://127.0.0.1:9000/", "region": "eu-central-1", "virtual_hosted_style": true,
            "requests_in_flight_max": 8, "requests_per_second_max": 3500, "request_timeout": "90s",
            "connect_timeout": "500ms", "retries_max": 0, "retry_timeout": "5m", "part_bytes": "16 MiB",
            "parts_in_flight_max": 4, "profile": "backup"}"#;
        let settings = Settings::parse(Provider::S3, Some(json)).unwrap();
        assert_eq!(settings.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert!(settings.allows_http());
        assert_eq!(settings.part_bytes, 16 << 20);
        assert_eq!(settings.request_timeout, Duration::from_secs(90));
        assert_eq!(Settings::parse(Provider::Azure, Some(r#"{"account":"a"}"#)).unwrap().account.as_deref(), Some("a"));
        assert_eq!(Settings::parse(Provider::Gcs, None).unwrap(), Settings::default());
    }

    #[test]
    fn a_wrong_config_is_told_by_its_key() {
        for (provider, json, says, hint) in [
            (Provider::S3, "[]", "CONFIG must be a JSON object", ""),
            (Provider::S3, "{\"a\": ", "Invalid CONFIG JSON", ""),
            (Provider::S3, r#"{"regoin": "x"}"#, "unknown key \"regoin\"", "\"region\""),
            (Provider::Gcs, r#"{"region": "x"}"#, "a key that means nothing here", "known are"),
            (Provider::S3, r#"{"region": 3}"#, "region is a word", ""),
            (Provider::S3, r#"{"endpoint": "127.0.0.1:9000"}"#, "endpoint is an address", ""),
            (Provider::S3, r#"{"endpoint": "http://key:secret@host"}"#, "endpoint is an address", ""),
            (Provider::S3, r#"{"requests_in_flight_max": 0}"#, "from 1 to 4096, not 0", ""),
            (Provider::S3, r#"{"requests_per_second_max": "fast"}"#, "0.1 to 100000", ""),
            (Provider::S3, r#"{"request_timeout": "2h"}"#, "at most an hour", ""),
            (Provider::S3, r#"{"part_bytes": "1 MiB"}"#, "5 MiB", ""),
            (Provider::S3, r#"{"virtual_hosted_style": "yes"}"#, "true or false", ""),
        ] {
            let error = Settings::parse(provider, Some(json)).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(error.to_string().contains(says), "{json}: {error}");
            assert!(error.hint().unwrap_or_default().contains(hint), "{json}: {:?}", error.hint());
        }
    }
}
