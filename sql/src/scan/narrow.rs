//! What a filter says about users and seqs: enough to know which ranges of keys to read at all.

use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, expr::InList};
use datafusion::scalar::ScalarValue;
use ebbtide_store::{Hidden, Seq, UserId};
use std::collections::BTreeSet;

/// Whose rows a scan may give out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owners {
    All,
    These(BTreeSet<UserId>),
}

impl Owners {
    /// Those that are in both.
    fn only(&mut self, wanted: BTreeSet<UserId>) {
        *self = match std::mem::replace(self, Self::All) {
            Self::All => Self::These(wanted),
            Self::These(had) => Self::These(had.intersection(&wanted).cloned().collect()),
        };
    }

    /// Whether `user` is among them.
    pub(super) fn holds(&self, user: &UserId) -> bool {
        match self {
            Self::All => true,
            Self::These(users) => users.contains(user),
        }
    }
}

/// What is left to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Narrowed {
    pub(super) owners: Owners,
    /// Rows with `after < seq <= through`.
    pub(super) after: Seq,
    pub(super) through: Seq,
}

impl Narrowed {
    /// All rows of `owners`.
    pub(super) fn new(owners: Owners) -> Self {
        Self { owners, after: 0, through: Seq::MAX }
    }

    /// Leaves out what `filters`, all of which must hold, cannot want.
    pub(super) fn by(mut self, filters: &[Expr]) -> Self {
        for filter in filters {
            if let Some(users) = users(filter) {
                self.owners.only(users);
            } else if let Some((operator, bound)) = seq(filter) {
                self.bound(operator, bound);
            }
        }
        self
    }

    fn bound(&mut self, operator: Operator, bound: i64) {
        // A seq is never negative; one below zero bounds nothing from below and everything from above.
        let at = u64::try_from(bound).ok();
        let before = |at: Option<u64>| at.map_or(0, |at| at.saturating_sub(1));
        match operator {
            Operator::Gt => self.after = self.after.max(at.unwrap_or(0)),
            Operator::GtEq => self.after = self.after.max(before(at)),
            Operator::Lt => self.through = self.through.min(before(at)),
            Operator::LtEq => self.through = self.through.min(at.unwrap_or(0)),
            Operator::Eq => {
                self.after = self.after.max(before(at));
                self.through = self.through.min(at.unwrap_or(0));
            }
            _ => {}
        }
    }

    /// Whether no row is left.
    pub(super) fn is_empty(&self) -> bool {
        self.owners == Owners::These(BTreeSet::new()) || self.after >= self.through
    }
}

/// Whether [`Narrowed`] does all that this filter asks for, so that nobody need look at it again.
pub(super) fn is_exact(filter: &Expr) -> bool {
    users(filter).is_some()
}

/// The users that `_user_id = 'x'` or `_user_id IN ('x', 'y')` asks for.
fn users(filter: &Expr) -> Option<BTreeSet<UserId>> {
    let user = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text), _) => {
            // A text that is no user id owns nothing, and NULL equals nothing.
            Some(text.as_deref().and_then(|text| UserId::new(text).ok()))
        }
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let value = match (is_column(left, Hidden::UserId), is_column(right, Hidden::UserId)) {
                (true, false) => right,
                (false, true) => left,
                _ => return None,
            };
            user(value).map(|user| user.into_iter().collect())
        }
        Expr::InList(InList { expr, list, negated: false }) if is_column(expr, Hidden::UserId) => {
            list.iter().map(user).collect::<Option<Vec<_>>>().map(|users| users.into_iter().flatten().collect())
        }
        _ => None,
    }
}

/// A comparison of `_seq` with a number, the column on the left.
fn seq(filter: &Expr) -> Option<(Operator, i64)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
    let number = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => Some(*number),
        _ => None,
    };
    if is_column(left, Hidden::Seq) {
        Some((*op, number(right)?))
    } else if is_column(right, Hidden::Seq) {
        Some((op.swap()?, number(left)?))
    } else {
        None
    }
}

fn is_column(expr: &Expr, hidden: Hidden) -> bool {
    matches!(expr, Expr::Column(column) if column.name == hidden.name())
}

/// Whether a filter can be asked of statistics and Parquet pages: no subquery, nothing that changes from row to row.
pub(super) fn is_plain(filter: &Expr) -> bool {
    !filter.is_volatile()
        && !filter
            .exists(|expr| {
                Ok(matches!(
                    expr,
                    Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::OuterReferenceColumn(..)
                ))
            })
            .unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::{col, lit};

    fn user(name: &str) -> UserId {
        UserId::new(name).expect("a short text is a user id")
    }

    fn narrowed(filters: &[Expr]) -> Narrowed {
        Narrowed::new(Owners::All).by(filters)
    }

    #[test]
    fn users_are_those_that_every_filter_allows() {
        let ana = lit("ana").eq(col("_user_id"));
        assert_eq!(narrowed(std::slice::from_ref(&ana)).owners, Owners::These([user("ana")].into()));
        let two = col("_user_id").in_list(vec![lit("ana"), lit("ben")], false);
        assert_eq!(narrowed(std::slice::from_ref(&two)).owners, Owners::These([user("ana"), user("ben")].into()));
        assert_eq!(narrowed(&[two.clone(), ana]).owners, Owners::These([user("ana")].into()));
        assert!(narrowed(&[two, col("_user_id").eq(lit("cy"))]).is_empty());
        assert!(narrowed(&[col("_user_id").eq(lit(ScalarValue::Utf8(None)))]).is_empty());
        assert_eq!(narrowed(&[col("_user_id").not_eq(lit("ana"))]).owners, Owners::All);
        assert_eq!(narrowed(&[col("body").eq(lit("ana"))]).owners, Owners::All);
    }

    #[test]
    fn a_user_stays_his_own_whatever_the_filter_says() {
        let own = Narrowed::new(Owners::These([user("ana")].into()));
        assert!(own.clone().by(&[col("_user_id").eq(lit("ben"))]).is_empty());
        let both = col("_user_id").in_list(vec![lit("ana"), lit("ben")], false);
        assert_eq!(own.by(&[both]).owners, Owners::These([user("ana")].into()));
    }

    #[test]
    fn seqs_are_bounded_from_both_sides() {
        let range = |filters: &[Expr]| {
            let narrowed = narrowed(filters);
            (narrowed.after, narrowed.through)
        };
        assert_eq!(range(&[col("_seq").gt(lit(5_i64)), col("_seq").lt_eq(lit(9_i64))]), (5, 9));
        assert_eq!(range(&[lit(5_i64).gt(col("_seq"))]), (0, 4));
        assert_eq!(range(&[col("_seq").eq(lit(7_i64))]), (6, 7));
        assert_eq!(range(&[col("_seq").gt_eq(lit(-3_i64))]), (0, u64::MAX));
        assert!(narrowed(&[col("_seq").lt(lit(1_i64))]).is_empty());
        assert!(narrowed(&[col("_seq").lt(lit(-1_i64))]).is_empty());
    }
}
