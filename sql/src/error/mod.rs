//! What the client is told when a statement fails: a SQLSTATE, what was wrong, where, and what to do.

mod cause; // other crates' errors, as a client should see them
pub mod code; // the SQLSTATEs in use

use std::fmt;

/// The result of everything that runs a statement.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed statement, in PostgreSQL's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Five characters that programs look at; [`code`] has the ones in use.
    pub sqlstate: &'static str,
    /// What went wrong, in one sentence.
    pub message: String,
    /// More about what went wrong.
    pub detail: Option<Box<str>>,
    /// What to do about it.
    pub hint: Option<Box<str>>,
    /// Where in the statement: the number of the character, the first being 1.
    pub position: Option<u32>,
    /// Where in the data: `COPY chat.messages, line 17, column sent_at`.
    pub context: Option<Box<str>>,
}

impl Error {
    /// An error with a code and a sentence.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), detail: None, hint: None, position: None, context: None }
    }

    /// Something PostgreSQL has and this does not: refused, never silently accepted.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(code::FEATURE_NOT_SUPPORTED, message)
    }

    /// The statement cannot be read.
    pub fn syntax(message: impl Into<String>) -> Self {
        Self::new(code::SYNTAX_ERROR, message)
    }

    /// A fault of ours: the message names what did not hold.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(code::INTERNAL_ERROR, message)
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With more about what went wrong.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With the place in the data.
    #[must_use]
    pub fn context(mut self, context: impl Into<Box<str>>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// With the place in the statement, if it is known; a place known already stays.
    #[must_use]
    pub fn at(mut self, position: Option<u32>) -> Self {
        self.position = self.position.or(position);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(context) = &self.context {
            write!(f, " ({context})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<Error> for datafusion::error::DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}

/// The known name most like `name`, if one is near enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = name.chars().count() / 3 + 1;
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        assert_eq!(nearest("sendr", ["sender", "body", "sent_at"]), Some("sender"));
        assert_eq!(nearest("xyzzy", ["sender", "body"]), None);
    }
}
