//! JSON in quotes, read far enough to know that it is an object.

use super::cursor::Cursor;
use crate::error::{Error, Result, code};
use serde::de::IgnoredAny;

/// How a clause of JSON is spoken of.
pub(super) struct Clause {
    broken: &'static str,
    other: &'static str,
    hint: &'static str,
}

pub(super) const CREDENTIALS: Clause = Clause {
    broken: "Invalid credentials JSON",
    other: "Credentials must be a JSON object",
    hint: "write them as in CREDENTIALS '{\"access_key_id\": \"…\", \"secret_access_key\": \"…\"}'",
};

pub(super) const CONFIG: Clause = Clause {
    broken: "Invalid CONFIG JSON",
    other: "CONFIG must be a JSON object",
    hint: "write it as in CONFIG '{\"region\": \"eu-central-1\"}'",
};

/// Text that is a JSON object. What is wrong with it is told by line and column, and never repeated.
pub(super) fn object(cursor: &mut Cursor<'_>, clause: &Clause) -> Result<String> {
    let here = cursor.here();
    let text = cursor.text("a JSON object in quotes")?;
    let refused = |message: &str| Error::new(code::INVALID_TEXT_REPRESENTATION, message).hint(clause.hint).at(here);
    if let Err(error) = serde_json::from_str::<IgnoredAny>(&text) {
        return Err(refused(clause.broken).detail(format!("line {}, column {} of it", error.line(), error.column())));
    }
    if text.trim_start().starts_with('{') { Ok(text) } else { Err(refused(clause.other)) }
}
