//! Who asks.

use ebbtide_store::UserId;

/// Who asks. What he may see follows from it, held in the table provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A role that sees the rows of all users, loads for many, and looks after the database.
    Service(String),
    /// A user: of USER tables he sees and writes his own rows.
    User(UserId),
}

impl Identity {
    /// The name he connected with.
    pub fn name(&self) -> &str {
        match self {
            Self::Service(name) => name,
            Self::User(user) => user.as_str(),
        }
    }

    /// Whether it is a service role.
    pub fn is_service(&self) -> bool {
        matches!(self, Self::Service(_))
    }
}
