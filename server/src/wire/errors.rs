//! What went wrong, as a client of PostgreSQL reads it: SQLSTATE, message, detail, hint and position.

use pgwire::messages::response::{ErrorResponse, NoticeResponse};

use super::codec;
use super::layout::Fault;

/// SQLSTATEs that the server itself gives out; those of statements come from the sql crate.
pub(crate) mod sqlstate {
    pub(crate) const PROTOCOL_VIOLATION: &str = "08P01";
    pub(crate) const FEATURE_NOT_SUPPORTED: &str = "0A000";
    pub(crate) const NUMERIC_OUT_OF_RANGE: &str = "22003";
    pub(crate) const INVALID_DATETIME: &str = "22007";
    pub(crate) const DATETIME_OUT_OF_RANGE: &str = "22008";
    pub(crate) const NOT_IN_REPERTOIRE: &str = "22021";
    pub(crate) const INVALID_PARAMETER: &str = "22023";
    pub(crate) const INVALID_TEXT: &str = "22P02";
    pub(crate) const INVALID_BINARY: &str = "22P03";
    pub(crate) const INVALID_STATEMENT_NAME: &str = "26000";
    pub(crate) const INVALID_AUTHORIZATION: &str = "28000";
    pub(crate) const INVALID_CURSOR_NAME: &str = "34000";
    pub(crate) const SYNTAX_ERROR: &str = "42601";
    pub(crate) const DUPLICATE_STATEMENT: &str = "42P05";
    pub(crate) const DUPLICATE_CURSOR: &str = "42P03";
    pub(crate) const PROGRAM_LIMIT_EXCEEDED: &str = "54000";
    pub(crate) const TOO_MANY_CONNECTIONS: &str = "53300";
    pub(crate) const QUERY_CANCELED: &str = "57014";
    pub(crate) const ADMIN_SHUTDOWN: &str = "57P01";
    pub(crate) const INTERNAL_ERROR: &str = "XX000";
}

/// Does the connection go on after an error?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The statement failed and the connection lives on.
    Error,
    /// The connection is closed after this.
    Fatal,
}

/// One error as it goes to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) sqlstate: &'static str,
    pub(crate) message: String,
    pub(crate) detail: Option<Box<str>>,
    pub(crate) hint: Option<Box<str>>,
    /// Where in the data it went wrong: line and column of a COPY.
    pub(crate) context: Option<Box<str>>,
    /// The character of the query text, counted from 1, where it went wrong.
    pub(crate) position: Option<u32>,
}

impl Problem {
    /// A statement failed.
    pub(crate) fn error(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
            context: None,
            position: None,
        }
    }

    /// The connection ends.
    pub(crate) fn fatal(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Fatal, ..Self::error(sqlstate, message) }
    }

    /// What the reader can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// More about what went wrong.
    pub(crate) fn detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The server is going away.
    pub(crate) fn shutdown() -> Self {
        Self::fatal(sqlstate::ADMIN_SHUTDOWN, "terminating connection because the server is shutting down")
    }

    /// A cancel request came in.
    pub(crate) fn canceled() -> Self {
        Self::error(sqlstate::QUERY_CANCELED, "canceling statement due to user request")
    }

    /// The client broke a rule of the protocol that the connection survives.
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::error(sqlstate::PROTOCOL_VIOLATION, message)
    }

    /// The same as a warning: nothing failed, yet somebody should know.
    pub(crate) fn into_warning(self) -> NoticeResponse {
        NoticeResponse::new(self.fields("WARNING"))
    }

    pub(crate) fn is_fatal(&self) -> bool {
        self.severity == Severity::Fatal
    }
}

impl From<ebbtide_sql::Error> for Problem {
    fn from(error: ebbtide_sql::Error) -> Self {
        Self {
            severity: Severity::Error,
            sqlstate: error.sqlstate,
            message: error.message,
            detail: error.detail,
            hint: error.hint,
            context: error.context,
            position: error.position,
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Encoding { at } => Self::error(
                sqlstate::NOT_IN_REPERTOIRE,
                format!("invalid byte sequence for encoding \"UTF8\" at byte {at} of the message"),
            )
            .hint("This server speaks UTF-8 only; set the client's encoding to UTF8."),
            Fault::Layout => Self::protocol("invalid message format: its fields and its length do not agree"),
        }
    }
}

impl From<&codec::Error> for Problem {
    fn from(error: &codec::Error) -> Self {
        let problem = Self::fatal(sqlstate::PROTOCOL_VIOLATION, error.to_string());
        match error {
            codec::Error::TooLarge { .. } => {
                problem.hint("Send large values by COPY in smaller messages, or raise server.message_bytes_max.")
            }
            codec::Error::Io(_) | codec::Error::NotTheProtocol(_) => problem,
        }
    }
}

impl From<Problem> for ErrorResponse {
    fn from(problem: Problem) -> Self {
        let severity = match problem.severity {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
        };
        Self::new(problem.fields(severity))
    }
}

impl Problem {
    fn fields(self, severity: &str) -> Vec<(u8, String)> {
        let mut fields = vec![
            (b'S', severity.to_owned()),
            (b'V', severity.to_owned()),
            (b'C', self.sqlstate.to_owned()),
            (b'M', bounded(self.message)),
        ];
        fields.extend(self.detail.map(|detail| (b'D', bounded(detail.into()))));
        fields.extend(self.hint.map(|hint| (b'H', bounded(hint.into()))));
        fields.extend(self.context.map(|context| (b'W', bounded(context.into()))));
        fields.extend(self.position.map(|position| (b'P', position.to_string())));
        fields
    }
}

/// A text of an error response: without the zero byte that would end it early, and not longer than clients take (libpq stops at 30,000 bytes for the whole message).
fn bounded(mut text: String) -> String {
    const TEXT_BYTES_MAX: usize = 8_000;
    if text.contains('\0') {
        text = text.replace('\0', "\u{fffd}");
    }
    if text.len() > TEXT_BYTES_MAX {
        let end = text.floor_char_boundary(TEXT_BYTES_MAX);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_becomes_the_fields_of_an_error_response() {
        let problem = Problem {
            position: Some(8),
            ..Problem::error(sqlstate::SYNTAX_ERROR, "expected a table").hint("Write one.")
        };
        let response = ErrorResponse::from(problem);
        let field = |code: u8| response.fields.iter().find(|(kind, _)| *kind == code).map(|(_, text)| text.as_str());
        assert_eq!(field(b'S'), Some("ERROR"));
        assert_eq!(field(b'V'), Some("ERROR"));
        assert_eq!(field(b'C'), Some("42601"));
        assert_eq!(field(b'M'), Some("expected a table"));
        assert_eq!(field(b'H'), Some("Write one."));
        assert_eq!(field(b'P'), Some("8"));
        assert_eq!(field(b'D'), None);
    }

    #[test]
    fn texts_are_bounded_and_hold_no_zero_byte() {
        let text = bounded(format!("a\0{}", "é".repeat(20_000)));
        assert!(text.starts_with("a\u{fffd}é"));
        assert!(text.len() <= 8_003 && text.ends_with('…'), "{} bytes", text.len());
    }
}
