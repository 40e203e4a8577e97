//! `system.settings`: what the server was started with, and what each setting means.

use super::columns::{Column, Value};
use super::{Look, Out, System, Wanted};
use crate::error::Result;
use ebbtide_config::Place;
use ebbtide_store::ColumnType::Text;

const COLUMNS: &[Column] = &[
    Column::new("name", Text, "Section and key, as in flush.memory_bytes_max."),
    Column::nullable("value", Text, "What counts now, as the file would have it; NULL when unset, *** for a secret."),
    Column::nullable("default_value", Text, "What counts when nothing is said; NULL for unset."),
    Column::new(
        "kind",
        Text,
        "What sort of value it is: number, bytes, duration, address, folder, boolean, text, or the words it may be.",
    ),
    Column::nullable("least", Text, "The least value that is accepted, where there is one."),
    Column::nullable("greatest", Text, "The greatest value that is accepted, where there is one."),
    Column::new("description", Text, "What it does."),
    Column::new(
        "source",
        Text,
        "Where the value comes from: default, the file with line, or the environment variable.",
    ),
];

/// Settings whose values are nobody's business. There are none yet; a later one is caught by its name.
const SECRETS: &[&str] = &["password", "secret", "token", "credentials", "private_key", "access_key"];

/// `system.settings`
#[derive(Debug)]
pub(super) struct Settings;

impl System for Settings {
    fn name(&self) -> &'static str {
        "system.settings"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["name"]
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        for setting in look.database.settings().list() {
            let name = format!("{}.{}", setting.section, setting.key);
            if !wanted.allows("name", Some(&name)) {
                continue;
            }
            let value =
                if is_secret(setting.key) { setting.value.as_ref().map(|_| "***") } else { setting.value.as_deref() };
            let (least, greatest) = setting.bounds.unzip();
            let source = match setting.place {
                Place::Default => "default".to_owned(),
                place => place.to_string(),
            };
            let more = out.row(&[
                Value::Text(&name),
                value.into(),
                setting.default.as_deref().into(),
                setting.kind.into(),
                least.as_deref().into(),
                greatest.as_deref().into(),
                setting.description.as_str().into(),
                Value::Text(&source),
            ])?;
            if !more {
                break;
            }
        }
        Ok(())
    }
}

fn is_secret(key: &str) -> bool {
    SECRETS.iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn a_setting_that_is_named_like_a_secret_is_one() {
        assert!(is_secret("admin_password") && is_secret("s3_secret_access_key"));
        assert!(!is_secret("memory_bytes_max") && !is_secret("default_row_threshold"));
    }
}
