//! `[[workflow]]` of the file, with positions.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Missed, Overlap, Retry, Trigger, Workflow, value};
use crate::declare::{Declared, Kind, bytes, count, switch, time};
use crate::error::{Place, Problem};
use crate::file::{Source, raw};
use crate::nearest::nearest;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const NAME_CHARACTERS_MAX: usize = 63;

/// The keys of a workflow, in the order in which they are documented.
pub(super) const KEYS: [&str; 9] =
    ["name", "kind", "trigger", "parameters", "retry", "timeout", "overlap", "missed", "enabled"];
pub(super) const RETRY_KEYS: [&str; 3] = ["attempts_max", "backoff_min", "backoff_max"];
pub(super) const TRIGGER_KEYS: [&str; 5] = ["cron", "time_zone", "interval", "rows", "bytes"];
const TRIGGER_FORMS: &str = "{ cron = \"0 3 * * *\", time_zone = \"Europe/Berlin\" }, { interval = \"1h\" }, \
                             { rows = 10000 }, { bytes = \"64 MiB\" } or \"manual\"";

/// Reads every workflow; what is wrong goes into `problems`, and a workflow with something wrong is left out.
pub(crate) fn read(source: &Source<'_>, list: &Spanned<DeValue<'_>>, problems: &mut Vec<Problem>) -> Vec<Workflow> {
    let DeValue::Array(items) = list.get_ref() else {
        let place = source.place(list.span().start);
        problems.push(Problem::new(place, "workflows are a list: write [[workflow]], with two brackets on each side"));
        return Vec::new();
    };
    let mut workflows = Vec::new();
    for item in items {
        let DeValue::Table(table) = item.get_ref() else {
            let what = item.get_ref().type_str();
            problems
                .push(Problem::new(source.place(item.span().start), format!("a value of type {what} is no workflow")));
            continue;
        };
        let at = source.place(item.span().start);
        let mut reader = Reader { source, at, name: None, places: BTreeMap::new(), problems: Vec::new() };
        let workflow = reader.workflow(table);
        if reader.problems.is_empty() {
            workflows.extend(workflow);
        }
        problems.append(&mut reader.problems);
    }
    refuse_double_names(&workflows, problems);
    workflows
}

fn refuse_double_names(workflows: &[Workflow], problems: &mut Vec<Problem>) {
    let mut seen: HashMap<String, &Workflow> = HashMap::new();
    for workflow in workflows {
        // Names that differ in case alone would be taken for each other in SQL.
        if let Some(first) = seen.get(&workflow.name.to_lowercase()) {
            let first_place = first.place_of("name");
            problems
                .push(workflow.problem("name", format_args!("its name is taken already, by the one at {first_place}")));
        } else {
            seen.insert(workflow.name.to_lowercase(), workflow);
        }
    }
}

struct Reader<'a> {
    source: &'a Source<'a>,
    at: Place,
    /// For messages, as soon as it is known.
    name: Option<String>,
    places: BTreeMap<String, Place>,
    problems: Vec<Problem>,
}

type Table<'a> = HashMap<&'a str, &'a Spanned<DeValue<'a>>>;

impl Reader<'_> {
    /// The workflow, or what is wrong with it in `problems`.
    fn workflow(&mut self, table: &DeTable<'_>) -> Option<Workflow> {
        let entries = self.entries(table, "", &KEYS);
        let name = self.name(entries.get("name").copied());
        let kind = self.required(&entries, "kind", "\"flush\"").and_then(|value| self.text("kind", value));
        let trigger = self.required(&entries, "trigger", TRIGGER_FORMS).and_then(|value| self.trigger(value));
        let parameters = match entries.get("parameters") {
            Some(value) => self.parameters(value),
            None => Some(serde_json::Value::Object(serde_json::Map::new())),
        };
        let retry = entries.get("retry").map(|value| self.retry(value)).unwrap_or_default();
        let timeout =
            entries.get("timeout").and_then(|value| self.value("timeout", value, &time(DAY).within(SECOND, 365 * DAY)));
        let overlaps = [("skip", Overlap::Skip), ("queue_one", Overlap::QueueOne), ("cancel_old", Overlap::CancelOld)];
        let overlap = entries.get("overlap").map(|value| self.choice("overlap", value, &overlaps)).unwrap_or_default();
        let misses = [("skip", Missed::Skip), ("run_once", Missed::RunOnce)];
        let missed = entries.get("missed").map(|value| self.choice("missed", value, &misses)).unwrap_or_default();
        let enabled = entries.get("enabled").and_then(|value| self.value("enabled", value, &switch(true)));
        Some(Workflow {
            name: name?,
            kind: kind?,
            trigger: trigger?,
            parameters: parameters?,
            retry,
            timeout,
            overlap,
            missed,
            enabled: enabled.unwrap_or(true),
            place: self.at.clone(),
            places: std::mem::take(&mut self.places),
        })
    }

    /// The entries of a table under `path`, with unknown ones refused.
    fn entries<'t>(&mut self, table: &'t DeTable<'_>, path: &str, known: &[&str]) -> Table<'t> {
        let mut entries = Table::new();
        for (key, value) in table {
            let place = self.source.place(key.span().start);
            let name: &str = key.get_ref();
            if known.contains(&name) {
                self.places.insert(format!("{path}{name}"), place);
                entries.insert(name, value);
            } else {
                let within = if path.is_empty() { "[[workflow]]" } else { path.trim_end_matches('.') };
                let message = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("unknown key \"{name}\" in {within}, did you mean \"{near}\"?"),
                    None => format!("unknown key \"{name}\" in {within}; known are {}", known.join(", ")),
                };
                self.problems.push(Problem::new(place, message));
            }
        }
        entries
    }

    fn name(&mut self, value: Option<&Spanned<DeValue<'_>>>) -> Option<String> {
        let Some(value) = value else {
            let example = "name = \"nightly cleanup\"";
            self.problems.push(Problem::new(self.at.clone(), format!("a workflow needs a name: add {example}")));
            return None;
        };
        let name = self.text("name", value)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' ');
        let fits =
            !name.is_empty() && name.len() <= NAME_CHARACTERS_MAX && name.trim() == name && name.chars().all(allowed);
        if !fits {
            self.wrong(
                value,
                format!(
                    "\"{name}\" is no name of a workflow: up to {NAME_CHARACTERS_MAX} letters a-z, digits, \"-\", \"_\", and spaces inside"
                ),
            );
            return None;
        }
        self.name = Some(name.clone());
        Some(name)
    }

    fn required<'t>(&mut self, entries: &Table<'t>, key: &str, example: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        let found = entries.get(key).copied();
        if found.is_none() {
            self.problem(self.at.clone(), format!("it has no {key}: add {key} = {example}"));
        }
        found
    }

    fn trigger(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Trigger> {
        let table = match value.get_ref() {
            DeValue::String(text) if text == "manual" => return Some(Trigger::Manual),
            DeValue::Table(table) => table,
            _ => {
                self.wrong(value, format!("trigger: write {TRIGGER_FORMS}"));
                return None;
            }
        };
        let problems = self.problems.len();
        let entries = self.entries(table, "trigger.", &TRIGGER_KEYS);
        let cron = entries.get("cron").and_then(|value| self.text("trigger.cron", value));
        let time_zone = entries.get("time_zone").and_then(|value| self.text("trigger.time_zone", value));
        let interval = entries.get("interval").and_then(|value| {
            self.value("trigger.interval", value, &time(DAY).within(SECOND, 3650 * DAY)).map(Trigger::Interval)
        });
        let rows = entries
            .get("rows")
            .and_then(|value| self.value("trigger.rows", value, &count(1).within(1, u64::MAX)).map(Trigger::Rows));
        let bytes = entries
            .get("bytes")
            .and_then(|value| self.value("trigger.bytes", value, &bytes(1).within(1, u64::MAX)).map(Trigger::Bytes));
        if self.problems.len() > problems {
            return None;
        }
        if let (Some(place), None) = (self.places.get("trigger.time_zone").cloned(), &cron) {
            self.problem(place, "a time_zone is of use with cron only");
            return None;
        }
        let cron = cron
            .map(|expression| Trigger::Cron { expression, time_zone: time_zone.unwrap_or_else(|| "UTC".to_owned()) });
        let mut given = [cron, interval, rows, bytes].into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(trigger), None) => Some(trigger),
            (None, _) => {
                self.wrong(value, format!("trigger: write {TRIGGER_FORMS}"));
                None
            }
            (Some(_), Some(_)) => {
                self.wrong(
                    value,
                    "trigger: one workflow has one of cron, interval, rows, bytes; declare a second one for the second",
                );
                None
            }
        }
    }

    fn parameters(&mut self, value: &Spanned<DeValue<'_>>) -> Option<serde_json::Value> {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong(value, "parameters are a table: write parameters = { key = \"value\" }");
            return None;
        };
        match value::object(self.source, table, "parameters", &mut self.places) {
            Ok(parameters) => Some(parameters),
            Err((offset, message)) => {
                self.problem(self.source.place(offset), format!("parameters: {message}"));
                None
            }
        }
    }

    fn retry(&mut self, value: &Spanned<DeValue<'_>>) -> Retry {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong(
                value,
                "retry is a table: write retry = { attempts_max = 5, backoff_min = \"1s\", backoff_max = \"5m\" }",
            );
            return Retry::default();
        };
        let entries = self.entries(table, "retry.", &RETRY_KEYS);
        let millisecond = Duration::from_millis(1);
        let attempts = count(5_u32).within(1, 1_000_000);
        let retry = Retry {
            attempts_max: entries.get("attempts_max").and_then(|it| self.value("retry.attempts_max", it, &attempts)),
            backoff_min: entries
                .get("backoff_min")
                .and_then(|it| self.value("retry.backoff_min", it, &time(SECOND).within(millisecond, DAY))),
            backoff_max: entries
                .get("backoff_max")
                .and_then(|it| self.value("retry.backoff_max", it, &time(SECOND).within(millisecond, 7 * DAY))),
        };
        if let (Some(min), Some(max)) = (retry.backoff_min, retry.backoff_max)
            && min > max
        {
            self.wrong(value, "retry.backoff_min is longer than retry.backoff_max");
        }
        retry
    }

    fn choice<T: Copy + Default>(&mut self, key: &str, value: &Spanned<DeValue<'_>>, known: &[(&str, T)]) -> T {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        let Some(text) = value.get_ref().as_str() else {
            self.wrong(value, format!("{key}: write one of {}", quoted(&names)));
            return T::default();
        };
        if let Some((_, choice)) = known.iter().find(|(name, _)| *name == text) {
            return *choice;
        }
        let message = match nearest(text, names.iter().copied()) {
            Some(near) => format!("{key}: \"{text}\" is unknown, did you mean \"{near}\"?"),
            None => format!("{key}: \"{text}\" is unknown; known are {}", quoted(&names)),
        };
        self.wrong(value, message);
        T::default()
    }

    fn text(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.wrong(
                value,
                format!("{key}: a value of type {} is no text; put it in quotes", value.get_ref().type_str()),
            );
        }
        text
    }

    fn value<K: Kind>(&mut self, key: &str, value: &Spanned<DeValue<'_>>, declared: &Declared<K>) -> Option<K::Value> {
        match declared.read(&raw(value)) {
            Ok(value) => Some(value),
            Err(message) => {
                self.wrong(value, format!("{key}: {message}"));
                None
            }
        }
    }

    /// Something wrong where this value stands.
    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, message: impl Into<String>) {
        self.problem(self.source.place(value.span().start), message);
    }

    fn problem(&mut self, place: Place, message: impl Into<String>) {
        let message = message.into();
        let message = match &self.name {
            Some(name) => format!("workflow \"{name}\": {message}"),
            None => message,
        };
        self.problems.push(Problem::new(place, message));
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
