//! TOML values as JSON, with the place of every key.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::Place;
use crate::file::Source;

/// A table as JSON; `places` gets the place of each key's value, under `path`.
pub(super) fn object(
    source: &Source<'_>,
    table: &DeTable<'_>,
    path: &str,
    places: &mut BTreeMap<String, Place>,
) -> Result<Value, (usize, String)> {
    let mut object = Map::new();
    for (key, value) in table {
        let path = format!("{path}.{}", key.get_ref());
        places.insert(path.clone(), source.place(key.span().start));
        object.insert(key.get_ref().to_string(), json(source, value, &path, places)?);
    }
    Ok(Value::Object(object))
}

fn json(
    source: &Source<'_>,
    value: &Spanned<DeValue<'_>>,
    path: &str,
    places: &mut BTreeMap<String, Place>,
) -> Result<Value, (usize, String)> {
    let at = value.span().start;
    match value.get_ref() {
        DeValue::String(text) => Ok(Value::String(text.to_string())),
        DeValue::Boolean(value) => Ok(Value::Bool(*value)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(|number| Value::Number(number.into()))
            .map_err(|_| (at, format!("{number} is beyond 64 bits"))),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| (at, format!("{} is no number that a parameter can have", number.as_str()))),
        // Left as text for the kind to read.
        DeValue::Datetime(time) => Ok(Value::String(time.to_string())),
        DeValue::Array(items) => {
            let mut list = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                places.insert(path.clone(), source.place(item.span().start));
                list.push(json(source, item, &path, places)?);
            }
            Ok(Value::Array(list))
        }
        DeValue::Table(table) => object(source, table, path, places),
    }
}
