//! CREATE, ALTER, DROP and CHECK STORAGE, and the DELETE that is a DROP STORAGE.

use super::clause::{invalid, put};
use super::create::behaviour;
use super::cursor::Cursor;
use super::{Kind, json, refuse};
use crate::error::{Error, Result, code, nearest};
use datafusion::sql::sqlparser::tokenizer::Token;
use ebbtide_store::secrets::Secret;
use ebbtide_store::{Claim, NewStorage, StorageChange, StorageId, StorageType};

/// A statement about one storage.
#[derive(Debug, Clone)]
pub(crate) struct StorageCommand {
    pub(crate) verb: StorageVerb,
    /// Where its id stands.
    pub(crate) position: Option<u32>,
}

/// What is to happen to a storage.
#[derive(Debug, Clone)]
pub(crate) enum StorageVerb {
    Create {
        new: NewStorage,
        if_not_exists: bool,
    },
    Alter {
        id: StorageId,
        change: StorageChange,
    },
    Drop {
        id: StorageId,
        if_exists: bool,
    },
    /// `DELETE FROM system.storages`; none if no storage can have the id that was asked for.
    Delete {
        id: Option<StorageId>,
    },
    Check {
        id: StorageId,
    },
    /// `ATTACH STORAGE`: what lies in it is taken in.
    Attach {
        new: NewStorage,
        claim: Claim,
    },
    /// `ROTATE SECRETS`: the credentials of every storage are sealed anew.
    Rotate,
}

impl StorageVerb {
    /// The statement, as its command tag has it.
    pub(crate) fn tag(&self) -> &'static str {
        match self {
            Self::Create { .. } => "CREATE STORAGE",
            Self::Alter { .. } => "ALTER STORAGE",
            Self::Drop { .. } => "DROP STORAGE",
            Self::Delete { .. } => "DELETE",
            Self::Check { .. } => "CHECK STORAGE",
            Self::Attach { .. } => "ATTACH STORAGE",
            Self::Rotate => "ROTATE SECRETS",
        }
    }
}

/// `CREATE STORAGE [IF NOT EXISTS] id clause …`, from the id on.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<Kind> {
    let if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
    let (id, position) = id(cursor)?;
    let mut clauses = Clauses::default();
    while !cursor.is_end() {
        clauses.read(cursor)?;
    }
    let new = clauses.new_storage(id, cursor)?;
    Ok(command(StorageVerb::Create { new, if_not_exists }, position))
}

/// `ATTACH STORAGE id clause … [TAKE OVER]`: the clauses of CREATE STORAGE, and whether another database's claim ends.
pub(super) fn attach(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.expect(&["ATTACH"])?;
    cursor.expect(&["STORAGE"])?;
    let (id, position) = id(cursor)?;
    let (mut clauses, mut claim) = (Clauses::default(), None);
    while !cursor.is_end() {
        let here = cursor.here();
        if cursor.eat(&["TAKE"]) {
            cursor.expect(&["OVER"])?;
            put(&mut claim, Claim::TakeOver, "TAKE OVER").map_err(|error| error.at(here))?;
        } else {
            clauses.read(cursor)?;
        }
    }
    let new = clauses.new_storage(id, cursor)?;
    Ok(command(StorageVerb::Attach { new, claim: claim.unwrap_or(Claim::Respect) }, position))
}

/// `ROTATE SECRETS`
pub(super) fn rotate(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.expect(&["ROTATE"])?;
    cursor.expect(&["SECRETS"])?;
    cursor.end()?;
    Ok(command(StorageVerb::Rotate, None))
}

/// `ALTER STORAGE id [SET] clause [, [SET] clause …]`, from the id on.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Kind> {
    let (id, position) = id(cursor)?;
    let mut clauses = Clauses { altering: true, ..Clauses::default() };
    cursor.eat(&["SET"]);
    loop {
        clauses.read(cursor)?;
        if !and_then(cursor) {
            break;
        }
    }
    Ok(command(StorageVerb::Alter { id, change: clauses.change() }, position))
}

/// Whether another clause of an ALTER follows: behind a comma, behind SET, or just so.
pub(super) fn and_then(cursor: &mut Cursor<'_>) -> bool {
    let comma = cursor.eat_token(&Token::Comma);
    cursor.eat(&["SET"]) || comma || !cursor.is_end()
}

/// `DROP STORAGE [IF EXISTS] id`, from IF on.
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Result<Kind> {
    let if_exists = cursor.eat(&["IF", "EXISTS"]);
    let (id, position) = id(cursor)?;
    behaviour(cursor, "point its tables and users to another storage first")?;
    Ok(command(StorageVerb::Drop { id, if_exists }, position))
}

/// `CHECK STORAGE id`
pub(super) fn check(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.skip();
    cursor.expect(&["STORAGE"])?;
    check_id(cursor)
}

/// `CHECK STORAGE id` and `STORAGE CHECK id`, from the id on.
pub(super) fn check_id(cursor: &mut Cursor<'_>) -> Result<Kind> {
    let (id, position) = id(cursor)?;
    // There is no shorter check that this would be the longer form of.
    cursor.eat(&["EXTENDED"]);
    cursor.end()?;
    Ok(command(StorageVerb::Check { id }, position))
}

/// `DELETE FROM system.storages WHERE storage_id = 'id'`, and no other DELETE.
pub(super) fn delete(cursor: &mut Cursor<'_>) -> Result<Kind> {
    let refused = refuse::statement("DELETE", cursor);
    cursor.skip();
    let storages = cursor.eat(&["FROM"])
        && cursor.table().is_ok_and(|name| name.namespace.as_deref() == Some("system") && name.table == "storages");
    if !storages {
        return Err(refused);
    }
    let alone = cursor.eat(&["WHERE"])
        && cursor.name("storage_id").is_ok_and(|column| column == "storage_id")
        && cursor.eat_token(&Token::Eq);
    let position = cursor.here();
    match cursor.text("a storage id") {
        Ok(text) if alone && cursor.is_end() => {
            // Unlike in the other statements this is a text that is compared, so its case counts.
            let id = StorageId::new(&text).ok().filter(|id| *id == *text);
            Ok(command(StorageVerb::Delete { id }, position))
        }
        _ => Err(refused.hint("write DELETE FROM system.storages WHERE storage_id = 'id', or DROP STORAGE id")),
    }
}

fn command(verb: StorageVerb, position: Option<u32>) -> Kind {
    Kind::Storage(Box::new(StorageCommand { verb, position }))
}

/// A storage id that can be one, and where it stands.
pub(super) fn id(cursor: &mut Cursor<'_>) -> Result<(StorageId, Option<u32>)> {
    let here = cursor.here();
    let id = cursor.storage()?;
    let id = StorageId::new(&id).map_err(|error| Error::new(code::INVALID_NAME, error.to_string()).at(here))?;
    Ok((id, here))
}

const KNOWN: [&str; 12] = [
    "TYPE",
    "NAME",
    "DESCRIPTION",
    "PATH",
    "BASE_DIRECTORY",
    "URI",
    "BUCKET",
    "REGION",
    "SHARED_TABLES_TEMPLATE",
    "USER_TABLES_TEMPLATE",
    "CREDENTIALS",
    "CONFIG",
];

/// What was written, and where.
type Placed<T> = (T, Option<u32>);

/// The clauses of a storage. `None`: not said; `Some(None)`: said to be nothing.
#[derive(Default)]
struct Clauses {
    /// Whether the storage is there already.
    altering: bool,
    storage_type: Option<StorageType>,
    directory: Option<Placed<String>>,
    bucket: Option<Placed<String>>,
    region: Option<Placed<String>>,
    name: Option<String>,
    description: Option<Option<String>>,
    shared_tables_template: Option<String>,
    user_tables_template: Option<String>,
    credentials: Option<Option<Secret>>,
    config: Option<Option<String>>,
}

impl Clauses {
    /// Reads one clause: its word, `=` or not, its value.
    fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let here = cursor.here();
        let word = cursor.word().unwrap_or_default();
        if self.altering {
            refuse_a_move(&word).map_err(|error| error.at(here))?;
        }
        if !KNOWN.contains(&word.as_str()) {
            return Err(self.unknown(&word, cursor));
        }
        cursor.skip();
        cursor.eat_token(&Token::Eq);
        let at = cursor.here();
        let read = match word.as_str() {
            "TYPE" => {
                let text = cursor.name_or_text("filesystem, s3, gcs or azure")?;
                let known = StorageType::parse(&text).map_err(|error| Error::from(error).at(at))?;
                put(&mut self.storage_type, known, "TYPE")
            }
            "PATH" | "BASE_DIRECTORY" | "URI" => {
                put(&mut self.directory, (cursor.text("a place in quotes")?, here), "the place of the storage")
            }
            "BUCKET" => put(&mut self.bucket, (bucket(cursor)?, here), "BUCKET"),
            "REGION" => put(&mut self.region, (cursor.text("a region in quotes")?, here), "REGION"),
            "NAME" => put(&mut self.name, cursor.text("a name in quotes")?, "NAME"),
            "DESCRIPTION" => {
                let text = self.nothing(cursor, |cursor| cursor.text("a description in quotes"))?;
                put(&mut self.description, text, "DESCRIPTION")
            }
            "SHARED_TABLES_TEMPLATE" => {
                put(&mut self.shared_tables_template, template(cursor)?, "SHARED_TABLES_TEMPLATE")
            }
            "USER_TABLES_TEMPLATE" => put(&mut self.user_tables_template, template(cursor)?, "USER_TABLES_TEMPLATE"),
            "CREDENTIALS" => {
                let text = self.nothing(cursor, |cursor| json::object(cursor, &json::CREDENTIALS))?;
                put(&mut self.credentials, text.map(Secret::new), "CREDENTIALS")
            }
            _ => {
                let text = self.nothing(cursor, |cursor| json::object(cursor, &json::CONFIG))?;
                put(&mut self.config, text, "CONFIG")
            }
        };
        read.map_err(|error| error.at(here))
    }

    /// A value, or NULL where there is one that could be taken away.
    fn nothing<T>(
        &self,
        cursor: &mut Cursor<'_>,
        read: impl FnOnce(&mut Cursor<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.altering && cursor.eat(&["NULL"]) { Ok(None) } else { read(cursor).map(Some) }
    }

    fn unknown(&self, word: &str, cursor: &Cursor<'_>) -> Error {
        let known = KNOWN.into_iter().filter(|word| !self.altering || refuse_a_move(word).is_ok());
        let known: Vec<&str> = known.collect();
        match nearest(word, known.iter().copied()) {
            Some(near) => cursor.unexpected("a storage clause").hint(format!("did you mean {near}?")),
            None => cursor.unexpected(&format!("a storage clause: {}", known.join(", "))),
        }
    }

    fn new_storage(mut self, id: StorageId, cursor: &Cursor<'_>) -> Result<NewStorage> {
        let Some(storage_type) = self.storage_type else {
            return Err(Error::syntax(format!("storage '{id}' has no TYPE"))
                .hint("add one of TYPE filesystem, TYPE s3, TYPE gcs, TYPE azure")
                .at(cursor.here()));
        };
        let base_directory = self.place(&id, storage_type, cursor)?;
        Ok(NewStorage {
            id,
            name: self.name,
            description: self.description.flatten(),
            storage_type,
            base_directory,
            shared_tables_template: self.shared_tables_template,
            user_tables_template: self.user_tables_template,
            credentials: self.credentials.flatten(),
            config_json: self.config.flatten(),
        })
    }

    /// Where the storage is. A bucket's region goes into the settings of its kind.
    fn place(&mut self, id: &StorageId, storage_type: StorageType, cursor: &Cursor<'_>) -> Result<String> {
        let scheme = match storage_type {
            StorageType::Filesystem => None,
            StorageType::S3 => Some("s3"),
            StorageType::Gcs => Some("gs"),
            StorageType::Azure => Some("az"),
        };
        match (self.directory.take(), self.bucket.take(), self.region.take()) {
            (Some((_, path)), Some((_, bucket)), _) => {
                Err(Error::syntax("the place of the storage is given twice: as a path and as a BUCKET")
                    .at(path.max(bucket)))
            }
            (_, None, Some((_, here))) => Err(Error::syntax("REGION needs a BUCKET")
                .hint("a storage with a PATH or URI has its region in CONFIG '{\"region\": \"…\"}'")
                .at(here)),
            (Some((directory, _)), None, None) => Ok(directory),
            (None, Some((bucket, here)), region) => {
                let Some(scheme) = scheme else {
                    return Err(Error::syntax("a filesystem has no BUCKET").hint("write PATH '/…'").at(here));
                };
                if let Some((region, here)) = region {
                    if storage_type != StorageType::S3 {
                        return Err(Error::syntax("REGION is for TYPE s3").hint("leave it out").at(here));
                    }
                    self.config =
                        Some(Some(with_region(self.config.take().flatten(), region).map_err(|e| e.at(here))?));
                }
                Ok(format!("{scheme}://{bucket}"))
            }
            (None, None, None) => {
                let error = Error::syntax(format!("storage '{id}' has no place")).at(cursor.here());
                Err(match scheme {
                    None => error.hint("add PATH '/…'"),
                    Some(scheme) => error.hint(format!("add BUCKET '…', or URI '{scheme}://bucket/prefix'")),
                })
            }
        }
    }

    fn change(self) -> StorageChange {
        StorageChange {
            name: self.name,
            description: self.description,
            shared_tables_template: self.shared_tables_template,
            user_tables_template: self.user_tables_template,
            credentials: self.credentials,
            config_json: self.config,
        }
    }
}

/// What says where a storage is, or what it is, is said once.
fn refuse_a_move(word: &str) -> Result<()> {
    match word {
        "PATH" | "BASE_DIRECTORY" | "URI" | "BUCKET" => Err(Error::unsupported(
            "the place of a storage does not change, since its segments stay where they were written",
        )
        .hint("make another storage there, then ALTER TABLE … SET STORAGE: what is written from then on goes to it")),
        "TYPE" => Err(Error::unsupported(
            "the type of a storage does not change, since its segments stay where they were written",
        )
        .hint("make another storage, then ALTER TABLE … SET STORAGE: what is written from then on goes to it")),
        "REGION" => Err(Error::unsupported("REGION is a clause of CREATE STORAGE")
            .hint("the region of a storage is in its CONFIG '{\"region\": \"…\"}'")),
        _ => Ok(()),
    }
}

fn template(cursor: &mut Cursor<'_>) -> Result<String> {
    cursor.text("a template in quotes, such as '{namespace}/{tableName}'")
}

/// The name of a bucket, which goes behind a scheme.
fn bucket(cursor: &mut Cursor<'_>) -> Result<String> {
    let here = cursor.here();
    let bucket = cursor.text("the name of a bucket in quotes")?;
    if bucket.is_empty() {
        return Err(invalid("BUCKET names no bucket").at(here));
    }
    if bucket.contains("://") {
        return Err(invalid("BUCKET takes the name of a bucket alone").hint("write URI for all of it").at(here));
    }
    Ok(bucket)
}

/// CONFIG with the region in it.
fn with_region(config: Option<String>, region: String) -> Result<String> {
    let mut config: serde_json::Map<String, serde_json::Value> = match config {
        Some(text) => serde_json::from_str(&text).map_err(|_| invalid("CONFIG must be a JSON object"))?,
        None => serde_json::Map::new(),
    };
    match config.insert("region".to_owned(), region.into()) {
        None => Ok(serde_json::Value::Object(config).to_string()),
        Some(_) => Err(Error::syntax("the region is given twice: as REGION and in CONFIG")),
    }
}
