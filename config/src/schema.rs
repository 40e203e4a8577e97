//! The JSON Schema of `ebbtide.toml`, by which editors complete and check it.
//!
//! Sections come from the declarations of the settings. The kinds of workflows are not known here: whoever knows them hands
//! in the schemas of their parameters.

use serde_json::{Map, Value, json};

use crate::declare::{Section, Setting};
use crate::render::paragraph;
use crate::settings::{Settings, sections};
use crate::workflow::{NAME_PATTERN, describe};

/// A size as a text. Kept as wide as what is read.
const SIZE: &str = r"^\s*[0-9]+\s*([bB]|[kKmMgGtT][iI]?[bB])?\s*$";
const DURATION: &str = r"^\s*([0-9]+\s*([dD]|[hH]|[mM][sS]?|[sS])\s*)+$";

/// A kind of workflow, as the schema shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct KindSchema {
    /// Its name.
    pub name: String,
    /// What it does.
    pub about: String,
    /// The schema of its parameters.
    pub parameters: Value,
}

impl Settings {
    /// The JSON Schema (draft 7, which editors of TOML know) of `ebbtide.toml`, with these kinds of workflows.
    ///
    /// ```
    /// let schema = ebbtide_config::Settings::json_schema(Vec::new());
    /// assert_eq!(schema["properties"]["flush"]["properties"]["encoders"]["default"], 0);
    /// ```
    #[must_use]
    pub fn json_schema(kinds: Vec<KindSchema>) -> Value {
        let mut properties: Map<String, Value> =
            sections().iter().map(|section| (section.name.to_owned(), section_schema(section))).collect();
        let mut definitions = Map::new();
        properties.insert("workflow".to_owned(), workflows(kinds, &mut definitions));
        let mut schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "ebbtide.toml",
            "description": "The settings of Ebbtide and its declared workflows.",
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
        });
        if !definitions.is_empty() {
            schema["$defs"] = Value::Object(definitions);
        }
        schema
    }
}

fn section_schema(section: &Section) -> Value {
    let properties: Map<String, Value> =
        section.settings.iter().map(|setting| (setting.key.to_owned(), setting_schema(setting))).collect();
    json!({
        "description": paragraph(section.docs),
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn setting_schema(setting: &Setting) -> Value {
    let shown = (setting.shown)();
    let mut schema = match (setting.kind)() {
        "number" => json!({ "type": "integer", "minimum": 0 }),
        "boolean" => json!({ "type": "boolean" }),
        "bytes" => size(),
        "duration" => duration(),
        "choice" => json!({ "enum": shown.words }),
        _ => json!({ "type": "string" }),
    };
    let mut description = paragraph(setting.docs);
    if let Some((least, greatest)) = &shown.bounds {
        match (least.parse::<u64>(), greatest.parse::<u64>()) {
            (Ok(least), Ok(greatest)) => {
                schema["minimum"] = least.into();
                schema["maximum"] = greatest.into();
            }
            _ => description.push_str(&format!(" From {least} to {greatest}.")),
        }
    }
    schema["description"] = description.into();
    if let Some(default) = shown.default.as_deref().and_then(value) {
        schema["default"] = default;
    }
    if let Some(example) = shown.example.and_then(value) {
        schema["examples"] = json!([example]);
    }
    schema
}

/// A value as the file has it, as JSON.
fn value(written: &str) -> Option<Value> {
    let table: toml::Table = format!("value = {written}").parse().ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

fn size() -> Value {
    json!({ "anyOf": [{ "type": "string", "pattern": SIZE }, { "type": "integer", "minimum": 0 }] })
}

fn duration() -> Value {
    json!({ "type": "string", "pattern": DURATION })
}

fn described(mut schema: Value, key: &str) -> Value {
    schema["description"] = describe(key).into();
    schema
}

fn workflows(kinds: Vec<KindSchema>, definitions: &mut Map<String, Value>) -> Value {
    let names: Vec<Value> = kinds.iter().map(|kind| json!({ "const": kind.name, "description": kind.about })).collect();
    let mut cases = Vec::new();
    for KindSchema { name, about, mut parameters } in kinds {
        if let Some(schema) = parameters.as_object_mut() {
            schema.remove("$schema");
            schema.remove("title");
            schema.insert("description".to_owned(), about.into());
            // References in it are read from the root of the document.
            if let Some(Value::Object(own)) = schema.remove("$defs") {
                definitions.extend(own);
            }
        }
        cases.push(json!({
            "if": { "properties": { "kind": { "const": name } }, "required": ["kind"] },
            "then": { "properties": { "parameters": parameters } },
        }));
    }
    let positive = json!({ "type": "integer", "minimum": 1 });
    let one = |key: &str, schema: Value, more: Option<(&str, Value)>| {
        let mut properties = Map::from_iter([(key.to_owned(), schema)]);
        properties.extend(more.map(|(key, schema)| (key.to_owned(), schema)));
        json!({ "type": "object", "additionalProperties": false, "required": [key], "properties": properties })
    };
    let time_zone = described(json!({ "type": "string", "default": "UTC" }), "trigger.time_zone");
    let trigger = json!({
        "description": describe("trigger"),
        "oneOf": [
            one("cron", described(json!({ "type": "string" }), "trigger.cron"), Some(("time_zone", time_zone))),
            one("interval", described(duration(), "trigger.interval"), None),
            one("rows", described(positive.clone(), "trigger.rows"), None),
            one("bytes", described(size(), "trigger.bytes"), None),
            { "const": "manual" },
        ],
    });
    let retry = json!({
        "description": describe("retry"),
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "attempts_max": described(positive, "retry.attempts_max"),
            "backoff_min": described(duration(), "retry.backoff_min"),
            "backoff_max": described(duration(), "retry.backoff_max"),
        },
    });
    let kind = match names.is_empty() {
        true => json!({ "type": "string" }),
        false => json!({ "type": "string", "oneOf": names }),
    };
    let mut item = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "kind", "trigger"],
        "properties": {
            "name": described(json!({ "type": "string", "pattern": NAME_PATTERN, "maxLength": 63 }), "name"),
            "kind": described(kind, "kind"),
            "trigger": trigger,
            "parameters": described(json!({ "type": "object" }), "parameters"),
            "retry": retry,
            "timeout": described(duration(), "timeout"),
            "overlap": described(json!({ "enum": ["skip", "queue_one", "cancel_old"], "default": "skip" }), "overlap"),
            "missed": described(json!({ "enum": ["skip", "run_once"], "default": "run_once" }), "missed"),
            "enabled": described(json!({ "type": "boolean", "default": true }), "enabled"),
        },
    });
    if !cases.is_empty() {
        item["allOf"] = Value::Array(cases);
    }
    json!({ "description": "Declared workflows.", "type": "array", "items": item })
}
