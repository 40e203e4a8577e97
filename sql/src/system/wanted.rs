//! What a filter says about the rows of a system table: which values its key columns must have.

use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;
use std::collections::HashMap;

/// The values that rows must have, by column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    values: HashMap<&'static str, String>,
    /// Two filters contradict each other.
    nothing: bool,
}

impl Wanted {
    /// What `filters`, all of which must hold, ask of `keys`.
    pub(super) fn new(keys: &'static [&'static str], filters: &[Expr]) -> Self {
        let mut wanted = Self::default();
        for (key, value) in filters.iter().filter_map(|filter| equality(keys, filter)) {
            let before = wanted.values.insert(key, value.clone());
            wanted.nothing |= before.is_some_and(|before| before != value);
        }
        wanted
    }

    /// The value that this column must have, if there is one.
    pub(super) fn get(&self, column: &str) -> Option<&str> {
        self.values.get(column).map(String::as_str)
    }

    /// Whether a row with this value may be given out.
    pub(super) fn allows(&self, column: &str, value: Option<&str>) -> bool {
        self.get(column).is_none_or(|wanted| value == Some(wanted))
    }

    /// Whether no row can be wanted.
    pub(super) fn is_nothing(&self) -> bool {
        self.nothing
    }
}

/// The key column and the text that `filter` says are equal.
pub(super) fn equality(keys: &'static [&'static str], filter: &Expr) -> Option<(&'static str, String)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else { return None };
    let (column, value) = match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::Literal(value, _)) | (Expr::Literal(value, _), Expr::Column(column)) => {
            (column, value)
        }
        _ => return None,
    };
    let key = keys.iter().copied().find(|key| *key == column.name)?;
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Some((key, text.clone()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::{col, lit};

    #[test]
    fn equalities_of_key_columns_are_wanted_and_contradictions_seen() {
        const KEYS: &[&str] = &["status", "job_id"];
        let wanted = Wanted::new(KEYS, &[col("status").eq(lit("failed")), col("state").eq(lit("Writing"))]);
        assert_eq!(wanted.get("status"), Some("failed"));
        assert_eq!(wanted.get("state"), None);
        assert!(!wanted.is_nothing());
        let both = [col("status").eq(lit("failed")), lit("running").eq(col("status"))];
        assert!(Wanted::new(KEYS, &both).is_nothing());
    }
}
