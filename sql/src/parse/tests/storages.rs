//! Storages, users and ALTER TABLE: every accepted spelling, every refusal, and no secret in any of them.

use super::one;
use crate::error::{Error, code};
use crate::parse::{Kind, StorageVerb, UserVerb, parse};

const SYNTAX: &str = code::SYNTAX_ERROR;
const UNSUPPORTED: &str = code::FEATURE_NOT_SUPPORTED;
const INVALID: &str = code::INVALID_PARAMETER_VALUE;
const JSON: &str = code::INVALID_TEXT_REPRESENTATION;

fn shown<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// What may be taken away: `-` for not said, `NULL` for taken away.
fn change<T: ToString>(value: Option<Option<T>>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.map_or_else(|| "NULL".to_owned(), |value| value.to_string()))
}

fn storage(sql: &str) -> StorageVerb {
    match one(sql) {
        Kind::Storage(command) => command.verb,
        other => panic!("{sql}: {other:?}"),
    }
}

fn user(sql: &str) -> UserVerb {
    match one(sql) {
        Kind::User(command) => command.verb,
        other => panic!("{sql}: {other:?}"),
    }
}

fn refused(sql: &str) -> Error {
    parse(sql).err().unwrap_or_else(|| panic!("accepted: {sql}"))
}

fn check(sql: &str, sqlstate: &str, position: u32, words: &str) {
    let error = refused(sql);
    let text = [Some(error.message.as_str()), error.hint.as_deref(), error.detail.as_deref()];
    let text = text.into_iter().flatten().collect::<Vec<_>>().join(" ");
    assert_eq!((error.sqlstate, error.position.unwrap_or(0)), (sqlstate, position), "{sql}: {error:?}");
    assert!(text.contains(words), "{sql}: {text}");
}

/// Type, place, name, description, both templates, credentials and settings.
fn created(sql: &str) -> String {
    let StorageVerb::Create { new, .. } = storage(sql) else { panic!("{sql}") };
    [
        new.id.to_string(),
        new.storage_type.as_str().to_owned(),
        new.base_directory,
        shown(new.name),
        shown(new.description),
        shown(new.shared_tables_template),
        shown(new.user_tables_template),
        shown(new.credentials.as_ref().map(ebbtide_store::secrets::Secret::expose)),
        shown(new.config_json),
    ]
    .join(" | ")
}

#[test]
fn every_spelling_of_create_storage_is_read() {
    for (sql, expected) in [
        ("CREATE STORAGE a TYPE filesystem PATH '/a'", "a | filesystem | /a | - | - | - | - | - | -"),
        ("create storage A type 'FileSystem' base_directory '/a'", "a | filesystem | /a | - | - | - | - | - | -"),
        ("CREATE STORAGE 'my-a' URI '/a' TYPE = filesystem", "my-a | filesystem | /a | - | - | - | - | - | -"),
        ("CREATE STORAGE my-a-2024 TYPE s3 BUCKET 'b'", "my-a-2024 | s3 | s3://b | - | - | - | - | - | -"),
        ("CREATE STORAGE a2024 TYPE 's3' URI 's3://b/c/'", "a2024 | s3 | s3://b/c/ | - | - | - | - | - | -"),
        ("CREATE STORAGE a TYPE gcs BUCKET = 'b'", "a | gcs | gs://b | - | - | - | - | - | -"),
        ("CREATE STORAGE a TYPE azure BUCKET 'b'", "a | azure | az://b | - | - | - | - | - | -"),
        (
            "CREATE STORAGE a BUCKET 'b' REGION 'eu-central-1' TYPE s3",
            r#"a | s3 | s3://b | - | - | - | - | - | {"region":"eu-central-1"}"#,
        ),
        (
            r#"CREATE STORAGE a TYPE s3 BUCKET 'b' CONFIG '{"endpoint": "http://h:1"}' REGION 'r'"#,
            r#"a | s3 | s3://b | - | - | - | - | - | {"endpoint":"http://h:1","region":"r"}"#,
        ),
        (
            r#"CREATE STORAGE a TYPE s3 URI 's3://b' NAME 'It''s A' DESCRIPTION E'x\ty' CREDENTIALS $${"k": "v"}$$"#,
            "a | s3 | s3://b | It's A | x\ty | - | - | {\"k\": \"v\"} | -",
        ),
        (
            "CREATE STORAGE a CONFIG '{}' CREDENTIALS = ' {}' USER_TABLES_TEMPLATE '{namespace}/{userId}' \
             SHARED_TABLES_TEMPLATE = 's' DESCRIPTION 'd' NAME 'n' PATH 'p' TYPE filesystem",
            "a | filesystem | p | n | d | s | {namespace}/{userId} |  {} | {}",
        ),
        ("CREATE STORAGE name TYPE filesystem PATH '/a'", "name | filesystem | /a | - | - | - | - | - | -"),
    ] {
        assert_eq!(created(sql), expected, "{sql}");
    }
    for (sql, expected) in
        [("CREATE STORAGE a TYPE s3 BUCKET 'b'", false), ("CREATE STORAGE IF NOT EXISTS a TYPE s3 BUCKET 'b'", true)]
    {
        let StorageVerb::Create { if_not_exists, .. } = storage(sql) else { panic!("{sql}") };
        assert_eq!(if_not_exists, expected, "{sql}");
    }
}

#[test]
fn every_spelling_of_alter_storage_is_read() {
    let altered = |sql: &str| {
        let StorageVerb::Alter { id, change: found } = storage(sql) else { panic!("{sql}") };
        [
            id.to_string(),
            shown(found.name),
            change(found.description),
            shown(found.shared_tables_template),
            shown(found.user_tables_template),
            change(found.credentials.map(|secret| secret.map(|secret| secret.expose().to_owned()))),
            change(found.config_json),
        ]
        .join(" | ")
    };
    for (sql, expected) in [
        ("ALTER STORAGE a SET NAME 'n'", "a | n | - | - | - | - | -"),
        ("ALTER STORAGE a NAME = 'n'", "a | n | - | - | - | - | -"),
        ("alter storage my-a set description = null", "my-a | - | NULL | - | - | - | -"),
        ("ALTER STORAGE a SET NAME 'n', DESCRIPTION 'd'", "a | n | d | - | - | - | -"),
        ("ALTER STORAGE a SET NAME 'n', SET DESCRIPTION 'd'", "a | n | d | - | - | - | -"),
        ("ALTER STORAGE a SET NAME 'n' SET DESCRIPTION 'd'", "a | n | d | - | - | - | -"),
        ("ALTER STORAGE a SET NAME 'n' DESCRIPTION 'd'", "a | n | d | - | - | - | -"),
        (
            "ALTER STORAGE a SHARED_TABLES_TEMPLATE 's' USER_TABLES_TEMPLATE 'u' CREDENTIALS '{}' CONFIG '{\"a\":1}'",
            "a | - | - | s | u | {} | {\"a\":1}",
        ),
        ("ALTER STORAGE a SET CREDENTIALS NULL, SET CONFIG NULL", "a | - | - | - | - | NULL | NULL"),
    ] {
        assert_eq!(altered(sql), expected, "{sql}");
    }
}

#[test]
fn storages_are_named_to_be_dropped_and_checked() {
    for (sql, expected) in [
        ("DROP STORAGE a", "Drop { id: StorageId(\"a\"), if_exists: false }"),
        ("DROP STORAGE IF EXISTS 'my-a' RESTRICT", "Drop { id: StorageId(\"my-a\"), if_exists: true }"),
        ("DELETE FROM system.storages WHERE storage_id = 'a'", "Delete { id: Some(StorageId(\"a\")) }"),
        ("delete from System.Storages where Storage_Id = 'a';", "Delete { id: Some(StorageId(\"a\")) }"),
        // A text is compared as it is, and no id has capital letters or spaces.
        ("DELETE FROM system.storages WHERE storage_id = 'A'", "Delete { id: None }"),
        ("DELETE FROM system.storages WHERE storage_id = 'a b'", "Delete { id: None }"),
        ("CHECK STORAGE a", "Check { id: StorageId(\"a\") }"),
        ("STORAGE CHECK my-a", "Check { id: StorageId(\"my-a\") }"),
        ("STORAGE CHECK a EXTENDED", "Check { id: StorageId(\"a\") }"),
    ] {
        assert_eq!(format!("{:?}", storage(sql)), expected, "{sql}");
    }
}

#[test]
fn every_spelling_of_a_user_is_read() {
    let said = |sql: &str| match user(sql) {
        UserVerb::Create { new, if_not_exists } => {
            format!("create {} {} {} {if_not_exists}", new.id, new.storage_mode.as_str(), shown(new.storage))
        }
        UserVerb::Alter { id, change: found } => {
            format!("alter {id} {} {}", shown(found.storage_mode.map(|mode| mode.as_str())), change(found.storage))
        }
        UserVerb::Drop { id, if_exists } => format!("drop {id} {if_exists}"),
    };
    for (sql, expected) in [
        ("CREATE USER Ana", "create ana table - false"),
        ("CREATE USER \"Ana\"", "create Ana table - false"),
        ("CREATE USER 'Ana'", "create Ana table - false"),
        ("CREATE USER 'é😀 it''s/../x'", "create é😀 it's/../x table - false"),
        ("CREATE USER IF NOT EXISTS 'a' STORAGE_MODE region STORAGE_ID eu", "create a region eu true"),
        ("CREATE USER a STORAGE_ID 'my-eu' STORAGE_MODE 'REGION'", "create a region my-eu false"),
        ("CREATE USER a STORAGE_MODE = table STORAGE_ID = NULL", "create a table - false"),
        ("CREATE USER a WITH STORAGE_MODE region STORAGE my-eu", "create a region my-eu false"),
        ("CREATE USER \"table\"", "create table table - false"),
        ("ALTER USER a SET STORAGE_MODE region", "alter a region -"),
        ("ALTER USER a STORAGE_MODE 'table'", "alter a table -"),
        ("ALTER USER a SET STORAGE eu", "alter a - eu"),
        ("ALTER USER a SET STORAGE_ID = 'eu', SET STORAGE_MODE = region", "alter a region eu"),
        ("ALTER USER 'A' STORAGE_MODE region STORAGE_ID eu", "alter A region eu"),
        ("ALTER USER a SET STORAGE NULL", "alter a - NULL"),
        ("DROP USER a", "drop a false"),
        ("DROP USER IF EXISTS 'A b'", "drop A b true"),
    ] {
        assert_eq!(said(sql), expected, "{sql}");
    }
}

#[test]
fn every_spelling_of_alter_table_is_read() {
    let altered = |sql: &str| {
        let Kind::AlterTable(alter) = one(sql) else { panic!("{sql}") };
        let policy = alter.policy;
        let interval = policy.interval.map(|interval| interval.as_secs());
        [
            alter.if_exists.to_string(),
            shown(policy.storage),
            shown(policy.use_user_storage),
            shown(policy.sharding),
            shown(interval),
            shown(policy.rows),
            shown(policy.bytes),
        ]
        .join(" ")
    };
    for (sql, expected) in [
        ("ALTER TABLE a.b SET STORAGE eu", "false eu - - - - -"),
        ("ALTER TABLE IF EXISTS a.b SET STORAGE 'my-eu'", "true my-eu - - - - -"),
        ("ALTER USER TABLE a.b SET USE_USER_STORAGE", "false - true - - - -"),
        (
            "ALTER TABLE a.b SET USE_USER_STORAGE FALSE, SET SHARDING consistent_hash(4)",
            "false - false consistent_hash(4) - - -",
        ),
        ("ALTER TABLE a.b SET FLUSH INTERVAL 60s ROW_THRESHOLD 9, SHARDING none", "false - - none 60 9 -"),
        ("ALTER TABLE a.b SET FLUSH BYTES 64MB SET STORAGE eu", "false eu - - - - 67108864"),
        ("ALTER TABLE a.b SET (FLUSH_POLICY = 'rows:10', STORAGE_ID = 'eu')", "false eu - - - 10 -"),
    ] {
        assert_eq!(altered(sql), expected, "{sql}");
    }
}

#[test]
fn every_refusal_of_these_says_what_and_where() {
    for (sql, sqlstate, position, words) in [
        ("CREATE STORAGE", SYNTAX, 15, "expected a storage id"),
        ("CREATE STORAGE 'a b' TYPE s3", code::INVALID_NAME, 16, "' '"),
        ("CREATE STORAGE a PATH '/a'", SYNTAX, 27, "has no TYPE"),
        ("CREATE STORAGE a TYPE", SYNTAX, 22, "filesystem, s3, gcs or azure"),
        (
            "CREATE STORAGE a TYPE s4 BUCKET 'b'",
            INVALID,
            23,
            "Invalid storage type 's4'. Must be filesystem, s3, gcs or azure",
        ),
        ("CREATE STORAGE a TYPE s3 TYPE gcs", SYNTAX, 26, "TYPE is given twice"),
        ("CREATE STORAGE a NAME 'x' NAME 'x'", SYNTAX, 27, "NAME is given twice"),
        ("CREATE STORAGE a PATH '/a' URI '/a'", SYNTAX, 28, "place of the storage is given twice"),
        ("CREATE STORAGE a TYPE s3 PATH 's3://b' BUCKET 'b'", SYNTAX, 40, "as a path and as a BUCKET"),
        ("CREATE STORAGE a TYPE s3 BUCKET 'b' URI 's3://b'", SYNTAX, 37, "as a path and as a BUCKET"),
        ("CREATE STORAGE a TYPE s3 REGION 'r'", SYNTAX, 26, "REGION needs a BUCKET"),
        ("CREATE STORAGE a TYPE gcs BUCKET 'b' REGION 'r'", SYNTAX, 38, "REGION is for TYPE s3"),
        ("CREATE STORAGE a TYPE s3 URI 's3://b' REGION 'r'", SYNTAX, 39, "CONFIG '{\"region\""),
        (
            "CREATE STORAGE a TYPE s3 BUCKET 'b' REGION 'r' CONFIG '{\"region\": \"q\"}'",
            SYNTAX,
            37,
            "region is given twice",
        ),
        ("CREATE STORAGE a TYPE filesystem BUCKET 'b'", SYNTAX, 34, "write PATH"),
        ("CREATE STORAGE a TYPE s3 BUCKET ''", INVALID, 33, "names no bucket"),
        ("CREATE STORAGE a TYPE s3 BUCKET 's3://b'", INVALID, 33, "write URI"),
        ("CREATE STORAGE a TYPE filesystem", SYNTAX, 33, "add PATH"),
        ("CREATE STORAGE a TYPE gcs", SYNTAX, 26, "gs://bucket/prefix"),
        ("CREATE STORAGE a TYPE s3 BUKET 'b'", SYNTAX, 26, "did you mean BUCKET?"),
        ("CREATE STORAGE a TYPE s3 CREDENTIAL '{}'", SYNTAX, 26, "did you mean CREDENTIALS?"),
        ("CREATE STORAGE a TYPE s3 WOMBAT 'b'", SYNTAX, 26, "expected a storage clause: TYPE, NAME"),
        ("CREATE STORAGE a TYPE s3 BUCKET b", SYNTAX, 33, "in quotes"),
        ("CREATE STORAGE a DESCRIPTION NULL", SYNTAX, 30, "a description in quotes"),
        ("CREATE STORAGE a CREDENTIALS '{'", JSON, 30, "Invalid credentials JSON"),
        ("CREATE STORAGE a CREDENTIALS '[1]'", JSON, 30, "Credentials must be a JSON object"),
        ("CREATE STORAGE a CREDENTIALS '\"text\"'", JSON, 30, "Credentials must be a JSON object"),
        ("CREATE STORAGE a CONFIG '{a: 1}'", JSON, 25, "Invalid CONFIG JSON"),
        ("CREATE STORAGE a CONFIG '{\"a\": 1} x'", JSON, 25, "line 1, column 10 of it"),
        ("CREATE STORAGE a CONFIG 'null'", JSON, 25, "CONFIG must be a JSON object"),
        ("ALTER STORAGE a", SYNTAX, 16, "a storage clause: NAME, DESCRIPTION, SHARED_TABLES_TEMPLATE"),
        ("ALTER STORAGE a SET", SYNTAX, 20, "a storage clause: NAME"),
        ("ALTER STORAGE a SET NAME 'n',", SYNTAX, 30, "a storage clause: NAME"),
        ("ALTER STORAGE a SET PATH '/b'", UNSUPPORTED, 21, "since its segments stay where they were written"),
        ("ALTER STORAGE a URI 's3://b'", UNSUPPORTED, 17, "make another storage there"),
        ("ALTER STORAGE a BASE_DIRECTORY 'b'", UNSUPPORTED, 17, "the place of a storage does not change"),
        ("ALTER STORAGE a BUCKET 'b'", UNSUPPORTED, 17, "the place of a storage does not change"),
        ("ALTER STORAGE a NAME 'n', TYPE s3", UNSUPPORTED, 27, "the type of a storage does not change"),
        ("ALTER STORAGE a REGION 'r'", UNSUPPORTED, 17, "in its CONFIG"),
        ("ALTER STORAGE a SET NAME NULL", SYNTAX, 26, "a name in quotes"),
        ("ALTER STORAGE a SET NMAE 'n'", SYNTAX, 21, "did you mean NAME?"),
        ("ALTER STORAGE a SET CONFIG '{}', CONFIG NULL", SYNTAX, 34, "CONFIG is given twice"),
        ("DROP STORAGE a CASCADE", UNSUPPORTED, 16, "point its tables and users to another storage"),
        ("DROP STORAGE a, b", SYNTAX, 15, "the end of the statement"),
        ("CHECK a", SYNTAX, 7, "expected STORAGE"),
        ("CHECK STORAGE", SYNTAX, 14, "a storage id"),
        ("STORAGE a", SYNTAX, 9, "FLUSH or CHECK"),
        ("DELETE FROM system.storages", UNSUPPORTED, 1, "or DROP STORAGE id"),
        ("DELETE FROM system.storages WHERE storage_id <> 'a'", UNSUPPORTED, 1, "or DROP STORAGE id"),
        ("DELETE FROM system.storages WHERE storage_id = 'a' OR true", UNSUPPORTED, 1, "or DROP STORAGE id"),
        ("DELETE FROM system.storages WHERE storage_id = $1", UNSUPPORTED, 1, "or DROP STORAGE id"),
        ("DELETE FROM system.users WHERE user_id = 'a'", UNSUPPORTED, 1, "append-only"),
        ("DELETE FROM system.jobs", UNSUPPORTED, 1, "DELETE is not supported"),
        ("CREATE USER", SYNTAX, 12, "the name of a user"),
        ("CREATE USER ''", INVALID, 13, "cannot be empty"),
        ("CREATE USER a STORAGE_MODE moon", INVALID, 28, "moon"),
        ("CREATE USER a STORAGE_MODE table STORAGE_MODE table", SYNTAX, 34, "STORAGE_MODE is given twice"),
        ("CREATE USER a STORAGE_ID b STORAGE c", SYNTAX, 28, "STORAGE_ID is given twice"),
        ("CREATE USER a STORAGE_ID 'b c'", code::INVALID_NAME, 26, "' '"),
        ("CREATE USER a STORAGE_MOD table", SYNTAX, 15, "did you mean STORAGE_MODE?"),
        ("CREATE USER a b", SYNTAX, 15, "expected STORAGE_MODE or STORAGE_ID"),
        ("CREATE USER a WITH PASSWORD 'p'", UNSUPPORTED, 20, "CREATE USER … PASSWORD is not supported"),
        ("ALTER USER a", SYNTAX, 13, "STORAGE_MODE or STORAGE_ID"),
        ("ALTER USER a SET PASSWORD 'p'", UNSUPPORTED, 18, "ALTER USER … PASSWORD is not supported"),
        ("ALTER USER a RENAME TO b", UNSUPPORTED, 14, "RENAME"),
        ("DROP USER a CASCADE", UNSUPPORTED, 13, "rows of a user"),
        ("ALTER TABLE a.b", SYNTAX, 16, "STORAGE, USE_USER_STORAGE, SHARDING and FLUSH can be SET"),
        ("ALTER TABLE a.b SET", SYNTAX, 20, "a table clause"),
        ("ALTER TABLE a.b SET STORAGE eu,", SYNTAX, 32, "a table clause"),
        ("ALTER TABLE a.b SET STORAGE eu, SET STORAGE us", SYNTAX, 37, "STORAGE is given twice"),
        ("ALTER TABLE a.b SET STROAGE eu", SYNTAX, 21, "did you mean STORAGE?"),
        ("ALTER TABLE a.b SET FLUSH", SYNTAX, 26, "no trigger"),
        ("ALTER TABLE a.b SET FLUSH ROWS 0", INVALID, 27, "greater than 0"),
        ("ALTER TABLE a.b SET TABLE_TYPE user", UNSUPPORTED, 21, "the type of a table does not change"),
        ("ALTER TABLE a.b SET (TYPE = 'user')", UNSUPPORTED, 21, "the type of a table does not change"),
        ("ALTER TABLE a.b SET SCHEMA c", UNSUPPORTED, 21, "SET SCHEMA is not supported"),
        ("ALTER TABLE a.b RENAME TO c", UNSUPPORTED, 17, "RENAME is not supported"),
        ("ALTER NAMESPACE a RENAME TO b", UNSUPPORTED, 7, "ALTER NAMESPACE is not supported"),
        ("ALTER", SYNTAX, 6, "TABLE, STORAGE or USER"),
    ] {
        check(sql, sqlstate, position, words);
    }
}

/// However a statement with credentials is broken, what is said of it and how it prints hold none of them.
#[test]
fn credentials_are_in_no_error_and_no_print() {
    const SECRET: &str = "hunter2hunter2";
    let json = format!(r#"{{"secret_access_key": "{SECRET}"}}"#);
    let create = "CREATE STORAGE a TYPE s3 BUCKET 'b'";
    for sql in [
        format!("{create} CREDENTIALS '{json}'"),
        format!("{create} CREDENTIALS $${json}$$"),
        format!("ALTER STORAGE a SET CREDENTIALS = E'{json}'"),
        format!("SELECT 1; {create} CREDENTIALS '{json}'; SELECT 2"),
    ] {
        let statements = parse(&sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let print = format!("{statements:?}");
        assert!(!print.contains(SECRET), "{sql}: {print}");
    }
    for (sql, position) in [
        // Twice, and other things behind it that cannot be there.
        (format!("{create} CREDENTIALS '{json}' '{json}'"), 0),
        (format!("{create} CREDENTIALS '{json}' CREDENTIALS '{json}'"), 0),
        (format!("{create} CREDENTIALS '{json}' {SECRET}"), 0),
        (format!("{create} CREDENTIALS '{json}', '{json}'"), 0),
        (format!("DROP STORAGE a CREDENTIALS '{json}'"), 16),
        (format!("CREATE TABLE a.b (c INT) CREDENTIALS '{json}'"), 26),
        (format!("SET CREDENTIALS '{json}'"), 17),
        (format!("SELECT CREDENTIALS '{json}' '{json}' FROM"), 0),
        (format!("EXPLAIN {create} CREDENTIALS '{json}'"), 0),
        (format!("CREATE STORAGE CREDENTIALS '{json}'"), 28),
        // In quotes that are none, or in none.
        (format!("{create} CREDENTIALS \"{SECRET}\""), 49),
        (format!("{create} CREDENTIALS {SECRET}"), 49),
        (format!("{create} CREDENTIALS {json}"), 49),
        (format!("{create} CREDENTIALS N'{json}'"), 49),
        (format!("{create} CREDENTIALS U&'{json}'"), 49),
        (format!("{create} CREDENTIALS ({SECRET})"), 49),
        (format!("{create} CREDENTIALS = = {SECRET}"), 51),
        // Quotes that end too late or too early.
        (format!("{create} CREDENTIALS '{json}"), 49),
        (format!("{create} CREDENTIALS $${json}"), 0),
        (format!("{create} CREDENTIALS \"{json}"), 0),
        (format!("{create} CREDENTIALS E'{json}"), 0),
        (format!("{create} CREDENTIALS '{{'{SECRET}"), 49),
        (format!("{create} CREDENTIALS '{{}}'{SECRET}'{{}}'"), 53),
        (format!("{create} CREDENTIALS '{{}}';{SECRET}"), 0),
        // JSON that is none, or no object.
        (format!("{create} CREDENTIALS '{SECRET}'"), 49),
        (format!("{create} CREDENTIALS '\"{SECRET}\"'"), 49),
        (format!("{create} CREDENTIALS '[\"{SECRET}\"]'"), 49),
        (format!("{create} CREDENTIALS '{{\"k\": {SECRET}}}'"), 49),
        (format!("{create} CREDENTIALS '{{{SECRET}: 1}}'"), 49),
        (format!("{create} CREDENTIALS '{json} {SECRET}'"), 49),
        // A word that is only like it.
        (format!("{create} CREDENTAILS '{json}'"), 37),
        (format!("{create} CREDENTIAL = '{json}'"), 37),
        (format!("ALTER STORAGE a SET CREDENTIALS '{json}', PATH '{json}'"), 0),
        (format!("CREATE USER a PASSWORD '{SECRET}'"), 15),
        (format!("ALTER USER a WITH PASSWORD = {SECRET}"), 19),
    ] {
        let error = refused(&sql);
        assert!(!format!("{error:?} {error}").contains(SECRET), "{sql}: {error:?}");
        assert!(error.position.is_some(), "{sql}: {error:?}");
        assert!(position == 0 || error.position == Some(position), "{sql}: {error:?}");
    }
    // In front of them errors are as clear as everywhere.
    let error = refused(&format!("{create} NMAE 'x' CREDENTIALS '{json}'"));
    assert_eq!(error.message, "syntax error at or near \"NMAE\"");
    let error = refused(&format!("{create} CREDENTIALS '{json}' NMAE 'x'"));
    assert_eq!(error.message, "syntax error behind CREDENTIALS");
    assert_eq!(error.hint.as_deref(), Some("did you mean NAME?"));
}
