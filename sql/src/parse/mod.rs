//! Text into statements. Ordinary SQL goes to the PostgreSQL grammar of `sqlparser`; what is ours is read here, from
//! the same tokens, so that every error can say where.

mod alter; // ALTER, and of a table what can be altered
mod clause; // FLUSH, STORAGE, WITH (…): how a table is kept
mod column; // column lists and types
mod command; // FLUSH, SHOW, DESCRIBE
mod copy; // COPY … FROM STDIN
mod create; // CREATE and DROP
mod cursor; // a place among the tokens
mod depth; // how deep a statement nests, before it is read
mod job; // KILL, RETRY, PAUSE, RESUME, EXPLAIN JOB; RUN WORKFLOW, RELOAD WORKFLOWS
mod json; // JSON in quotes
mod refuse; // what is not supported, said before anything is done
mod setting; // SET, RESET, DISCARD
mod storage; // CREATE, ALTER, DROP and CHECK STORAGE
#[cfg(test)]
mod tests;
mod transaction; // BEGIN, COMMIT, ROLLBACK
mod user; // CREATE, ALTER and DROP USER
mod user_job; // ERASE, EXPORT and MOVE USER, MOVE TABLE

pub(crate) use alter::AlterTable;
pub(crate) use clause::{FLUSH_HINT, Policy};
pub(crate) use copy::{CopyFormat, CopyIn};
pub(crate) use create::{CreateTable, TableKind};
pub(crate) use cursor::Text;
pub(crate) use job::{JobCommand, JobVerb, WorkflowName};
pub(crate) use setting::SetValue;
pub(crate) use storage::{StorageCommand, StorageVerb};
pub(crate) use user::{UserCommand, UserVerb};
pub(crate) use user_job::{StorageName, UserJob};

use crate::error::{Error, Result};
use cursor::Cursor;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use std::sync::Arc;

/// Parentheses and operators may nest this deep.
const NESTING_MAX: usize = 64;

/// One statement, read but not yet looked up.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(crate) text: Text,
    pub(crate) kind: Kind,
}

/// What a statement asks for.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// SELECT, VALUES, EXPLAIN: whatever only reads.
    Query(Arc<ast::Statement>),
    Insert(Arc<ast::Insert>),
    Copy(CopyIn),
    CreateNamespace {
        name: String,
        if_not_exists: bool,
    },
    DropNamespace {
        name: String,
        if_exists: bool,
    },
    CreateTable(Box<CreateTable>),
    DropTable {
        table: TableName,
        kind: Option<TableKind>,
        if_exists: bool,
    },
    AlterTable(Box<AlterTable>),
    Storage(Box<StorageCommand>),
    User(Box<UserCommand>),
    FlushTable(TableName),
    FlushAll {
        namespace: Option<String>,
    },
    Job(JobCommand),
    UserJob(UserJob),
    RunWorkflow(WorkflowName),
    ReloadWorkflows,
    Show(Show),
    Describe(TableName),
    Begin {
        read_only: bool,
    },
    Commit,
    Rollback,
    SetTransaction {
        read_only: Option<bool>,
    },
    Set {
        name: String,
        value: SetValue,
        local: bool,
    },
    Reset {
        name: Option<String>,
    },
    Discard,
    Deallocate {
        name: Option<String>,
    },
}

/// What SHOW lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Show {
    Namespaces,
    Tables { namespace: Option<String> },
    Storages,
    Users,
    Jobs,
    Workflows,
    Setting(String),
    Settings,
}

/// A table as it was written: `ns.t`, or `t` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) namespace: Option<String>,
    pub(crate) table: String,
    pub(crate) position: Option<u32>,
}

impl Statement {
    /// What the command tag of this statement begins with, as in `INSERT 0 3`.
    pub fn verb(&self) -> &'static str {
        match &self.kind {
            Kind::Query(statement) => match **statement {
                ast::Statement::Explain { .. } => "EXPLAIN",
                _ => "SELECT",
            },
            Kind::Insert(_) => "INSERT",
            Kind::Copy(_) => "COPY",
            Kind::CreateNamespace { .. } => "CREATE NAMESPACE",
            Kind::DropNamespace { .. } => "DROP NAMESPACE",
            Kind::CreateTable(_) => "CREATE TABLE",
            Kind::DropTable { .. } => "DROP TABLE",
            Kind::AlterTable(_) => "ALTER TABLE",
            Kind::Storage(command) => command.verb.tag(),
            Kind::User(command) => command.verb.tag(),
            Kind::FlushTable(_) | Kind::FlushAll { .. } => "FLUSH",
            Kind::Job(command) => command.verb.tag(),
            Kind::UserJob(job) => job.tag(),
            Kind::RunWorkflow(_) => "RUN WORKFLOW",
            Kind::ReloadWorkflows => "RELOAD WORKFLOWS",
            Kind::Show(_) => "SHOW",
            Kind::Describe(_) => "DESCRIBE",
            Kind::Begin { .. } => "BEGIN",
            Kind::Commit => "COMMIT",
            Kind::Rollback => "ROLLBACK",
            Kind::Set { .. } | Kind::SetTransaction { .. } => "SET",
            Kind::Reset { .. } => "RESET",
            Kind::Discard => "DISCARD ALL",
            Kind::Deallocate { .. } => "DEALLOCATE",
        }
    }
}

/// Reads every statement of `sql`, which may hold several between semicolons, or none.
pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>> {
    let mut text = Text::new(sql);
    let mut tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .tokenize_with_location()
        .map_err(|e| Error::syntax(e.message).at(text.position(e.location)))?;
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    text.note(&tokens);
    tokens
        .split(|token| token.token == Token::SemiColon)
        .filter(|tokens| !tokens.is_empty())
        .map(|tokens| Ok(Statement { kind: statement(&text, tokens)?, text: text.clone() }))
        .collect()
}

/// Reads one statement: the first word says whose grammar it is in.
fn statement(text: &Text, tokens: &[TokenWithSpan]) -> Result<Kind> {
    let mut cursor = Cursor::new(text, tokens);
    if cursor.is_token(&Token::LParen) {
        return ordinary(text, tokens);
    }
    let Some(word) = cursor.word() else { return Err(cursor.unexpected("a statement")) };
    match word.as_str() {
        "EXPLAIN" if cursor.is(&["EXPLAIN", "JOB"]) => job::job(JobVerb::Explain, &mut cursor),
        "SELECT" | "WITH" | "VALUES" | "TABLE" | "EXPLAIN" | "INSERT" => ordinary(text, tokens),
        "CREATE" => create::create(&mut cursor),
        "DROP" => create::drop(&mut cursor),
        "ALTER" => alter::alter(&mut cursor),
        "DELETE" => storage::delete(&mut cursor),
        "CHECK" => storage::check(&mut cursor),
        "ATTACH" => storage::attach(&mut cursor),
        "ROTATE" => storage::rotate(&mut cursor),
        "FLUSH" | "STORAGE" => command::flush(&mut cursor),
        "KILL" => job::job(JobVerb::Kill, &mut cursor),
        "RETRY" => job::job(JobVerb::Retry, &mut cursor),
        "PAUSE" => job::job(JobVerb::Pause, &mut cursor),
        "RESUME" => job::job(JobVerb::Resume, &mut cursor),
        "RUN" => job::run(&mut cursor),
        "RELOAD" => job::reload(&mut cursor),
        "ERASE" => user_job::erase(&mut cursor),
        "EXPORT" => user_job::export(&mut cursor),
        "MOVE" => user_job::relocate(&mut cursor),
        "SHOW" => command::show(&mut cursor),
        "DESCRIBE" | "DESC" => command::describe(&mut cursor),
        "COPY" => copy::copy(&mut cursor),
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" => transaction::transaction(&mut cursor),
        "SET" => setting::set(&mut cursor),
        "RESET" => setting::reset(&mut cursor),
        "DISCARD" => setting::discard(&mut cursor),
        "DEALLOCATE" => setting::deallocate(&mut cursor),
        other => Err(refuse::statement(other, &cursor)),
    }
}

/// Reads a statement of ordinary SQL.
fn ordinary(text: &Text, tokens: &[TokenWithSpan]) -> Result<Kind> {
    depth::check(tokens.iter().map(|token| &token.token))?;
    let dialect = PostgreSqlDialect {};
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens.to_vec());
    let parsed = parser.parse_statement().map_err(|e| parser_error(text, e))?;
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        return Err(text.unexpected(&rest.token.to_string(), Some(rest.span.start)));
    }
    match parsed {
        ast::Statement::Insert(insert) => {
            refuse::insert(&insert)?;
            Ok(Kind::Insert(Arc::new(insert)))
        }
        ast::Statement::Query(ref query) => {
            refuse::query(query)?;
            Ok(Kind::Query(Arc::new(parsed)))
        }
        ast::Statement::Explain { ref statement, .. } => match **statement {
            ast::Statement::Query(ref query) => {
                refuse::query(query)?;
                Ok(Kind::Query(Arc::new(parsed)))
            }
            _ => Err(Error::unsupported("EXPLAIN shows queries only")),
        },
        _ => Err(Error::unsupported("this statement is not supported")),
    }
}

/// `sqlparser` writes the place into its messages; a client wants it as a number.
pub(crate) fn parser_error(text: &Text, error: ParserError) -> Error {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        ParserError::RecursionLimitExceeded => {
            return Error::new(
                crate::error::code::STATEMENT_TOO_COMPLEX,
                format!("the statement nests deeper than {NESTING_MAX} levels"),
            );
        }
    };
    let (message, location) = match message.rsplit_once(" at Line: ") {
        Some((message, place)) => {
            let mut numbers = place.split(", Column: ").map(|number| number.trim().parse::<u64>().ok());
            match (numbers.next().flatten(), numbers.next().flatten()) {
                (Some(line), Some(column)) => (message.to_owned(), Some(Location { line, column })),
                _ => (message.to_owned(), None),
            }
        }
        None => (message, None),
    };
    match message.strip_prefix("Expected: ").and_then(|rest| rest.rsplit_once(", found: ")) {
        Some((expected, "EOF")) => {
            Error::syntax("syntax error at end of input").hint(format!("expected {expected}")).at(text.end())
        }
        Some((expected, found)) => text.unexpected(found, location).hint(format!("expected {expected}")),
        None if text.is_secret() => text.unexpected("", None).at(location.and_then(|location| text.position(location))),
        None => Error::syntax(message).at(location.and_then(|location| text.position(location))),
    }
}
