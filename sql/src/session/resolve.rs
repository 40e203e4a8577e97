//! Which tables a statement names, and what to say of those that are not there.

use crate::error::{Error, Result, code, nearest};
use crate::parse::Text;
use crate::scan::Moment;
use crate::system;
use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{self, Spanned, TableFactor, Visit, Visitor};
use std::ops::ControlFlow;

/// Schemas that are not namespaces.
const INFORMATION_SCHEMA: &str = "information_schema";

/// Whether a name is one of the schemas that only show things.
pub(super) fn is_system(namespace: &str) -> bool {
    namespace == system::SCHEMA || namespace == INFORMATION_SCHEMA || namespace.starts_with("pg_")
}

/// The tables of one statement.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Namespace and name of each.
    pub(super) named: Vec<(String, String)>,
    /// Some are not tables of ours, and show what was there when the statement was planned.
    pub(super) shows_catalog: bool,
}

/// The tables that a query names, each of which must exist.
pub(super) fn tables(
    moment: &Moment,
    statement: &ast::Statement,
    text: &Text,
    namespace: Option<&str>,
) -> Result<Tables> {
    let parsed = Parsed::Statement(Box::new(statement.clone()));
    let (references, _) = resolve_table_references(&parsed, true)?;
    let mut places = Places::default();
    let ControlFlow::Continue(()) = statement.visit(&mut places);
    let mut tables = Tables::default();
    for reference in references {
        if places.functions.contains(&reference.to_string()) {
            continue;
        }
        let at = |error: Error| error.at(places.of(&reference, text));
        let (schema, table) = match &reference {
            TableReference::Bare { table } => match namespace {
                Some(namespace) => (namespace, table.as_ref()),
                None => return Err(at(unqualified(table))),
            },
            TableReference::Partial { schema, table } => (schema.as_ref(), table.as_ref()),
            TableReference::Full { catalog, schema, table } if **catalog == *crate::scan::CATALOG => {
                (schema.as_ref(), table.as_ref())
            }
            TableReference::Full { catalog, .. } => {
                return Err(at(Error::unsupported(format!(
                    "there is no database \"{catalog}\" to look into from here"
                ))
                .hint("names have two parts: namespace.table")));
            }
        };
        match schema {
            INFORMATION_SCHEMA => tables.shows_catalog = true,
            system::SCHEMA if system::NAMES.contains(&table) => {}
            _ if moment.catalog.table(schema, table).is_some() => {
                tables.named.push((schema.to_owned(), table.to_owned()));
            }
            _ => return Err(at(missing(moment, schema, table))),
        }
    }
    Ok(tables)
}

/// What is said of a name without a namespace.
pub(super) fn unqualified(table: &str) -> Error {
    Error::new(code::UNDEFINED_TABLE, format!("relation \"{table}\" does not exist"))
        .hint(format!("name its namespace, as in chat.{table}, or SET search_path TO the namespace"))
}

/// What is said of a table that is not there.
pub(super) fn missing(moment: &Moment, namespace: &str, table: &str) -> Error {
    let relation = format!("relation \"{namespace}.{table}\" does not exist");
    if namespace == system::SCHEMA {
        let error = Error::new(code::UNDEFINED_TABLE, relation);
        return match nearest(table, system::NAMES.iter().copied()) {
            Some(near) => error.hint(format!("did you mean {namespace}.{near}?")),
            None => error.hint(format!("system tables are {}", system::NAMES.join(", "))),
        };
    }
    if moment.catalog.namespace(namespace).is_none() {
        let names: Vec<&str> = moment.catalog.namespaces().map(|namespace| namespace.name.as_str()).collect();
        let error =
            Error::new(code::UNDEFINED_TABLE, relation).detail(format!("Namespace '{namespace}' does not exist."));
        return match nearest(namespace, names) {
            Some(near) => error.hint(format!("did you mean {near}.{table}?")),
            None => error.hint(format!("create it first with CREATE NAMESPACE {namespace}")),
        };
    }
    let names: Vec<&str> = moment.catalog.tables(Some(namespace)).map(|table| table.name.as_str()).collect();
    let error = Error::new(code::UNDEFINED_TABLE, relation);
    match nearest(table, names) {
        Some(near) => error.hint(format!("did you mean {namespace}.{near}?")),
        None => error,
    }
}

/// Where tables are named, and which names are functions.
#[derive(Default)]
struct Places {
    names: Vec<ast::ObjectName>,
    functions: Vec<String>,
}

impl Places {
    fn of(&self, reference: &TableReference, text: &Text) -> Option<u32> {
        let parts: Vec<&str> = match reference {
            TableReference::Bare { table } => vec![table],
            TableReference::Partial { schema, table } => vec![schema, table],
            TableReference::Full { catalog, schema, table } => vec![catalog, schema, table],
        };
        let same =
            |name: &&ast::ObjectName| {
                name.0.len() == parts.len()
                    && name.0.iter().zip(&parts).all(|(part, wanted)| {
                        part.as_ident().is_some_and(|ident| ident.value.eq_ignore_ascii_case(wanted))
                    })
            };
        self.names.iter().find(same).and_then(|name| text.position(name.span().start))
    }
}

impl Visitor for Places {
    type Break = std::convert::Infallible;

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } => {
                self.functions.push(name.to_string().to_lowercase());
            }
            TableFactor::Table { name, .. } => self.names.push(name.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
