//! Settings from the file, then from the environment, then the rules between them.

use std::collections::HashMap;
use std::path::Path;

use crate::declare::{Raw, Section};
use crate::error::{Error, Place, Problem};
use crate::file::{self, Written};
use crate::nearest::nearest;
use crate::settings::{Places, Settings, broken_rules, sections};

/// A known setting with the value that somebody wrote for it.
pub(crate) struct Entry {
    pub(crate) section: &'static str,
    pub(crate) key: &'static str,
    pub(crate) place: Place,
    pub(crate) raw: Raw,
}

const PREFIX: &str = "EBBTIDE_";

impl Settings {
    /// Reads `path` if there is one, then `EBBTIDE_<SECTION>__<KEY>` of the environment over it.
    ///
    /// `env` is what `std::env::vars()` gives. Other variables are left alone, also such as begin with `EBBTIDE_`
    /// and name no section.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when the file cannot be read. [`Error::Invalid`] with everything that is wrong in
    /// file and environment: the place, what is wrong, and what would be right.
    pub fn load(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        let sections = sections();
        let mut problems = Vec::new();
        let Written { mut entries, workflows } = match path {
            Some(path) => {
                let content = std::fs::read_to_string(path)
                    .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
                file::read(path, &content, &sections, &mut problems)
            }
            None => Written::default(),
        };
        entries.extend(variables(env, &sections, &mut problems));

        let mut settings = Self { workflows, ..Self::default() };
        let mut places = HashMap::new();
        for Entry { section, key, place, raw } in entries {
            match (find(&sections, section, key).set)(&mut settings, &raw) {
                Ok(()) => {
                    places.insert((section, key), place);
                }
                Err(message) => {
                    problems.push(Problem::new(place, format!("[{section}] {key}: {message}")));
                }
            }
        }
        if problems.is_empty() {
            for (section, key, why) in broken_rules(&settings) {
                let place = places.get(&(section, key)).cloned().unwrap_or(Place::Default);
                problems.push(Problem::new(place, format!("[{section}] {key} {why}")));
            }
        }
        // The parser gives the keys sorted by name; a person reads from the top.
        problems.sort_by_key(|problem| match &problem.place {
            Place::File { line, column, .. } => (*line, *column),
            Place::Variable(_) | Place::Default => (usize::MAX, 0),
        });
        settings.places = Places(places);
        if problems.is_empty() { Ok(settings) } else { Err(Error::Invalid(problems)) }
    }
}

impl Settings {
    /// Where a setting was written; [`Place::Default`] when nowhere.
    #[must_use]
    pub fn place_of(&self, section: &str, key: &str) -> Place {
        let written = self.places.0.iter().find(|(name, _)| **name == (section, key));
        written.map_or(Place::Default, |(_, place)| place.clone())
    }
}

fn find<'a>(sections: &'a [Section], section: &str, key: &str) -> &'a crate::declare::Setting {
    sections
        .iter()
        .flat_map(|section| &section.settings)
        .find(|setting| setting.section == section && setting.key == key)
        .expect("an entry is only made for a setting that was found in these sections")
}

fn variables(
    env: impl Iterator<Item = (String, String)>,
    sections: &[Section],
    problems: &mut Vec<Problem>,
) -> Vec<Entry> {
    let mut ours: Vec<_> = env.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    // The environment has no order of its own; errors should not change theirs from run to run.
    ours.sort();
    let mut entries = Vec::new();
    for (name, value) in ours {
        match setting_of(&name, sections) {
            Ok(Some((section, key))) => {
                entries.push(Entry { section, key, place: Place::Variable(name), raw: Raw::Bare(value) });
            }
            Ok(None) => {}
            Err(message) => problems.push(Problem::new(Place::Variable(name), message)),
        }
    }
    entries
}

type Name = (&'static str, &'static str);

/// The setting that a variable names; `None` when it names none of ours, an error when it was meant to.
fn setting_of(variable: &str, sections: &[Section]) -> Result<Option<Name>, String> {
    let rest = variable[PREFIX.len()..].to_lowercase();
    let Some((section_name, key)) = rest.split_once("__") else {
        // `EBBTIDE_FLUSH_ENCODERS` would be ignored in silence, and its author left to wonder.
        let meant =
            sections.iter().find(|section| rest.strip_prefix(section.name).is_some_and(|rest| rest.starts_with('_')));
        return match meant {
            Some(section) => Err(format!(
                "a setting of [{0}] has two underscores after its section: {1}",
                section.name,
                variable_name(section.name, &rest[section.name.len() + 1..]),
            )),
            None => Ok(None),
        };
    };
    let Some(section) = sections.iter().find(|section| section.name == section_name) else {
        return Err(match nearest(section_name, sections.iter().map(|section| section.name)) {
            Some(near) => {
                format!("unknown section \"{section_name}\", did you mean {}?", variable_name(near, key))
            }
            None => format!("unknown section \"{section_name}\"; known are {}", file::section_names(sections)),
        });
    };
    match section.settings.iter().find(|setting| setting.key == key) {
        Some(setting) => Ok(Some((setting.section, setting.key))),
        None => Err(file::unknown_key(sections, section, key)),
    }
}

/// `EBBTIDE_FLUSH__ENCODERS`.
pub(crate) fn variable_name(section: &str, key: &str) -> String {
    format!("{PREFIX}{}__{}", section.to_uppercase(), key.to_uppercase())
}
