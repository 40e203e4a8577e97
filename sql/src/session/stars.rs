//! `SELECT *` without hidden columns, also where the statement names one of them elsewhere.
//!
//! A table shows the hidden columns that a statement names and no others, so `*` is right by itself as long as none
//! is named. In `SELECT * FROM t WHERE _seq > 5` it would give `_seq` too: there each `*` is written out, table by
//! table, each without the hidden columns it shows.

use crate::error::{Error, Result};
use crate::scan::{HiddenColumns, Moment};
use datafusion::sql::sqlparser::ast::{
    self, ExcludeSelectItem, Ident, JoinConstraint, JoinOperator, ObjectName, Select, SelectItem,
    SelectItemQualifiedWildcardKind, TableFactor, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use ebbtide_store::Table;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Writes out every `*` of `statement` that would give a hidden column.
pub(super) fn write_out(
    statement: &mut ast::Statement,
    moment: &Moment,
    hidden: HiddenColumns,
    namespace: Option<&str>,
) -> Result<()> {
    if hidden.is_empty() {
        return Ok(());
    }
    match statement.visit(&mut Stars { moment, hidden, namespace }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Stars<'a> {
    moment: &'a Moment,
    hidden: HiddenColumns,
    namespace: Option<&'a str>,
}

/// What stands in FROM: what it is called there, and the table, if it is one of ours.
struct Relation {
    /// None for a subquery without a name.
    name: Option<ObjectName>,
    table: Option<Arc<Table>>,
}

impl VisitorMut for Stars<'_> {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        match self.select(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Stars<'_> {
    fn select(&self, select: &mut Select) -> Result<()> {
        let factors = select
            .from
            .iter()
            .flat_map(|item| std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation)));
        let relations: Vec<Relation> = factors.map(|factor| self.relation(factor)).collect();
        if relations.iter().all(|relation| self.names(relation).is_empty()) {
            return Ok(());
        }
        let constraints = || select.from.iter().flat_map(|item| item.joins.iter().filter_map(constraint));
        if constraints().any(|constraint| matches!(constraint, JoinConstraint::Natural)) {
            return Err(Error::unsupported("NATURAL JOIN in a statement that names a hidden column is not supported")
                .detail("it would join on the hidden columns as well")
                .hint("name the columns with USING or ON"));
        }
        let using = constraints().any(|constraint| matches!(constraint, JoinConstraint::Using(_)));
        let mut items = Vec::with_capacity(select.projection.len());
        for item in select.projection.drain(..) {
            match item {
                SelectItem::Wildcard(options) if using => {
                    // USING gives each of its columns once, which only the plain star knows.
                    let mut names: Vec<&str> = relations.iter().flat_map(|relation| self.names(relation)).collect();
                    names.sort_unstable();
                    if names.windows(2).any(|pair| pair[0] == pair[1]) {
                        return Err(Error::unsupported(
                            "SELECT * over JOIN … USING in a statement that names a hidden column is not supported",
                        )
                        .hint("name the columns, or join with ON"));
                    }
                    items.push(SelectItem::Wildcard(without(options, &names)));
                }
                SelectItem::Wildcard(options) => {
                    for relation in &relations {
                        let options = without(options.clone(), &self.names(relation));
                        items.push(match (&relation.name, relations.len()) {
                            (Some(name), _) => {
                                let kind = SelectItemQualifiedWildcardKind::ObjectName(name.clone());
                                SelectItem::QualifiedWildcard(kind, options)
                            }
                            (None, 1) => SelectItem::Wildcard(options),
                            (None, _) => {
                                return Err(Error::unsupported(
                                    "SELECT * over a subquery without a name is not supported beside a table whose hidden column is named",
                                )
                                .hint("give the subquery a name with AS"));
                            }
                        });
                    }
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    let meant = relations
                        .iter()
                        .find(|relation| relation.name.as_ref().is_some_and(|known| ends(known, &name)));
                    let options = match meant {
                        Some(relation) => without(options, &self.names(relation)),
                        None => options,
                    };
                    items.push(SelectItem::QualifiedWildcard(
                        SelectItemQualifiedWildcardKind::ObjectName(name),
                        options,
                    ));
                }
                other => items.push(other),
            }
        }
        select.projection = items;
        Ok(())
    }

    fn relation(&self, factor: &TableFactor) -> Relation {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let parts: Vec<String> =
                    name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.to_lowercase()).collect();
                let found = match parts.as_slice() {
                    [.., schema, table] => self.moment.catalog.table(schema, table),
                    [table] => self.namespace.and_then(|namespace| self.moment.catalog.table(namespace, table)),
                    [] => None,
                };
                let name =
                    alias.as_ref().map_or_else(|| name.clone(), |alias| ObjectName::from(vec![alias.name.clone()]));
                Relation { name: Some(name), table: found.cloned() }
            }
            TableFactor::Derived { alias, .. }
            | TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. } => {
                let name = alias.as_ref().map(|alias| ObjectName::from(vec![alias.name.clone()]));
                Relation { name, table: None }
            }
            _ => Relation { name: None, table: None },
        }
    }

    /// The hidden columns that a relation shows.
    fn names(&self, relation: &Relation) -> Vec<&'static str> {
        match &relation.table {
            Some(table) => self.hidden.of(table).map(|hidden| hidden.name()).collect(),
            None => Vec::new(),
        }
    }
}

fn constraint(join: &ast::Join) -> Option<&JoinConstraint> {
    match &join.join_operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

/// Whether `t` or `ns.t` names what is known as `ns.t`.
fn ends(known: &ObjectName, written: &ObjectName) -> bool {
    let text = |name: &ObjectName| -> Vec<String> {
        name.0.iter().map(|part| part.as_ident().map_or_else(String::new, |ident| ident.value.to_lowercase())).collect()
    };
    text(known).ends_with(&text(written))
}

/// A star that leaves these columns out as well.
fn without(mut options: WildcardAdditionalOptions, names: &[&str]) -> WildcardAdditionalOptions {
    if names.is_empty() {
        return options;
    }
    let mut left_out: Vec<ObjectName> = match options.opt_exclude.take() {
        Some(ExcludeSelectItem::Single(name)) => vec![name],
        Some(ExcludeSelectItem::Multiple(names)) => names,
        None => Vec::new(),
    };
    for name in names {
        let name = ObjectName::from(vec![Ident::new(*name)]);
        if !left_out.contains(&name) {
            left_out.push(name);
        }
    }
    options.opt_exclude = Some(ExcludeSelectItem::Multiple(left_out));
    options
}
