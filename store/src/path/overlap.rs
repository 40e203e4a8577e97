//! Whether two templates on one storage could bring two tables together.

use super::template::{Component, Template, Variable};

/// How close the prefixes of two templates can come, whatever the tables and users are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overlap {
    /// No prefix of one is a prefix of the other, or lies inside it.
    Apart,
    /// Only prefixes of one and the same table can meet or lie inside one another.
    OneTable,
    /// A table's prefix can lie inside another table's.
    Inside,
    /// Two tables can have the same prefix.
    Same,
}

/// The worst that can happen between tables laid out by `a` and tables laid out by `b`.
///
/// Asked of the two templates of one storage, and of an old template and the one that replaces it. Case is folded, as some filesystems do.
///
/// ```
/// use ebbtide_store::path::{Overlap, Template, overlap};
///
/// let users = Template::user("{namespace}/{tableName}/{userId}")?;
/// assert_eq!(overlap(&Template::shared("{namespace}/{tableName}")?, &users), Overlap::OneTable);
/// assert_eq!(overlap(&Template::shared("shared/{namespace}/{tableName}")?, &users), Overlap::Same);
/// assert_eq!(overlap(&Template::shared("_shared/x-/{namespace}/{tableName}")?, &users), Overlap::Apart);
/// # Ok::<(), ebbtide_store::path::Error>(())
/// ```
pub fn overlap(a: &Template, b: &Template) -> Overlap {
    let mut worst = Overlap::Apart;
    for a in forms(a) {
        for b in forms(b) {
            worst = worst.max(overlap_of_forms(&a, &b));
        }
    }
    worst
}

/// A folder that is nothing but `{shard}` may be there or not.
fn forms(template: &Template) -> Vec<Vec<&Component>> {
    let whole: Vec<&Component> = template.components().iter().collect();
    let only_shard = |component: &Component| {
        component.variable == Some(Variable::Shard) && component.before.is_empty() && component.after.is_empty()
    };
    if !whole.iter().any(|component| only_shard(component)) {
        return vec![whole];
    }
    let short = whole.iter().copied().filter(|component| !only_shard(component)).collect();
    vec![whole, short]
}

fn overlap_of_forms(a: &[&Component], b: &[&Component]) -> Overlap {
    if !a.iter().zip(b).all(|(a, b)| can_be_equal(a, b)) {
        return Overlap::Apart;
    }
    // A variable in the same place with the same text around it has the same value wherever the paths are equal.
    let shared = |variable| {
        a.iter().zip(b).any(|(a, b)| {
            a.variable == Some(variable)
                && b.variable == Some(variable)
                && a.before.eq_ignore_ascii_case(&b.before)
                && a.after.eq_ignore_ascii_case(&b.after)
        })
    };
    let one_table = shared(Variable::Namespace) && shared(Variable::TableName);
    match (one_table, a.len() == b.len()) {
        (true, true) if shared(Variable::UserId) || no_user(a) && no_user(b) => Overlap::Apart,
        (true, _) => Overlap::OneTable,
        (false, false) => Overlap::Inside,
        (false, true) => Overlap::Same,
    }
}

fn no_user(components: &[&Component]) -> bool {
    components.iter().all(|component| component.variable != Some(Variable::UserId))
}

/// Whether some values make the two components equal. Says yes when in doubt.
fn can_be_equal(a: &Component, b: &Component) -> bool {
    match (a.variable, b.variable) {
        (None, None) => a.before.eq_ignore_ascii_case(&b.before),
        (Some(_), None) => can_become(a, &b.before),
        (None, Some(_)) => can_become(b, &a.before),
        (Some(a_variable), Some(b_variable)) => {
            let reversed = |text: &str| text.chars().rev().collect::<String>();
            fits(&a.before, a_variable, &b.before, b_variable)
                && fits(&reversed(&a.after), a_variable, &reversed(&b.after), b_variable)
        }
    }
}

fn can_become(component: &Component, literal: &str) -> bool {
    let literal = literal.to_ascii_lowercase();
    let variable = component.variable.expect("asked only of a component that has one");
    literal
        .strip_prefix(&component.before.to_ascii_lowercase())
        .and_then(|rest| rest.strip_suffix(&component.after.to_ascii_lowercase()))
        .is_some_and(|value| may_be_within(variable, value) && (!value.is_empty() || variable == Variable::Shard))
}

/// Of two beginnings the longer must go on from the shorter with what the shorter's variable can hold.
fn fits(a: &str, a_variable: Variable, b: &str, b_variable: Variable) -> bool {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    match (b.strip_prefix(&a), a.strip_prefix(&b)) {
        (Some(rest), _) => may_be_within(a_variable, rest),
        (None, Some(rest)) => may_be_within(b_variable, rest),
        (None, None) => false,
    }
}

/// Names are made of `a-z0-9_`, anything else is escaped; `@` is what escaping adds.
fn may_be_within(variable: Variable, text: &str) -> bool {
    let is_name = matches!(variable, Variable::Namespace | Variable::TableName);
    text.bytes().all(|byte| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'_' | b'@' => true,
        b'-' | b'.' => !is_name,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{SHARED_TABLES_TEMPLATE_DEFAULT, USER_TABLES_TEMPLATE_DEFAULT, Values};
    use proptest::prelude::*;

    fn shared(text: &str) -> Template {
        Template::shared(text).unwrap()
    }

    fn user(text: &str) -> Template {
        Template::user(text).unwrap()
    }

    #[test]
    fn the_defaults_keep_every_table_apart() {
        let (shared, user) = (shared(SHARED_TABLES_TEMPLATE_DEFAULT), user(USER_TABLES_TEMPLATE_DEFAULT));
        assert_eq!(overlap(&shared, &user), Overlap::Apart);
        assert_eq!(overlap(&shared, &shared), Overlap::Apart);
        // With and without shards, users of one table can lie inside one another.
        assert_eq!(overlap(&user, &user), Overlap::OneTable);
    }

    #[test]
    fn a_name_can_be_the_folder_that_another_template_writes_out() {
        let names = user("{namespace}/{tableName}/{userId}");
        assert_eq!(overlap(&shared("{namespace}/x/{tableName}"), &names), Overlap::Same);
        assert_eq!(overlap(&shared("{namespace}/x.y/{tableName}"), &names), Overlap::Apart);
        assert_eq!(overlap(&shared("X/{namespace}/{tableName}"), &shared("x/{namespace}/{tableName}")), Overlap::Apart);
        assert_eq!(
            overlap(&shared("{namespace}/{tableName}"), &user("{namespace}/x/{tableName}/{userId}")),
            Overlap::Inside
        );
        assert_eq!(overlap(&shared("a{namespace}/{tableName}"), &shared("{namespace}/{tableName}")), Overlap::Same);
        assert_eq!(overlap(&shared("a-{namespace}/{tableName}"), &shared("{namespace}/{tableName}")), Overlap::Apart);
        assert_eq!(overlap(&names, &user("{namespace}/{tableName}/u-{userId}")), Overlap::OneTable);
    }

    /// Templates that keep the rules, with the literal text that brings them close to one another.
    fn templates() -> impl Strategy<Value = Template> {
        let affix = || prop::sample::select(vec!["", "", "", "a", "-", "a-", "A"]);
        let around = move |name: &'static str| (affix(), affix()).prop_map(move |(a, b)| format!("{a}{{{name}}}{b}"));
        let maybe = |component: BoxedStrategy<String>| prop::collection::vec(component, 0..2);
        let literal = move || maybe(prop::sample::select(vec!["a", "b", "a-", "bA"]).prop_map(str::to_owned).boxed());
        let shared = (literal(), around("namespace"), literal(), around("tableName"), literal());
        let user = (maybe(around("shard").boxed()), literal(), around("userId"), literal());
        (shared, prop::option::of(user)).prop_map(|(shared, user)| {
            let (a, namespace, b, table, c) = shared;
            let mut all = [a, vec![namespace], b, vec![table], c].concat();
            let Some((shard, d, user, e)) = user else {
                return Template::shared(&all.join("/")).unwrap();
            };
            all.extend([shard, d, vec![user], e].concat());
            Template::user(&all.join("/")).unwrap()
        })
    }

    fn values() -> impl Strategy<Value = (String, String, String, String)> {
        ("[ab_]{1,2}", "[ab_]{1,2}", "[ab-]{0,2}", "[abA-]{1,3}")
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]
        #[test]
        fn what_it_promises_holds_for_any_names(a in templates(), b in templates(), x in values(), y in values()) {
            let path = |t: &Template, v: &(String, String, String, String)| {
                let values = Values { namespace: &v.0, table_name: &v.1, shard: &v.2, user_id: &v.3 };
                t.resolve(&values).unwrap().to_lowercase()
            };
            let (pa, pb) = (path(&a, &x), path(&b, &y));
            let same_table = (&x.0, &x.1) == (&y.0, &y.1);
            let inside = pa.starts_with(&format!("{pb}/")) || pb.starts_with(&format!("{pa}/"));
            let seen = match (pa == pb, inside, same_table) {
                (true, _, false) => Overlap::Same,
                (_, true, false) => Overlap::Inside,
                (true, _, true) if x.3 != y.3 => Overlap::OneTable,
                (_, true, true) => Overlap::OneTable,
                _ => Overlap::Apart,
            };
            prop_assert!(seen <= overlap(&a, &b), "{a} and {b} gave {pa} and {pb}");
        }
    }
}
