//! `ebbtide.toml`, read into values with their positions.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::declare::{Raw, Section};
use crate::error::{Place, Problem};
use crate::load::Entry;
use crate::nearest::nearest;
use crate::workflow::{self, Workflow};

/// The one table that may stand in the file many times.
const WORKFLOW: &str = "workflow";

/// What one file says.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) entries: Vec<Entry>,
    pub(crate) workflows: Vec<Workflow>,
}

/// Reads one file; what is wrong goes into `problems`.
pub(crate) fn read(path: &Path, content: &str, sections: &[Section], problems: &mut Vec<Problem>) -> Written {
    let source = Source { path, content };
    let reader = Reader { source: &source, sections };
    let (root, errors) = DeTable::parse_recoverable(content);
    if !errors.is_empty() {
        // What could be recovered is not looked at: a missing quote would be reported as unknown keys too.
        problems.extend(errors.iter().map(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            Problem::new(source.place(offset), error.message().replace('\n', "; "))
        }));
        return Written::default();
    }
    let mut written = Written::default();
    for (name, value) in root.get_ref() {
        if name.get_ref() == WORKFLOW {
            written.workflows = workflow::read(&source, value, problems);
            continue;
        }
        let at = source.place(name.span().start);
        match (reader.section(name.get_ref()), value.get_ref()) {
            (Some(section), DeValue::Table(table)) => {
                reader.section_entries(section, table, &mut written.entries, problems);
            }
            (Some(section), _) => {
                let name = section.name;
                problems.push(Problem::new(at, format!("{name} is a section: write [{name}]")));
            }
            (None, _) => problems.push(Problem::new(at, reader.unknown_section(name.get_ref()))),
        }
    }
    written
}

/// A file's text, in which positions become places.
pub(crate) struct Source<'a> {
    path: &'a Path,
    content: &'a str,
}

impl Source<'_> {
    /// The place of a byte of the file.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let before = self.content.get(..offset).unwrap_or(self.content);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place::File {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

struct Reader<'a> {
    source: &'a Source<'a>,
    sections: &'a [Section],
}

impl Reader<'_> {
    fn section_entries(
        &self,
        section: &Section,
        table: &DeTable<'_>,
        entries: &mut Vec<Entry>,
        problems: &mut Vec<Problem>,
    ) {
        for (key, value) in table {
            match section.settings.iter().find(|setting| setting.key == key.get_ref()) {
                Some(setting) => entries.push(Entry {
                    section: setting.section,
                    key: setting.key,
                    place: self.source.place(value.span().start),
                    raw: raw(value),
                }),
                None => problems.push(Problem::new(
                    self.source.place(key.span().start),
                    unknown_key(self.sections, section, key.get_ref()),
                )),
            }
        }
    }

    fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    fn unknown_section(&self, name: &str) -> String {
        if let Some(owner) = owner(self.sections, name) {
            return format!("\"{name}\" stands outside of its section: write it under [{owner}]");
        }
        match nearest(name, self.sections.iter().map(|section| section.name).chain([WORKFLOW])) {
            Some(WORKFLOW) => format!("unknown section \"{name}\", did you mean [[{WORKFLOW}]]?"),
            Some(near) => format!("unknown section \"{name}\", did you mean [{near}]?"),
            None => format!("unknown section \"{name}\"; known are {}", section_names(self.sections)),
        }
    }
}

/// The sentence about a key that its section does not have.
pub(crate) fn unknown_key(sections: &[Section], section: &Section, key: &str) -> String {
    let name = section.name;
    let folded = key.to_lowercase();
    if let Some(near) = nearest(&folded, section.settings.iter().map(|setting| setting.key)) {
        return format!("unknown key \"{key}\" in [{name}], did you mean \"{near}\"?");
    }
    if let Some(owner) = owner(sections, &folded) {
        return format!("unknown key \"{key}\" in [{name}]; it belongs to [{owner}]");
    }
    let known: Vec<_> = section.settings.iter().map(|setting| setting.key).collect();
    format!("unknown key \"{key}\" in [{name}]; known are {}", known.join(", "))
}

/// The section that has this key.
fn owner(sections: &[Section], key: &str) -> Option<&'static str> {
    sections
        .iter()
        .find(|section| section.settings.iter().any(|setting| setting.key == key))
        .map(|section| section.name)
}

/// All sections, for a sentence.
pub(crate) fn section_names(sections: &[Section]) -> String {
    sections.iter().map(|section| format!("[{}]", section.name)).collect::<Vec<_>>().join(", ")
}

pub(crate) fn raw(value: &Spanned<DeValue<'_>>) -> Raw {
    match value.get_ref() {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Raw::Other("integer beyond 64 bits"), Raw::Integer),
        other => Raw::Other(other.type_str()),
    }
}
