//! KILL, RETRY, PAUSE, RESUME and EXPLAIN JOB; RUN WORKFLOW and RELOAD WORKFLOWS.

use super::Kind;
use super::cursor::Cursor;
use crate::error::{Error, Result};
use datafusion::sql::sqlparser::tokenizer::Token;

/// What is asked of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobCommand {
    pub(crate) verb: JobVerb,
    /// The id as it was written.
    pub(crate) id: String,
    pub(crate) position: Option<u32>,
}

/// What is to happen to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobVerb {
    Kill,
    Retry,
    Pause,
    Resume,
    Explain,
}

impl JobVerb {
    /// The statement, as its command tag has it.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Kill => "KILL JOB",
            Self::Retry => "RETRY JOB",
            Self::Pause => "PAUSE JOB",
            Self::Resume => "RESUME JOB",
            Self::Explain => "EXPLAIN JOB",
        }
    }
}

/// A workflow as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkflowName {
    pub(crate) name: String,
    pub(crate) position: Option<u32>,
}

/// `KILL | RETRY | PAUSE | RESUME | EXPLAIN JOB 'id'`
pub(super) fn job(verb: JobVerb, cursor: &mut Cursor<'_>) -> Result<Kind> {
    let tag = verb.tag();
    cursor.skip();
    if !cursor.is(&["JOB"]) {
        return Err(cursor.unexpected("JOB").hint(format!("write {tag} 'id'; ids are in system.jobs")));
    }
    cursor.skip();
    let position = cursor.here();
    let id = pieces(cursor, "a job id")?;
    if id.is_empty() {
        return Err(Error::syntax(format!("{tag} requires a job_id")).hint("ids are in system.jobs").at(position));
    }
    cursor.end()?;
    Ok(Kind::Job(JobCommand { verb, id, position }))
}

/// `RUN WORKFLOW name`
pub(super) fn run(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.skip();
    if !cursor.is(&["WORKFLOW"]) {
        return Err(cursor.unexpected("WORKFLOW").hint("write RUN WORKFLOW 'name'; names are in system.workflows"));
    }
    cursor.skip();
    let position = cursor.here();
    let name = pieces(cursor, "the name of a workflow")?;
    if name.is_empty() {
        return Err(Error::syntax("RUN WORKFLOW requires a name").hint("names are in system.workflows").at(position));
    }
    cursor.end()?;
    Ok(Kind::RunWorkflow(WorkflowName { name, position }))
}

/// `RELOAD WORKFLOWS`
pub(super) fn reload(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.skip();
    cursor.expect(&["WORKFLOWS"])?;
    cursor.end()?;
    Ok(Kind::ReloadWorkflows)
}

/// Text in quotes of either sort; or without any, where an id or a name with hyphens comes in pieces.
fn pieces(cursor: &mut Cursor<'_>, what: &str) -> Result<String> {
    let mut text = String::new();
    while let Some(token) = cursor.peek() {
        match token {
            Token::SingleQuotedString(quoted) if text.is_empty() => {
                cursor.skip();
                return Ok(quoted.clone());
            }
            Token::Word(word) if word.quote_style.is_some() && text.is_empty() => {
                cursor.skip();
                return Ok(word.value.clone());
            }
            Token::Word(word) if word.quote_style.is_none() && ends_piece(&text) => text.push_str(&word.value),
            Token::Number(digits, _) if ends_piece(&text) => text.push_str(digits),
            // A number and the letters behind it are two tokens of one piece: 7b3c.
            Token::Word(word) if word.quote_style.is_none() && text.ends_with(|c: char| c.is_ascii_digit()) => {
                text.push_str(&word.value);
            }
            Token::Minus if !text.is_empty() => text.push('-'),
            _ if text.is_empty() => return Err(cursor.unexpected(what)),
            _ => break,
        }
        cursor.skip();
    }
    Ok(text)
}

fn ends_piece(text: &str) -> bool {
    text.is_empty() || text.ends_with('-')
}
