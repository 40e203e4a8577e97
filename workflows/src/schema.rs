//! The JSON Schema of the settings file with the kinds of this program, for editors.

use ebbtide_config::{KindSchema, Settings};
use ebbtide_runtime::kind;
use serde_json::Value;

/// The JSON Schema of `ebbtide.toml`: the settings, and the workflows of every kind that is linked into this program.
///
/// ```
/// let schema = ebbtide_workflows::schema::config_schema();
/// assert!(schema["properties"]["workflow"]["items"]["allOf"].is_array());
/// ```
pub fn config_schema() -> Value {
    let kinds = kind::all().into_iter().map(|info| KindSchema {
        name: info.name.to_owned(),
        about: info.about.to_owned(),
        parameters: (info.schema)().to_value(),
    });
    Settings::json_schema(kinds.collect())
}

/// The same as a file: indented, with a newline at its end.
pub fn config_schema_file() -> String {
    let mut text = serde_json::to_string_pretty(&config_schema()).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::{config_schema, config_schema_file};
    use crate::declared::declared;
    use ebbtide_config::Settings;
    use serde_json::{Value, json};
    use std::io::Write;

    #[test]
    fn the_copy_in_the_documentation_is_the_generated_one() {
        assert!(
            include_str!("../../docs/ebbtide.schema.json") == config_schema_file(),
            "docs/ebbtide.schema.json is out of date; write it with: cargo run -p ebbtide-workflows --example schema > docs/ebbtide.schema.json"
        );
    }

    /// Whether the schema takes a value: the few words of JSON Schema that ours is made of.
    fn takes(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = match schema["$ref"].as_str() {
            Some(at) => root.pointer(at.trim_start_matches('#')).ok_or_else(|| format!("{at} is not there"))?,
            None => schema,
        };
        let wrong = |why: &str| Err(format!("{value}: {why}, by {schema}"));
        let types = match &schema["type"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let is = |name: &str| match name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            _ => false,
        };
        if !types.is_empty() && !types.into_iter().any(is) {
            return wrong("another type");
        }
        if schema.get("const").is_some_and(|only| only != value) {
            return wrong("not the constant");
        }
        if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
            return wrong("none of the words");
        }
        let number = value.as_f64();
        if number.zip(schema["minimum"].as_f64()).is_some_and(|(number, least)| number < least)
            || number.zip(schema["maximum"].as_f64()).is_some_and(|(number, greatest)| number > greatest)
        {
            return wrong("out of bounds");
        }
        for (word, one) in [("anyOf", false), ("oneOf", true)] {
            if let Some(cases) = schema[word].as_array() {
                let fit = cases.iter().filter(|case| takes(root, case, value).is_ok()).count();
                if fit == 0 || (one && fit > 1) {
                    return wrong(word);
                }
            }
        }
        for case in schema["allOf"].as_array().into_iter().flatten() {
            if case.get("if").is_none() {
                takes(root, case, value)?;
            } else if takes(root, &case["if"], value).is_ok() {
                takes(root, &case["then"], value)?;
            }
        }
        if let Some(object) = value.as_object() {
            for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !object.contains_key(required) {
                    return wrong(&format!("no {required}"));
                }
            }
            for (key, value) in object {
                match schema["properties"].get(key) {
                    Some(property) => takes(root, property, value)?,
                    None if schema["additionalProperties"] == json!(false) => return wrong(&format!("no key {key}")),
                    None => {}
                }
            }
        }
        for item in value.as_array().into_iter().flatten().filter(|_| schema.get("items").is_some()) {
            takes(root, &schema["items"], item)?;
        }
        Ok(())
    }

    fn check(file: &str) -> Result<(), String> {
        let table: toml::Table = file.parse().map_err(|error| format!("{error}"))?;
        let value = serde_json::to_value(table).map_err(|error| error.to_string())?;
        let schema = config_schema();
        takes(&schema, &schema, &value)
    }

    fn workflow(lines: &str) -> String {
        format!("[[workflow]]\nname = \"x\"\nkind = \"job_cleanup\"\ntrigger = \"manual\"\n{lines}\n")
    }

    #[test]
    fn the_examples_of_the_page_on_workflows_are_right() {
        let page = include_str!("../../docs/declaring-workflows.md");
        let examples: Vec<&str> = page
            .split("```toml\n")
            .skip(1)
            .filter_map(|rest| rest.split_once("```").map(|(example, _)| example))
            .collect();
        assert!(examples.len() >= 6, "{} examples", examples.len());
        for example in examples {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(example.as_bytes()).unwrap();
            let settings = Settings::load(Some(file.path()), std::iter::empty()).unwrap();
            assert!(!settings.workflows.is_empty(), "{example}");
            declared(&settings).unwrap();
            assert_eq!(check(example), Ok(()), "{example}");
        }
    }

    #[test]
    fn it_takes_the_documented_file_and_refuses_slips() {
        assert_eq!(check(&Settings::documented_default()), Ok(()));
        assert_eq!(
            check(&workflow("parameters = { retention_days = 7 }\nretry = { attempts_max = 3 }\nmissed = \"skip\"")),
            Ok(())
        );
        let slips = [
            "[flush]\nencodres = 3".to_owned(),
            "[flush]\nencoders = \"three\"".to_owned(),
            "[flush]\nencoders = 5000".to_owned(),
            "[shutdown]\ndrain = \"never\"".to_owned(),
            "[[workflow]]\nname = \"x\"\nkind = \"job_cleanup\"".to_owned(),
            workflow("parameters = { retention = 7 }"),
            workflow("parameters = { retention_days = \"7\" }"),
            workflow("overlap = \"queue\""),
            workflow("").replace("job_cleanup", "job_cleaning"),
            workflow("").replace("\"manual\"", "{ cron = \"@daily\", rows = 3 }"),
        ];
        for slip in slips {
            assert!(check(&slip).is_err(), "{slip}");
        }
    }
}
