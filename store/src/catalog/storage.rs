//! Storages as the catalog stores them.

use crate::cold::cloud::Provider;
use crate::path::{Overlap, Template, overlap};
use crate::secrets::{Sealed, Secret};
use crate::{Error, StorageId, path};
use serde::{Deserialize, Serialize};

/// What kind of place a storage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageType {
    /// A folder of a filesystem.
    Filesystem,
    /// Amazon S3, or what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl StorageType {
    /// As SQL and `system.storages` spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
        }
    }

    /// The type of this name, in any case.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another name.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.to_ascii_lowercase().as_str() {
            "filesystem" | "file" | "local" => Ok(Self::Filesystem),
            "s3" => Ok(Self::S3),
            "gcs" | "gs" => Ok(Self::Gcs),
            "azure" | "az" => Ok(Self::Azure),
            _ => Err(Error::invalid(format!("Invalid storage type '{text}'. Must be filesystem, s3, gcs or azure"))),
        }
    }

    /// Who has it, if it is not a folder.
    pub fn provider(self) -> Option<Provider> {
        match self {
            Self::Filesystem => None,
            Self::S3 => Some(Provider::S3),
            Self::Gcs => Some(Provider::Gcs),
            Self::Azure => Some(Provider::Azure),
        }
    }
}

/// A registered place for segments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Its id.
    pub id: StorageId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What kind of place it is.
    pub storage_type: StorageType,
    /// Its root; empty for `local`, which is wherever the configuration says.
    pub base_directory: String,
    /// Where below the root a SHARED table's segments go.
    pub shared_tables_template: String,
    /// Where below the root a user's segments go.
    pub user_tables_template: String,
    /// Settings of its kind, as JSON.
    pub config_json: Option<String>,
    /// As whom it is reached, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credentials: Option<Sealed>,
    /// Templates that it had before: segments may still lie where they led.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) former_templates: Vec<Templates>,
    /// Whether what lies in it is still being taken in. Until then nothing in it is an orphan, and tables that go on from those
    /// of a lost database take no rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attaching: bool,
    /// Microseconds since the Unix epoch.
    pub created_at: i64,
    /// Microseconds since the Unix epoch.
    pub updated_at: i64,
}

/// The two templates of a storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Templates {
    shared: String,
    user: String,
}

impl Storage {
    /// Whether it is reached with credentials of its own.
    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// Whose its sealed credentials are.
    pub(crate) fn whose(id: &StorageId) -> String {
        format!("storage '{id}'")
    }

    /// This storage with each of the templates that it had before.
    pub(crate) fn former(&self) -> impl Iterator<Item = Storage> {
        self.former_templates.iter().map(|Templates { shared, user }| Storage {
            shared_tables_template: shared.clone(),
            user_tables_template: user.clone(),
            ..self.clone()
        })
    }

    fn templates(&self) -> Templates {
        Templates { shared: self.shared_tables_template.clone(), user: self.user_tables_template.clone() }
    }

    /// Gives it other templates. New files go where they lead, old ones stay.
    pub(crate) fn set_templates(&mut self, shared: Option<String>, user: Option<String>) {
        let before = self.templates();
        self.shared_tables_template = shared.unwrap_or_else(|| before.shared.clone());
        self.user_tables_template = user.unwrap_or_else(|| before.user.clone());
        let now = self.templates();
        if before != now && !self.former_templates.contains(&before) {
            self.former_templates.push(before);
        }
        self.former_templates.retain(|former| *former != now);
    }

    /// Within one storage no two tables, and no two users, may ever have one prefix, whatever they are called, nor one
    /// that another had under templates of before.
    pub(crate) fn check_templates(&self) -> Result<(), Error> {
        let shared = Template::shared(&self.shared_tables_template)?;
        let user = Template::user(&self.user_tables_template)?;
        let refuse = |message| {
            let hint = format!(
                "let them differ in a folder that no name can be, as in the defaults {} and {}",
                path::SHARED_TABLES_TEMPLATE_DEFAULT,
                path::USER_TABLES_TEMPLATE_DEFAULT
            );
            Err(Error::Invalid { message, hint: Some(hint) })
        };
        if overlap(&shared, &user) > Overlap::OneTable {
            return refuse(format!(
                "a SHARED table and a USER table of storage '{}' could come to lie in one folder under the templates {shared} and {user}",
                self.id
            ));
        }
        for former in &self.former_templates {
            for before in [Template::shared(&former.shared)?, Template::user(&former.user)?] {
                for now in [&shared, &user] {
                    if overlap(now, &before) > Overlap::OneTable {
                        return refuse(format!(
                            "under the template {now} a table of storage '{}' could come to lie in a folder where another one's files may be since the template was {before}",
                            self.id
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

/// A storage to be registered.
#[derive(Debug, Clone)]
pub struct NewStorage {
    /// Its id.
    pub id: StorageId,
    /// What people call it; the id without one.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What kind of place it is.
    pub storage_type: StorageType,
    /// Its root.
    pub base_directory: String,
    /// Where below the root a SHARED table's segments go; the default without one.
    pub shared_tables_template: Option<String>,
    /// Where below the root a user's segments go; the default without one.
    pub user_tables_template: Option<String>,
    /// As whom it is reached, as JSON; as whom the machine is, without.
    pub credentials: Option<Secret>,
    /// Settings of its kind, as JSON.
    pub config_json: Option<String>,
}

/// What is to become different about a storage; what is `None` stays as it is. Its place does not change: segments keep
/// the paths that they were written with.
#[derive(Debug, Clone, Default)]
pub struct StorageChange {
    /// What people call it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<Option<String>>,
    /// Where below the root a SHARED table's segments go from now on.
    pub shared_tables_template: Option<String>,
    /// Where below the root a user's segments go from now on.
    pub user_tables_template: Option<String>,
    /// As whom it is reached, as JSON.
    pub credentials: Option<Option<Secret>>,
    /// Settings of its kind, as JSON.
    pub config_json: Option<Option<String>>,
}
