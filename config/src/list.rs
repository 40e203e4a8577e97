//! Every setting with its value, for those who ask what counts.

use crate::error::Place;
use crate::render::paragraph;
use crate::settings::{Settings, sections};

/// A setting with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its section.
    pub section: &'static str,
    /// Its key in that section.
    pub key: &'static str,
    /// What counts, as the file would have it but without quotes; none when it is unset.
    pub value: Option<String>,
    /// What counts when nobody says anything; none for unset.
    pub default: Option<String>,
    /// What sort of value it is: number, bytes, duration, address, folder, boolean, text, choice.
    pub kind: &'static str,
    /// The least and the greatest value that are accepted.
    pub bounds: Option<(String, String)>,
    /// What it does.
    pub description: String,
    /// Where its value was written.
    pub place: Place,
}

impl Settings {
    /// Every setting with its value, in the order of the file. The declared workflows are no part of it.
    ///
    /// ```
    /// let settings = ebbtide_config::Settings::default();
    /// let encoders = settings.list().into_iter().find(|setting| setting.key == "encoders").unwrap();
    /// assert_eq!((encoders.section, encoders.value.as_deref()), ("flush", Some("0")));
    /// ```
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let settings = sections().into_iter().flat_map(|section| section.settings);
        settings
            .map(|setting| {
                let shown = (setting.shown)();
                Listed {
                    section: setting.section,
                    key: setting.key,
                    value: (setting.value)(self).map(plain),
                    default: shown.default.map(plain),
                    kind: (setting.kind)(),
                    bounds: shown.bounds.map(|(least, greatest)| (plain(least), plain(greatest))),
                    description: paragraph(setting.docs),
                    place: self.place_of(setting.section, setting.key),
                }
            })
            .collect()
    }
}

/// A value as the file has it, without the quotes of a text.
fn plain(written: String) -> String {
    match format!("value = {written}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("value")) {
        Some(toml::Value::String(text)) => text,
        _ => written,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Place, Settings};

    #[test]
    fn a_value_is_shown_as_it_counts_with_its_source() {
        let variable = || Place::Variable("EBBTIDE_FLUSH__MEMORY_BYTES_MAX".to_owned());
        let environment = [("EBBTIDE_FLUSH__MEMORY_BYTES_MAX".to_owned(), "128MiB".to_owned())];
        let settings = Settings::load(None, environment.into_iter()).unwrap();
        let list = settings.list();
        let named = |section: &str, key: &str| {
            list.iter().find(|setting| (setting.section, setting.key) == (section, key)).unwrap()
        };
        let memory = named("flush", "memory_bytes_max");
        assert_eq!((memory.value.as_deref(), memory.default.as_deref()), (Some("128 MiB"), Some("64 MiB")));
        assert_eq!((memory.kind, &memory.place), ("bytes", &variable()));
        assert!(memory.bounds.is_some() && !memory.description.is_empty());
        let unset = named("flush", "default_interval");
        assert_eq!((unset.value.as_deref(), unset.kind, &unset.place), (None, "duration", &Place::Default));
    }
}
