//! What can be wrong with a template, a sharding name or an escaped component.

/// Why a path could not be made. Nothing was written, and no directory was made, when one of these is returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A `{…}` that no table has a value for.
    #[error("{template} table template: unknown variable {{{variable}}}{}; known are {known}", did_you_mean(.nearest))]
    UnknownVariable {
        /// `User` or `Shared`.
        template: &'static str,
        /// What stood between the braces.
        variable: String,
        /// The known variable that is spelled most like it.
        nearest: Option<String>,
        /// All that may be used in this template.
        known: &'static str,
    },
    /// A variable that the template must have is missing, or two stand in the wrong order.
    #[error("{template} table template: {rule}")]
    Rule {
        /// `User` or `Shared`.
        template: &'static str,
        /// The rule that was broken, with its reason.
        rule: String,
    },
    /// The literal part of a template is not a safe relative path.
    #[error("{template} table template: {problem}")]
    Unsafe {
        /// `User` or `Shared`.
        template: &'static str,
        /// What was found, and what to write instead.
        problem: String,
    },
    /// A template was resolved without a value that it needs.
    #[error("{template} table template: no value for {{{variable}}} in {text:?}; only {{shard}} may be empty")]
    Undefined {
        /// `User` or `Shared`.
        template: &'static str,
        /// The variable that had no value.
        variable: &'static str,
        /// The template.
        text: String,
    },
    /// No strategy is registered under this name.
    #[error("unknown sharding {name:?}{}; known are {known}", did_you_mean(.nearest))]
    UnknownSharding {
        /// The name as given.
        name: String,
        /// The known name that is spelled most like it.
        nearest: Option<String>,
        /// Every registered name.
        known: String,
    },
    /// The strategy is known, its argument is not right.
    #[error("sharding {text:?}: {problem}")]
    ShardingArgument {
        /// The whole text, `consistent_hash(0)`.
        text: String,
        /// What is wrong with it, and an example of what is right.
        problem: String,
    },
    /// A strategy cannot be registered under this name.
    #[error("sharding strategy {name:?} cannot be registered: {problem}")]
    ShardingName {
        /// The name as given.
        name: String,
        /// Why not.
        problem: &'static str,
    },
    /// A path component that [`super::escape::escape`] cannot have made.
    #[error("{component:?} is not an escaped name: {problem}")]
    NotEscaped {
        /// The component as found.
        component: String,
        /// What gives it away.
        problem: &'static str,
    },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    match nearest {
        Some(nearest) => format!(", did you mean {nearest}?"),
        None => String::new(),
    }
}
