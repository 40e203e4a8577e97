//! What filters say about the rows of a system table: the texts that its key columns may have, and when.

use super::System;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, Operator};
use datafusion::scalar::ScalarValue;
use std::collections::{BTreeSet, HashMap};

/// What rows must have to be given out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The texts that a key column may have.
    texts: HashMap<&'static str, BTreeSet<String>>,
    /// When the column is that rows are ordered by.
    pub(super) span: Span,
}

/// A stretch of time in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    /// Its first microsecond.
    pub(super) from: Option<i64>,
    /// The first one behind it.
    pub(super) before: Option<i64>,
}

impl Span {
    fn and(self, other: Self) -> Self {
        let from = self.from.max(other.from);
        let before = [self.before, other.before].into_iter().flatten().min();
        Self { from, before }
    }

    fn is_empty(self) -> bool {
        matches!((self.from, self.before), (Some(from), Some(before)) if from >= before)
    }

    /// Whether it does not leave anything out.
    pub(super) fn is_all(self) -> bool {
        self == Self::default()
    }

    pub(super) fn holds(self, micros: i64) -> bool {
        self.from.is_none_or(|from| from <= micros) && self.before.is_none_or(|before| micros < before)
    }
}

impl Wanted {
    /// What `filters`, all of which must hold, ask of the table; those it does not know are left out.
    pub(super) fn new(system: &dyn System, filters: &[Expr]) -> Self {
        let mut wanted = Self::default();
        for filter in filters {
            match Clause::read(system, filter) {
                Some(Clause::Texts(key, texts)) => {
                    wanted
                        .texts
                        .entry(key)
                        .and_modify(|before| before.retain(|text| texts.contains(text)))
                        .or_insert(texts);
                }
                Some(Clause::Span(span)) => wanted.span = wanted.span.and(span),
                None => {}
            }
        }
        wanted
    }

    /// The texts that this column may have, if not all.
    pub(super) fn texts(&self, column: &str) -> Option<&BTreeSet<String>> {
        self.texts.get(column)
    }

    /// The one text that this column must have, if it is one.
    pub(super) fn get(&self, column: &str) -> Option<&str> {
        let texts = self.texts.get(column)?;
        let mut texts = texts.iter();
        match (texts.next(), texts.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    /// Whether a row with this value may be given out.
    pub(super) fn allows(&self, column: &str, value: Option<&str>) -> bool {
        match self.texts.get(column) {
            None => true,
            Some(texts) => value.is_some_and(|value| texts.contains(value)),
        }
    }

    /// Whether nothing is asked of any column but this one.
    pub(super) fn only_of(&self, column: &str) -> bool {
        self.span.is_all() && self.texts.keys().all(|key| *key == column)
    }

    /// Whether no row can be wanted.
    pub(super) fn is_nothing(&self) -> bool {
        self.span.is_empty() || self.texts.values().any(BTreeSet::is_empty)
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut keys: Vec<_> = self.texts.iter().collect();
        keys.sort_unstable();
        for (key, texts) in keys {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            write!(f, ", {key}=[{}]", texts.join(", "))?;
        }
        if let Some(from) = self.span.from {
            write!(f, ", from={from}")?;
        }
        if let Some(before) = self.span.before {
            write!(f, ", before={before}")?;
        }
        Ok(())
    }
}

/// One filter, as far as a system table takes care of it by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Clause {
    Texts(&'static str, BTreeSet<String>),
    Span(Span),
}

impl Clause {
    /// None for a filter that is about something else.
    pub(super) fn read(system: &dyn System, filter: &Expr) -> Option<Self> {
        texts(system, filter)
            .map(|(key, texts)| Self::Texts(key, texts))
            .or_else(|| span(system.newest_first()?, filter).map(Self::Span))
    }
}

/// The key column that `filter` is about, and the texts that it lets through.
fn texts(system: &dyn System, filter: &Expr) -> Option<(&'static str, BTreeSet<String>)> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Or => {
                let (key, mut texts) = self::texts(system, left)?;
                let (other, more) = self::texts(system, right)?;
                texts.extend(more);
                (key == other).then_some((key, texts))
            }
            Operator::And => {
                let (key, mut texts) = self::texts(system, left)?;
                let (other, both) = self::texts(system, right)?;
                texts.retain(|text| both.contains(text));
                (key == other).then_some((key, texts))
            }
            Operator::Eq | Operator::NotEq => {
                let (key, text) = match (key(system, left), text(right)) {
                    (Some(key), Some(text)) => (key, text),
                    _ => (key(system, right)?, text(left)?),
                };
                listed(system, key, [text].into(), *op == Operator::NotEq)
            }
            _ => None,
        },
        Expr::InList(InList { expr, list, negated }) => {
            let texts: Option<BTreeSet<String>> = list.iter().map(text).collect();
            listed(system, key(system, expr)?, texts?, *negated)
        }
        _ => None,
    }
}

/// What is left without these texts can be said only of a column that knows all it may have.
fn listed(
    system: &dyn System,
    key: &'static str,
    texts: BTreeSet<String>,
    negated: bool,
) -> Option<(&'static str, BTreeSet<String>)> {
    if !negated {
        return Some((key, texts));
    }
    let others = system.values(key)?.into_iter().filter(|value| !texts.contains(*value));
    Some((key, others.map(str::to_owned).collect()))
}

fn key(system: &dyn System, expr: &Expr) -> Option<&'static str> {
    let Expr::Column(column) = expr else { return None };
    system.keys().iter().copied().find(|key| *key == column.name)
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(
            ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)),
            _,
        ) => Some(text.clone()),
        _ => None,
    }
}

/// The stretch of time that `filter` leaves of a column.
fn span(column: &str, filter: &Expr) -> Option<Span> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => Some(span(column, left)?.and(span(column, right)?)),
            _ if is_time(column, left) => bound(*op, instant(right)?),
            _ if is_time(column, right) => bound(op.swap()?, instant(left)?),
            _ => None,
        },
        Expr::Between(Between { expr, negated: false, low, high }) if is_time(column, expr) => {
            Some(bound(Operator::GtEq, instant(low)?)?.and(bound(Operator::LtEq, instant(high)?)?))
        }
        _ => None,
    }
}

/// The column itself, or the same in another unit: where a literal is finer, planning casts the column.
fn is_time(column: &str, expr: &Expr) -> bool {
    match expr {
        Expr::Column(found) => found.name == column,
        Expr::Cast(Cast { expr, field }) => {
            // A coarser unit would cut something off.
            matches!(field.data_type(), DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, _))
                && is_time(column, expr)
        }
        _ => false,
    }
}

/// An instant in nanoseconds, which every unit fits into.
fn instant(expr: &Expr) -> Option<i128> {
    let Expr::Literal(value, _) = expr else { return None };
    match value {
        ScalarValue::TimestampSecond(Some(at), _) => Some(i128::from(*at) * 1_000_000_000),
        ScalarValue::TimestampMillisecond(Some(at), _) => Some(i128::from(*at) * 1_000_000),
        ScalarValue::TimestampMicrosecond(Some(at), _) => Some(i128::from(*at) * 1000),
        ScalarValue::TimestampNanosecond(Some(at), _) => Some(i128::from(*at)),
        _ => None,
    }
}

/// What `column op nanos` leaves of a column of whole microseconds.
fn bound(op: Operator, nanos: i128) -> Option<Span> {
    let micros = |nanos: i128| i64::try_from(nanos).ok();
    let (whole, above) = (nanos.div_euclid(1000), nanos.rem_euclid(1000) != 0);
    // The first microsecond at or after the instant, and the first one after it.
    let (at_or_after, after) = (micros(whole + i128::from(above))?, micros(whole + 1)?);
    Some(match op {
        Operator::GtEq => Span { from: Some(at_or_after), before: None },
        Operator::Gt => Span { from: Some(after), before: None },
        Operator::Lt => Span { from: None, before: Some(at_or_after) },
        Operator::LtEq => Span { from: None, before: Some(after) },
        Operator::Eq => Span { from: Some(at_or_after), before: Some(if above { at_or_after } else { after }) },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::jobs::Jobs;
    use datafusion::prelude::{Expr, col, lit};

    fn wanted(filters: &[Expr]) -> Wanted {
        Wanted::new(&Jobs, filters)
    }

    #[test]
    fn equalities_and_lists_of_key_columns_are_wanted_and_contradictions_seen() {
        let one = wanted(&[col("status").eq(lit("failed")), col("state").eq(lit("Writing"))]);
        assert_eq!((one.get("status"), one.get("state")), (Some("failed"), None));
        assert!(!one.is_nothing());
        let both = [col("status").eq(lit("failed")), lit("running").eq(col("status"))];
        assert!(wanted(&both).is_nothing());
        let either = wanted(&[col("status").eq(lit("failed")).or(col("status").eq(lit("parked")))]);
        assert_eq!(either, wanted(&[col("status").in_list(vec![lit("parked"), lit("failed")], false)]));
        assert!(either.allows("status", Some("parked")) && !either.allows("status", Some("running")));
        assert!(!either.allows("status", None));
        // An OR over two columns is nobody's key.
        let mixed = col("status").eq(lit("failed")).or(col("job_id").eq(lit("x")));
        assert_eq!(Clause::read(&Jobs, &mixed), None);
    }

    #[test]
    fn what_is_not_wanted_is_known_of_a_column_with_few_values_alone() {
        let active = wanted(&[col("status").not_eq(lit("completed"))]);
        let texts = active.texts("status").unwrap();
        assert!(texts.len() == 8 && !texts.contains("completed"), "{texts:?}");
        let fewer = wanted(&[col("status").in_list(vec![lit("completed"), lit("failed")], true)]);
        assert_eq!(fewer.texts("status").unwrap().len(), 7);
        assert_eq!(Clause::read(&Jobs, &col("table_name").not_eq(lit("t"))), None);
    }

    #[test]
    fn times_are_bounds_whatever_their_unit() {
        let at = |nanos: i64| lit(ScalarValue::TimestampNanosecond(Some(nanos), Some("+00:00".into())));
        for (filter, from, before) in [
            (col("created_at").gt_eq(at(5000)), Some(5), None),
            (col("created_at").gt_eq(at(5001)), Some(6), None),
            (col("created_at").gt(at(5000)), Some(6), None),
            (col("created_at").gt(at(5001)), Some(6), None),
            (col("created_at").lt(at(5000)), None, Some(5)),
            (col("created_at").lt(at(5001)), None, Some(6)),
            (col("created_at").lt_eq(at(5000)), None, Some(6)),
            (col("created_at").lt_eq(at(-1)), None, Some(0)),
            (at(5000).gt(col("created_at")), None, Some(5)),
            (col("created_at").eq(at(5000)), Some(5), Some(6)),
            (col("created_at").between(at(5000), at(7000)), Some(5), Some(8)),
        ] {
            assert_eq!(wanted(std::slice::from_ref(&filter)).span, Span { from, before }, "{filter}");
        }
        assert!(wanted(&[col("created_at").eq(at(5001))]).is_nothing(), "no whole microsecond");
        assert!(wanted(&[col("created_at").gt(at(5000)), col("created_at").lt(at(6000))]).is_nothing());
        assert_eq!(Clause::read(&Jobs, &col("updated_at").gt(at(5000))), None);
    }
}
