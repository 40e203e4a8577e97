//! Path templates: `{namespace}/users/{tableName}/{shard}/{userId}`.
//!
//! A template is parsed once, when a storage is made, and everything that could go wrong goes wrong there.
//! Resolving is one pass over the parsed parts: a value is never looked at for variables, so a user named `{namespace}` is only a name.

use std::fmt;

use super::{Error, escape, nearest::nearest};

#[cfg(test)]
mod tests;

/// Where the segments of SHARED tables go unless a storage says otherwise.
pub const SHARED_TABLES_TEMPLATE_DEFAULT: &str = "{namespace}/shared/{tableName}";

/// Where the segments of USER tables go unless a storage says otherwise.
pub const USER_TABLES_TEMPLATE_DEFAULT: &str = "{namespace}/users/{tableName}/{shard}/{userId}";

/// The longest template. With four values and a file name it still fits the 1,024 bytes of an S3 key for ordinary names.
pub const TEMPLATE_BYTES_MAX: usize = 256;

/// The folder of a storage in which exports lie. They are whoever's asked for them: no table's files come there.
pub const EXPORTS: &str = "_exports";

/// What filesystems hold in one path component.
const COMPONENT_LIMIT: usize = 255;

/// A value that a template may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// `{namespace}`
    Namespace,
    /// `{tableName}`
    TableName,
    /// `{shard}`, the only one that may be empty.
    Shard,
    /// `{userId}`
    UserId,
}

impl Variable {
    const ALL: [Variable; 4] = [Variable::Namespace, Variable::TableName, Variable::Shard, Variable::UserId];

    /// The name between the braces.
    pub fn name(self) -> &'static str {
        match self {
            Variable::Namespace => "namespace",
            Variable::TableName => "tableName",
            Variable::Shard => "shard",
            Variable::UserId => "userId",
        }
    }

    /// Older spellings mean the same.
    fn parse(name: &str) -> Option<Variable> {
        match name {
            "namespace" | "namespace_id" | "namespaceId" => Some(Variable::Namespace),
            "tableName" | "table_name" => Some(Variable::TableName),
            "shard" | "shard_id" => Some(Variable::Shard),
            "userId" | "user_id" | "user-id" => Some(Variable::UserId),
            _ => None,
        }
    }
}

/// What the variables stand for. Any text will do: each value becomes one safe component.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The table's name without its namespace.
    pub table_name: &'a str,
    /// What the table's sharding strategy says of this user; empty without one.
    pub shard: &'a str,
    /// The user's id, as it is. Not looked at by a template for SHARED tables.
    pub user_id: &'a str,
}

impl<'a> Values<'a> {
    fn get(&self, variable: Variable) -> &'a str {
        match variable {
            Variable::Namespace => self.namespace,
            Variable::TableName => self.table_name,
            Variable::Shard => self.shard,
            Variable::UserId => self.user_id,
        }
    }
}

/// A template whose rules hold: no two tables, and no two users, resolve to one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    whom: Whom,
    text: String,
    components: Vec<Component>,
}

/// Literal text around at most one variable, so that the value can be read back from the component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) before: String,
    pub(super) variable: Option<Variable>,
    pub(super) after: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    Shared,
    User,
}

impl Whom {
    fn label(self) -> &'static str {
        match self {
            Whom::Shared => "Shared",
            Whom::User => "User",
        }
    }

    fn known(self) -> &'static str {
        match self {
            Whom::Shared => "{namespace}, {tableName}",
            Whom::User => "{namespace}, {tableName}, {shard}, {userId}",
        }
    }

    fn variables(self) -> &'static [Variable] {
        match self {
            Whom::Shared => &Variable::ALL[..2],
            Whom::User => &Variable::ALL,
        }
    }

    fn rule(self, rule: impl Into<String>) -> Error {
        Error::Rule { template: self.label(), rule: rule.into() }
    }

    fn unsafe_text(self, problem: impl Into<String>) -> Error {
        Error::Unsafe { template: self.label(), problem: problem.into() }
    }
}

impl Template {
    /// Parses a template for SHARED tables: `{namespace}` before `{tableName}`, both required.
    pub fn shared(text: &str) -> Result<Template, Error> {
        Template::parse(Whom::Shared, text)
    }

    /// Parses a template for USER tables: `{namespace}`, `{tableName}`, `{shard}`, `{userId}` in this order, all but `{shard}` required.
    ///
    /// ```
    /// use ebbtide_store::path::Template;
    ///
    /// let error = Template::user("{namespace}/{tablename}/{userId}").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "User table template: unknown variable {tablename}, did you mean {tableName}?; \
    ///      known are {namespace}, {tableName}, {shard}, {userId}",
    /// );
    /// ```
    pub fn user(text: &str) -> Result<Template, Error> {
        Template::parse(Whom::User, text)
    }

    /// The template as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The folder these values belong in, relative to the storage's root, without a slash at either end.
    ///
    /// The objects of a table and user lie in it directly. A folder further down belongs to somebody else:
    /// after `ALTER TABLE` gave a table shards, `t/a/ann` is Ann's and `t/a` may still be that of a user named `a`.
    pub fn resolve(&self, values: &Values<'_>) -> Result<String, Error> {
        let mut path = String::with_capacity(self.text.len() + 64);
        for component in &self.components {
            let resolved = self.resolve_component(component, values)?;
            if resolved.is_empty() {
                continue;
            }
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(&resolved);
        }
        Ok(path)
    }

    fn resolve_component(&self, component: &Component, values: &Values<'_>) -> Result<String, Error> {
        let Some(variable) = component.variable else {
            return Ok(component.before.clone());
        };
        let value = match (variable, values.get(variable)) {
            (Variable::Shard, "") => String::new(),
            (_, "") => {
                return Err(Error::Undefined {
                    template: self.whom.label(),
                    variable: variable.name(),
                    text: self.text.clone(),
                });
            }
            (_, value) => escape::escape(value),
        };
        let joined = format!("{}{value}{}", component.before, component.after);
        // `com{shard}` and the shard `1` are each harmless alone.
        Ok(if escape::is_device(&joined) { escape::hide_device(&joined) } else { joined })
    }

    pub(super) fn components(&self) -> &[Component] {
        &self.components
    }

    fn parse(whom: Whom, text: &str) -> Result<Template, Error> {
        if text.len() > TEMPLATE_BYTES_MAX {
            let len = text.len();
            return Err(
                whom.unsafe_text(format!("it has {len} bytes, and object keys leave room for {TEMPLATE_BYTES_MAX}"))
            );
        }
        if text.starts_with('/') {
            return Err(whom.unsafe_text(format!(
                "{text:?} starts at the root of the machine; leave out the first `/`, a template is relative to the storage's base directory"
            )));
        }
        let relative = text.strip_suffix('/').unwrap_or(text);
        let components = relative
            .split('/')
            .map(|component| parse_component(whom, text, component))
            .collect::<Result<Vec<_>, _>>()?;
        check_order(whom, &components)?;
        check_first(whom, &components)?;
        Ok(Template { whom, text: text.to_owned(), components })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_component(whom: Whom, text: &str, component: &str) -> Result<Component, Error> {
    if component.is_empty() {
        return Err(whom.unsafe_text(format!("{text:?} has nothing between two slashes")));
    }
    let (before, variable, after) = match component.split_once('{') {
        None => (component, None, ""),
        Some((before, rest)) => {
            let Some((name, after)) = rest.split_once('}') else {
                return Err(whom.unsafe_text(format!("{component:?} opens a `{{` that no `}}` closes")));
            };
            (before, Some(known_variable(whom, name)?), after)
        }
    };
    if after.contains('{') {
        return Err(whom.rule(format!(
            "{component:?} has two variables in one folder, where `a_b` and `c` would meet `a` and `b_c`; put a `/` between them"
        )));
    }
    for literal in [before, after] {
        check_characters(whom, component, literal)?;
    }
    check_shape(whom, component, variable, before.len() + after.len())?;
    Ok(Component { before: before.to_owned(), variable, after: after.to_owned() })
}

fn known_variable(whom: Whom, name: &str) -> Result<Variable, Error> {
    match Variable::parse(name) {
        Some(variable) if whom.variables().contains(&variable) => Ok(variable),
        Some(variable) => Err(whom.rule(format!(
            "{{{}}} means nothing here, because a shared table has no users; known are {}",
            variable.name(),
            whom.known()
        ))),
        None => Err(Error::UnknownVariable {
            template: whom.label(),
            variable: name.to_owned(),
            nearest: nearest(name, whom.variables().iter().map(|v| v.name())).map(|name| format!("{{{name}}}")),
            known: whom.known(),
        }),
    }
}

fn check_characters(whom: Whom, component: &str, literal: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '=' | '@');
    let Some(found) = literal.chars().find(|c| !allowed(*c)) else {
        return Ok(());
    };
    Err(whom.unsafe_text(match found {
        '}' => format!("{component:?} closes a `}}` that no `{{` opens"),
        '\\' => format!("{component:?} has a backslash; folders are divided by `/` on every system"),
        found => format!(
            "{component:?} has {found:?}, which not every storage can hold; use letters, digits, `_`, `-`, `.`, `=` and `@`"
        ),
    }))
}

fn check_shape(whom: Whom, component: &str, variable: Option<Variable>, literal_len: usize) -> Result<(), Error> {
    // `..` and `.` are among these, and `.ebbtide`, where a storage keeps its own things.
    if component.starts_with('.') || component.ends_with('.') {
        return Err(whom.unsafe_text(format!(
            "the folder {component:?} starts or ends with a dot; `..` would leave the storage, and other readers skip hidden folders"
        )));
    }
    if variable.is_none() && escape::is_device(component) {
        return Err(whom.unsafe_text(format!("{component:?} is a device on Windows, not a folder")));
    }
    let value_len_max = if variable.is_some() { escape::COMPONENT_BYTES_MAX } else { 0 };
    if literal_len + value_len_max > COMPONENT_LIMIT {
        return Err(whom.unsafe_text(format!(
            "the folder {component:?} has {literal_len} bytes of its own, and there is room for {}",
            COMPONENT_LIMIT - value_len_max
        )));
    }
    Ok(())
}

/// Whatever the values are, no folder may begin with [`EXPORTS`]. Case is folded, as some filesystems do.
fn check_first(whom: Whom, components: &[Component]) -> Result<(), Error> {
    let Some(Component { before, variable, after }) = components.first() else { return Ok(()) };
    let (before, after) = (before.to_ascii_lowercase(), after.to_ascii_lowercase());
    let leads_there = match variable {
        None => before == EXPORTS,
        // A value never begins with `_`, see `escape`, so something has to stand before it.
        Some(_) => !before.is_empty() && EXPORTS.strip_prefix(&*before).is_some_and(|rest| rest.ends_with(&*after)),
    };
    match leads_there {
        true => {
            Err(whom.rule(format!("its first folder could be {EXPORTS:?}, where exports lie; call it something else")))
        }
        false => Ok(()),
    }
}

/// A8: which variables there must be, once each, and in which order.
fn check_order(whom: Whom, components: &[Component]) -> Result<(), Error> {
    let mut place = [None; Variable::ALL.len()];
    for (at, component) in components.iter().enumerate() {
        let Some(variable) = component.variable else {
            continue;
        };
        if place[variable as usize].replace(at).is_some() {
            return Err(whom.rule(format!("{{{}}} appears twice; once is enough", variable.name())));
        }
    }
    let place = |variable: Variable| place[variable as usize];
    let missing = |variable: Variable| place(variable).is_none();
    match whom {
        Whom::Shared if missing(Variable::Namespace) && missing(Variable::TableName) => {
            return Err(whom.rule("Both {namespace} and {tableName} are required"));
        }
        Whom::User if missing(Variable::UserId) => {
            return Err(whom.rule("{userId} is required"));
        }
        _ => {}
    }
    if missing(Variable::Namespace) {
        return Err(whom
            .rule("{namespace} is required, because tables of the same name in two namespaces would share a folder"));
    }
    if missing(Variable::TableName) {
        return Err(whom.rule("{tableName} is required, because two tables would share a folder"));
    }
    let order = [
        (Variable::Namespace, Variable::TableName),
        (Variable::TableName, Variable::Shard),
        (Variable::Shard, Variable::UserId),
        (Variable::TableName, Variable::UserId),
    ];
    for (first, second) in order {
        if let (Some(first_at), Some(second_at)) = (place(first), place(second))
            && first_at > second_at
        {
            return Err(whom.rule(format!("{{{}}} must appear before {{{}}}", first.name(), second.name())));
        }
    }
    Ok(())
}
