//! An INSERT, looked up: where its values go, and what they are made of.

use super::Target;
use super::cell::{Cell, Content, sql_type};
use super::gather::Slot;
use crate::error::{Error, Result, code};
use crate::parse::{TableName, Text};
use crate::scan::Moment;
use crate::session::{Planned, Session};
use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    self, CastKind, Expr, ObjectName, Parens, SetExpr, Spanned, TableObject, Value, ValueWithSpan,
};
use ebbtide_store::ColumnType;
use std::sync::Arc;

/// Values of an INSERT that is brief: about a tenth of a millisecond to check and encode.
const BRIEF_VALUES_MAX: usize = 2048;
/// Bytes of all its parameters: JSON of this size is read in about as long.
const BRIEF_BYTES_MAX: usize = 64 << 10;

/// An INSERT that can be run, again and again.
#[derive(Debug)]
pub(crate) struct InsertPlan {
    pub(super) insert: Arc<ast::Insert>,
    pub(super) text: Text,
    pub(super) target: Target,
    pub(super) source: Source,
    parameters: Vec<DataType>,
}

#[derive(Debug)]
pub(super) enum Source {
    /// Rows of literals and parameters: no planner is needed.
    Cells(Vec<Vec<Cell>>),
    /// Anything else.
    Query(Box<Planned>),
}

impl InsertPlan {
    /// The types of its parameters, `$1` first.
    pub(crate) fn parameters(&self) -> &[DataType] {
        &self.parameters
    }

    /// Whether it holds few values, none of them long and none that needs evaluation.
    pub(crate) fn is_brief(&self, parameters: &[ScalarValue]) -> bool {
        let Source::Cells(rows) = &self.source else { return false };
        let bytes = |value: &ScalarValue| match value {
            ScalarValue::Utf8(Some(text)) => text.len(),
            ScalarValue::Binary(Some(bytes)) => bytes.len(),
            _ => 0,
        };
        rows.len().saturating_mul(self.target.slots.len()) <= BRIEF_VALUES_MAX
            && parameters.iter().map(bytes).sum::<usize>() <= BRIEF_BYTES_MAX
    }

    /// Looks up the table and its columns, and reads or plans the source.
    pub(crate) async fn look_up(
        session: &Session,
        moment: &Arc<Moment>,
        insert: &Arc<ast::Insert>,
        text: &Text,
        hints: &[Option<DataType>],
    ) -> Result<Self> {
        let TableObject::TableName(name) = &insert.table else {
            return Err(Error::unsupported("INSERT writes to tables only"));
        };
        let table = session.target(moment, &table_name(name, text)?)?;
        let names =
            insert
                .columns
                .iter()
                .map(|column| match column.0.as_slice() {
                    [part] => {
                        let word = part.as_ident().map_or_else(String::new, |ident| ident.value.to_lowercase());
                        Ok((word, text.position(column.span().start)))
                    }
                    _ => Err(Error::unsupported("columns are named without a table here")
                        .at(text.position(column.span().start))),
                })
                .collect::<Result<Vec<_>>>()?;
        let mut target = Target::new(table, session.identity().clone(), &names)?;
        let Some(query) = insert.source.as_deref() else {
            return Err(Error::unsupported("INSERT … DEFAULT VALUES is not supported"));
        };
        if let Some(rows) = values(query) {
            for row in rows {
                fit(&mut target, !names.is_empty(), row.len(), row.first(), text)?;
            }
            if let Some(cells) = cells(rows, &target, text)? {
                let parameters = cell_parameters(&cells, &target, hints);
                let source = Source::Cells(cells);
                return Ok(Self { insert: insert.clone(), text: text.clone(), target, source, parameters });
            }
        }
        let mut query = query.clone();
        cast_values(&mut query, &target);
        let query = Arc::new(ast::Statement::Query(Box::new(query)));
        let planned = session.plan(moment, &query, text, hints).await?;
        fit(&mut target, !names.is_empty(), planned.schema.fields().len(), None, text)?;
        let parameters = planned.parameters.clone();
        let source = Source::Query(Box::new(planned));
        Ok(Self { insert: insert.clone(), text: text.clone(), target, source, parameters })
    }
}

/// The rows of a source that is VALUES and nothing more.
fn values(query: &ast::Query) -> Option<&[Parens<Vec<Expr>>]> {
    let plain =
        query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    match query.body.as_ref() {
        SetExpr::Values(values) if plain => Some(&values.rows),
        _ => None,
    }
}

fn table_name(name: &ObjectName, text: &Text) -> Result<TableName> {
    let position = text.position(name.span().start);
    let parts: Option<Vec<String>> =
        name.0.iter().map(|part| part.as_ident().map(|ident| ident.value.to_lowercase())).collect();
    match parts.as_deref() {
        Some([table]) => Ok(TableName { namespace: None, table: table.clone(), position }),
        Some([namespace, table]) => {
            Ok(TableName { namespace: Some(namespace.clone()), table: table.clone(), position })
        }
        _ => Err(Error::unsupported("names have two parts: namespace.table").at(position)),
    }
}

/// As many values as columns. Without a list of columns fewer will do: the rest is NULL.
fn fit(target: &mut Target, named: bool, values: usize, first: Option<&Expr>, text: &Text) -> Result<()> {
    let columns = target.slots.len();
    let position = first.and_then(|expr| text.position(expr.span().start));
    if values > columns {
        return Err(Error::syntax("INSERT has more expressions than target columns")
            .detail(format!("{values} expressions for {columns} columns"))
            .at(position));
    }
    if values < columns && named {
        return Err(Error::syntax("INSERT has more target columns than expressions")
            .detail(format!("{values} expressions for {columns} columns"))
            .at(position));
    }
    if values < columns {
        target.slots.truncate(values);
    }
    Ok(())
}

/// All values, if none of them needs evaluation.
fn cells(rows: &[Parens<Vec<Expr>>], target: &Target, text: &Text) -> Result<Option<Vec<Vec<Cell>>>> {
    let mut cells = Vec::with_capacity(rows.len());
    for row in rows {
        if row.len() != target.slots.len() {
            return Err(Error::syntax("VALUES lists must all be the same length")
                .at(row.first().and_then(|expr| text.position(expr.span().start))));
        }
        let mut read = Vec::with_capacity(row.len());
        for (expr, slot) in row.iter().zip(&target.slots) {
            match Cell::read(expr, column_type(target, *slot), text)? {
                Some(cell) => read.push(cell),
                None => return Ok(None),
            }
        }
        cells.push(read);
    }
    Ok(Some(cells))
}

pub(crate) fn column_type(target: &Target, slot: Slot) -> ColumnType {
    match slot {
        Slot::Own(place) => target.table.columns[place].column_type,
        Slot::Owner => ColumnType::Text,
    }
}

/// The type of each parameter: what the client said, else what it is cast to, else its column's.
fn cell_parameters(cells: &[Vec<Cell>], target: &Target, hints: &[Option<DataType>]) -> Vec<DataType> {
    let mut types: Vec<Option<DataType>> = hints.to_vec();
    for row in cells {
        for (cell, slot) in row.iter().zip(&target.slots) {
            let Content::Parameter(place, cast) = &cell.content else { continue };
            if types.len() <= *place {
                types.resize(place + 1, None);
            }
            types[*place].get_or_insert_with(|| cast.clone().unwrap_or_else(|| column_type(target, *slot).arrow()));
        }
    }
    // A parameter that no value mentions could be anything.
    types.into_iter().map(|data_type| data_type.unwrap_or(DataType::Utf8)).collect()
}

/// Values whose type their column decides are given it, so that a planner who looks at them alone knows it too.
fn cast_values(query: &mut ast::Query, target: &Target) {
    let SetExpr::Values(values) = query.body.as_mut() else { return };
    for row in &mut values.rows {
        for (expr, slot) in row.iter_mut().zip(&target.slots) {
            let column_type = column_type(target, *slot);
            let bare = match expr {
                Expr::Value(ValueWithSpan { value: Value::Placeholder(_) | Value::SingleQuotedString(_), .. }) => true,
                Expr::Identifier(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default") => {
                    *expr = Expr::value(Value::Null);
                    false
                }
                _ => false,
            };
            if bare {
                let inner = std::mem::replace(expr, Expr::value(Value::Null));
                *expr = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(inner),
                    data_type: sql_type(column_type),
                    array: false,
                    format: None,
                };
            }
        }
    }
}

/// What is said of a value that its column does not take.
pub(super) fn misfit(error: Error, column: Option<&str>, row: usize, rows: usize) -> Error {
    let error = match (column, error.sqlstate) {
        (Some(column), code::DATATYPE_MISMATCH) => {
            let message = format!("column \"{column}\": {}", error.message);
            Error { message, ..error }
        }
        _ => error,
    };
    let place = match (column, rows) {
        (Some(column), 0..=1) => format!("column \"{column}\""),
        (Some(column), _) => format!("row {}, column \"{column}\"", row + 1),
        (None, 0..=1) => return error,
        (None, _) => format!("row {}", row + 1),
    };
    if error.context.is_some() { error } else { error.context(place) }
}
