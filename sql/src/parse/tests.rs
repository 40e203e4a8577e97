//! Every accepted spelling, and every refusal.

mod storages;

use super::{JobCommand, JobVerb, Kind, Show, parse};
use crate::error::code;
use crate::parse::clause::Policy;
use crate::parse::setting::SetValue;
use ebbtide_store::ColumnType;

fn one(sql: &str) -> Kind {
    let mut statements = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    assert_eq!(statements.len(), 1, "{sql}");
    statements.remove(0).kind
}

fn policy(clauses: &str) -> Policy {
    match one(&format!("CREATE TABLE chat.m (id BIGINT) {clauses}")) {
        Kind::CreateTable(create) => create.policy,
        other => panic!("{clauses}: {other:?}"),
    }
}

/// A policy in short: kind, storage, own storage, sharding, seconds, rows, bytes; `-` for what was not said.
fn short(clauses: &str) -> String {
    let policy = policy(clauses);
    fn shown<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(|| "-".to_owned(), |value| value.to_string())
    }
    [
        shown(policy.kind.map(|kind| format!("{kind:?}").to_lowercase())),
        shown(policy.storage),
        shown(policy.use_user_storage),
        shown(policy.sharding),
        shown(policy.interval.map(|interval| interval.as_secs())),
        shown(policy.rows),
        shown(policy.bytes),
    ]
    .join(" ")
}

#[test]
fn every_spelling_of_the_clauses_is_read() {
    for (clauses, expected) in [
        ("", "- - - - - - -"),
        ("FLUSH INTERVAL 60s", "- - - - 60 - -"),
        ("FLUSH INTERVAL '60s'", "- - - - 60 - -"),
        ("FLUSH INTERVAL 60", "- - - - 60 - -"),
        ("FLUSH INTERVAL '5 minutes'", "- - - - 300 - -"),
        ("FLUSH INTERVAL 2 h", "- - - - 7200 - -"),
        ("FLUSH INTERVAL 60s ROW_THRESHOLD 1000", "- - - - 60 1000 -"),
        ("FLUSH ROW_THRESHOLD 1000 INTERVAL 60s", "- - - - 60 1000 -"),
        ("FLUSH INTERVAL 60s BYTES 1024", "- - - - 60 - 1024"),
        ("FLUSH INTERVAL 60s BYTES '64MB'", "- - - - 60 - 67108864"),
        ("FLUSH BYTES 64MB", "- - - - - - 67108864"),
        ("FLUSH INTERVAL 60s ROW_THRESHOLD 1000 BYTES '1 GiB'", "- - - - 60 1000 1073741824"),
        ("FLUSH ROW_THRESHOLD 1000", "- - - - - 1000 -"),
        ("FLUSH ROWS 100", "- - - - - 100 -"),
        ("FLUSH SECONDS 5", "- - - - 5 - -"),
        ("flush rows 999999", "- - - - - 999999 -"),
        ("FLUSH INTERVAL 86399s", "- - - - 86399 - -"),
        ("STORAGE local", "- local - - - - -"),
        ("STORAGE 'table_storage'", "- table_storage - - - - -"),
        ("STORAGE my-bucket", "- my-bucket - - - - -"),
        ("STORAGE local FLUSH ROWS 100", "- local - - - 100 -"),
        ("USE_USER_STORAGE", "- - true - - - -"),
        ("USE_USER_STORAGE TRUE FLUSH ROWS 1", "- - true - - 1 -"),
        ("USE_USER_STORAGE FALSE", "- - false - - - -"),
        ("SHARDING alphabetic", "- - - alphabetic - - -"),
        ("SHARDING 'numeric'", "- - - numeric - - -"),
        ("SHARDING consistent_hash(16)", "- - - consistent_hash(16) - - -"),
        ("TABLE_TYPE user", "user - - - - - -"),
        ("TABLE_TYPE 'SHARED'", "shared - - - - - -"),
        ("SHARDING none USE_USER_STORAGE FLUSH ROWS 5 STORAGE a TABLE_TYPE user", "user a true none - 5 -"),
        ("WITH (TYPE='USER', FLUSH_POLICY='rows:10,interval:5')", "user - - - 5 10 -"),
        ("WITH (TYPE = 'shared', STORAGE_ID = 'x', FLUSH_POLICY = 'rows:10')", "shared x - - - 10 -"),
        ("WITH (FLUSH_POLICY='interval:60s, bytes:1MB')", "- - - - 60 - 1048576"),
        ("WITH (STORAGE='x', USE_USER_STORAGE=true, SHARDING='numeric')", "- x true numeric - - -"),
        ("WITH (FLUSH_INTERVAL='60s', FLUSH_ROWS=7, FLUSH_BYTES='1kB')", "- - - - 60 7 1024"),
        ("WITH (TYPE='USER') FLUSH ROWS 3", "user - - - - 3 -"),
    ] {
        assert_eq!(short(clauses), expected, "{clauses}");
    }
}

#[test]
fn kinds_of_tables_are_told_apart() {
    for (sql, expected) in [
        ("CREATE TABLE a.b (c INT) FLUSH ROWS 1", "None"),
        ("CREATE USER TABLE a.b (c INT) FLUSH ROWS 1", "Some(User)"),
        ("create shared table if not exists a.b (c INT) flush rows 1", "Some(Shared)"),
    ] {
        let Kind::CreateTable(create) = one(sql) else { panic!("{sql}") };
        assert_eq!(format!("{:?}", create.policy.kind), expected, "{sql}");
        assert_eq!(create.if_not_exists, sql.contains("if not"), "{sql}");
    }
}

#[test]
fn every_type_is_read() {
    let decimal = |precision, scale| ColumnType::Decimal { precision, scale };
    for (written, expected) in [
        ("BOOLEAN", ColumnType::Boolean),
        ("bool", ColumnType::Boolean),
        ("SMALLINT", ColumnType::SmallInt),
        ("int2", ColumnType::SmallInt),
        ("INT", ColumnType::Int),
        ("INTEGER", ColumnType::Int),
        ("BIGINT", ColumnType::BigInt),
        ("int8", ColumnType::BigInt),
        ("REAL", ColumnType::Real),
        ("FLOAT(24)", ColumnType::Real),
        ("DOUBLE", ColumnType::Double),
        ("DOUBLE PRECISION", ColumnType::Double),
        ("FLOAT", ColumnType::Double),
        ("DECIMAL(10, 2)", decimal(10, 2)),
        ("NUMERIC(38)", decimal(38, 0)),
        ("TEXT", ColumnType::Text),
        ("VARCHAR", ColumnType::Text),
        ("CHARACTER VARYING", ColumnType::Text),
        ("BYTEA", ColumnType::Bytea),
        ("BYTES", ColumnType::Bytea),
        ("DATE", ColumnType::Date),
        ("TIME", ColumnType::Time),
        ("TIME WITHOUT TIME ZONE", ColumnType::Time),
        ("TIMESTAMP", ColumnType::Timestamp),
        ("TIMESTAMP(6)", ColumnType::Timestamp),
        ("TIMESTAMP WITH TIME ZONE", ColumnType::TimestampTz),
        ("TIMESTAMPTZ", ColumnType::TimestampTz),
        ("JSON", ColumnType::Json),
    ] {
        let Kind::CreateTable(create) = one(&format!("CREATE TABLE a.b (c {written} NOT NULL, d TEXT NULL)")) else {
            panic!("{written}")
        };
        assert_eq!(create.columns[0].column_type, expected, "{written}");
        assert!(!create.columns[0].nullable && create.columns[1].nullable, "{written}");
    }
}

#[test]
fn commands_are_read() {
    let shown = |sql: &str| format!("{:?}", one(sql));
    for (sql, expected) in [
        ("CREATE NAMESPACE chat", "CreateNamespace { name: \"chat\", if_not_exists: false }"),
        ("CREATE NAMESPACE IF NOT EXISTS Chat;", "CreateNamespace { name: \"chat\", if_not_exists: true }"),
        ("CREATE SCHEMA chat", "CreateNamespace { name: \"chat\", if_not_exists: false }"),
        ("DROP NAMESPACE IF EXISTS chat", "DropNamespace { name: \"chat\", if_exists: true }"),
        ("FLUSH ALL", "FlushAll { namespace: None }"),
        ("STORAGE FLUSH ALL TABLES IN chat", "FlushAll { namespace: Some(\"chat\") }"),
        ("FLUSH ALL TABLES IN NAMESPACE chat", "FlushAll { namespace: Some(\"chat\") }"),
        ("STORAGE FLUSH ALL IN chat", "FlushAll { namespace: Some(\"chat\") }"),
        ("RELOAD WORKFLOWS", "ReloadWorkflows"),
        ("SHOW WORKFLOWS", "Show(Workflows)"),
        ("SHOW NAMESPACES", "Show(Namespaces)"),
        ("SHOW TABLES", "Show(Tables { namespace: None })"),
        ("SHOW TABLES IN chat", "Show(Tables { namespace: Some(\"chat\") })"),
        ("SHOW STORAGES", "Show(Storages)"),
        ("SHOW USERS", "Show(Users)"),
        ("SHOW JOBS", "Show(Jobs)"),
        ("SHOW search_path", "Show(Setting(\"search_path\"))"),
        ("SHOW TRANSACTION ISOLATION LEVEL", "Show(Setting(\"transaction_isolation\"))"),
        ("SHOW ALL", "Show(Settings)"),
        ("BEGIN", "Begin { read_only: false }"),
        ("BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY", "Begin { read_only: true }"),
        ("START TRANSACTION", "Begin { read_only: false }"),
        ("COMMIT WORK", "Commit"),
        ("END", "Commit"),
        ("ROLLBACK TRANSACTION", "Rollback"),
        ("ABORT", "Rollback"),
        ("SET TRANSACTION READ ONLY", "SetTransaction { read_only: Some(true) }"),
        ("RESET ALL", "Reset { name: None }"),
        ("DISCARD ALL", "Discard"),
        ("DEALLOCATE ALL", "Deallocate { name: None }"),
        ("DEALLOCATE _pg3_0", "Deallocate { name: Some(\"_pg3_0\") }"),
    ] {
        assert_eq!(shown(sql), expected, "{sql}");
    }
    for sql in ["FLUSH TABLE chat.m", "STORAGE FLUSH TABLE chat.m"] {
        let Kind::FlushTable(table) = one(sql) else { panic!("{sql}") };
        assert_eq!((table.namespace.as_deref(), table.table.as_str()), (Some("chat"), "m"), "{sql}");
    }
    for (sql, verb, id, position) in [
        ("KILL JOB 'abc'", JobVerb::Kill, "abc", 10),
        ("retry job 'abc'", JobVerb::Retry, "abc", 11),
        ("PAUSE JOB \"abc\"", JobVerb::Pause, "abc", 11),
        (
            "RESUME JOB 018f5e2a-7b3c-7d41-9a52-3f1c8e6b7a90",
            JobVerb::Resume,
            "018f5e2a-7b3c-7d41-9a52-3f1c8e6b7a90",
            12,
        ),
        (
            "EXPLAIN JOB 7e105e2a-7e10-7d41-0000-e01c8e6b7a90",
            JobVerb::Explain,
            "7e105e2a-7e10-7d41-0000-e01c8e6b7a90",
            13,
        ),
    ] {
        let Kind::Job(command) = one(sql) else { panic!("{sql}") };
        assert_eq!(command, JobCommand { verb, id: id.to_owned(), position: Some(position) }, "{sql}");
    }
    for (sql, name) in [
        ("RUN WORKFLOW nightly", "nightly"),
        ("RUN WORKFLOW nightly-cleanup_2", "nightly-cleanup_2"),
        ("run workflow 'nightly cleanup'", "nightly cleanup"),
        ("RUN WORKFLOW \"Nightly\"", "Nightly"),
    ] {
        let Kind::RunWorkflow(found) = one(sql) else { panic!("{sql}") };
        assert_eq!((found.name.as_str(), found.position), (name, Some(14)), "{sql}");
    }
    for (sql, if_exists) in [("DROP TABLE a.b", false), ("DROP USER TABLE IF EXISTS a.b RESTRICT", true)] {
        assert!(matches!(one(sql), Kind::DropTable { if_exists: found, .. } if found == if_exists), "{sql}");
    }
    assert!(matches!(one("DESCRIBE TABLE a.b"), Kind::Describe(_)));
    assert!(matches!(one("desc a.b"), Kind::Describe(_)));
    assert_eq!(Show::Jobs, Show::Jobs);
}

#[test]
fn settings_are_read() {
    for (sql, expected_name, expected) in [
        ("SET search_path TO chat, 'other'", "search_path", vec!["chat", "other"]),
        ("SET SESSION application_name = 'psql'", "application_name", vec!["psql"]),
        ("SET extra_float_digits = 3", "extra_float_digits", vec!["3"]),
        ("SET extra_float_digits TO -1", "extra_float_digits", vec!["-1"]),
        ("SET TIME ZONE 'UTC'", "timezone", vec!["UTC"]),
        ("SET NAMES 'utf8'", "client_encoding", vec!["utf8"]),
        ("SET datestyle TO ISO", "datestyle", vec!["iso"]),
    ] {
        let Kind::Set { name, value: SetValue::Values(values), local: false } = one(sql) else { panic!("{sql}") };
        assert_eq!(
            (name.as_str(), values),
            (expected_name, expected.iter().map(ToString::to_string).collect()),
            "{sql}"
        );
    }
    assert!(matches!(one("SET LOCAL statement_timeout = 5"), Kind::Set { local: true, .. }));
    assert!(matches!(one("SET search_path TO DEFAULT"), Kind::Set { value: SetValue::Default, .. }));
}

#[test]
fn copy_is_read_in_its_new_spelling_and_its_old_one() {
    let copy = |sql: &str| match one(sql) {
        Kind::Copy(copy) => copy,
        other => panic!("{sql}: {other:?}"),
    };
    let plain = copy("COPY chat.m FROM STDIN");
    assert!(!plain.format.csv && plain.format.delimiter == b'\t' && plain.format.null == "\\N");
    let named =
        copy("COPY chat.m (id, Body) FROM STDIN WITH (FORMAT csv, HEADER, DELIMITER ';', NULL 'x', QUOTE '''')");
    assert_eq!(named.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["id", "body"]);
    assert!(named.format.csv && named.format.header);
    assert_eq!((named.format.delimiter, named.format.null.as_str(), named.format.quote), (b';', "x", b'\''));
    let old = copy("COPY chat.m FROM STDIN WITH CSV HEADER DELIMITER AS '|' NULL AS ''");
    assert!(old.format.csv && old.format.header && old.format.delimiter == b'|');
    let tab = copy("COPY chat.m FROM STDIN (DELIMITER E'\\t', FORMAT text, ENCODING 'UTF8')");
    assert_eq!(tab.format.delimiter, b'\t');
}

#[test]
fn several_statements_and_none_are_read() {
    assert!(parse(" ;; -- nothing\n /* here */ ").unwrap().is_empty());
    let verbs: Vec<_> = parse("BEGIN; INSERT INTO a.b VALUES (';'); COMMIT;").unwrap();
    assert_eq!(verbs.iter().map(super::Statement::verb).collect::<Vec<_>>(), ["BEGIN", "INSERT", "COMMIT"]);
    for sql in ["SELECT 1", "WITH x AS (SELECT 1) SELECT * FROM x", "VALUES (1)", "(SELECT 1)", "EXPLAIN SELECT 1"] {
        assert!(matches!(one(sql), Kind::Query(_)), "{sql}");
    }
}

/// Each refusal with its SQLSTATE, its place (0: none), and words of its message or hint.
#[test]
fn every_refusal_says_what_and_where() {
    const UNSUPPORTED: &str = code::FEATURE_NOT_SUPPORTED;
    const SYNTAX: &str = code::SYNTAX_ERROR;
    const INVALID: &str = code::INVALID_PARAMETER_VALUE;
    for (sql, sqlstate, position, words) in [
        ("UPDATE a.b SET c = 1", UNSUPPORTED, 1, "UPDATE"),
        ("DELETE FROM a.b", UNSUPPORTED, 1, "append-only"),
        ("MERGE INTO a.b USING c ON true", UNSUPPORTED, 1, "MERGE"),
        ("ALTER TABLE a.b ADD c INT", UNSUPPORTED, 17, "ALTER TABLE … ADD"),
        ("TRUNCATE a.b", UNSUPPORTED, 1, "TRUNCATE"),
        ("SAVEPOINT x", UNSUPPORTED, 1, "savepoints"),
        ("ROLLBACK TO x", UNSUPPORTED, 10, "savepoints"),
        ("COMMIT AND CHAIN", UNSUPPORTED, 8, "CHAIN"),
        ("PREPARE x AS SELECT 1", UNSUPPORTED, 1, "PREPARE"),
        ("DECLARE c CURSOR FOR SELECT 1", UNSUPPORTED, 1, "cursors"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", UNSUPPORTED, 7, "READ COMMITTED"),
        ("CREATE INDEX i ON a.b (c)", UNSUPPORTED, 8, "INDEX"),
        ("CREATE UNIQUE INDEX i ON a.b (c)", UNSUPPORTED, 8, "INDEX"),
        ("CREATE VIEW v AS SELECT 1", UNSUPPORTED, 8, "VIEW"),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", UNSUPPORTED, 8, "OR"),
        ("CREATE ROLE r", UNSUPPORTED, 8, "ROLE"),
        ("CREATE TEMP TABLE t (c INT)", UNSUPPORTED, 8, "TEMP"),
        ("CREATE STREAM TABLE a.b (c INT)", UNSUPPORTED, 8, "STREAM"),
        ("CREATE TABLE a.b AS SELECT 1", UNSUPPORTED, 18, "CREATE TABLE AS"),
        ("CREATE TABLE a.b (c INT) AS SELECT 1", UNSUPPORTED, 26, "CREATE TABLE AS"),
        ("CREATE TABLE a.b.c (d INT)", UNSUPPORTED, 14, "two parts"),
        ("CREATE TABLE a.b (c INT PRIMARY KEY)", UNSUPPORTED, 25, "PRIMARY KEY"),
        ("CREATE TABLE a.b (c INT, PRIMARY KEY (c))", UNSUPPORTED, 26, "PRIMARY KEY"),
        ("CREATE TABLE a.b (c INT DEFAULT 1)", UNSUPPORTED, 25, "DEFAULT"),
        ("CREATE TABLE a.b (c INT UNIQUE)", UNSUPPORTED, 25, "UNIQUE"),
        ("CREATE TABLE a.b (c INT REFERENCES d (e))", UNSUPPORTED, 25, "foreign keys"),
        ("CREATE TABLE a.b (c INT CHECK (c > 0))", UNSUPPORTED, 25, "CHECK"),
        ("CREATE TABLE a.b (c INT CONSTRAINT d CHECK (c > 0))", UNSUPPORTED, 25, "named constraints"),
        ("CREATE TABLE a.b (c INT GENERATED ALWAYS AS IDENTITY)", UNSUPPORTED, 25, "generated"),
        ("CREATE TABLE a.b (c INT[])", UNSUPPORTED, 21, "array"),
        ("CREATE TABLE a.b (c SERIAL)", UNSUPPORTED, 21, "_seq"),
        ("CREATE TABLE a.b (c UUID)", UNSUPPORTED, 21, "use TEXT"),
        ("CREATE TABLE a.b (c JSONB)", UNSUPPORTED, 21, "use JSON"),
        ("CREATE TABLE a.b (c VARCHAR(10))", UNSUPPORTED, 28, "use TEXT"),
        ("CREATE TABLE a.b (c CHAR(10))", UNSUPPORTED, 21, "use TEXT"),
        ("CREATE TABLE a.b (c DECIMAL)", UNSUPPORTED, 21, "DECIMAL(18, 2)"),
        ("CREATE TABLE a.b (c TIMESTAMP(3))", UNSUPPORTED, 30, "microsecond"),
        ("CREATE TABLE a.b (c TIME WITH TIME ZONE)", UNSUPPORTED, 21, "TIME ZONE"),
        ("CREATE TABLE a.b (c DECIMAL(39, 2))", INVALID, 21, "out of range"),
        ("CREATE TABLE a.b (c DECIMAL(2, 3))", INVALID, 21, "out of range"),
        ("CREATE TABLE a.b (c BIGNIT)", code::UNDEFINED_OBJECT, 21, "did you mean BIGINT?"),
        ("CREATE TABLE a.b (c geometry)", code::UNDEFINED_OBJECT, 21, "known are"),
        ("CREATE TABLE a.b ()", code::INVALID_TABLE_DEFINITION, 19, "at least one column"),
        ("CREATE TABLE a.b (c INT, C TEXT)", code::DUPLICATE_COLUMN, 26, "more than once"),
        ("CREATE TABLE a.b (\"C\" INT)", code::INVALID_NAME, 19, "capital"),
        ("CREATE TABLE a.b (c INT NULL NOT NULL)", SYNTAX, 30, "both"),
        ("CREATE TABLE a.b (c)", SYNTAX, 20, "a type"),
        ("CREATE TABLE a.b", SYNTAX, 17, "end of input"),
        ("CREATE TABLE a.b (c INT) FLUSH", SYNTAX, 31, "ROW_THRESHOLD"),
        ("CREATE TABLE a.b (c INT) FLUSH STORAGE x", SYNTAX, 32, "no trigger"),
        ("CREATE TABLE a.b (c INT) FLUSH ROWS 0", INVALID, 32, "greater than 0"),
        ("CREATE TABLE a.b (c INT) FLUSH ROWS 1000000", INVALID, 32, "less than 1,000,000"),
        ("CREATE TABLE a.b (c INT) FLUSH INTERVAL 0s", INVALID, 32, "greater than 0"),
        ("CREATE TABLE a.b (c INT) FLUSH INTERVAL 86400s", INVALID, 32, "86400 seconds"),
        ("CREATE TABLE a.b (c INT) FLUSH INTERVAL 'soon'", INVALID, 32, "not a time"),
        ("CREATE TABLE a.b (c INT) FLUSH BYTES '5XB'", INVALID, 32, "'64MB'"),
        ("CREATE TABLE a.b (c INT) FLUSH ROWS 1 FLUSH ROWS 2", SYNTAX, 45, "twice"),
        ("CREATE USER TABLE a.b (c INT) TABLE_TYPE user", SYNTAX, 31, "twice"),
        ("CREATE TABLE a.b (c INT) FLSH ROWS 1", SYNTAX, 26, "did you mean FLUSH?"),
        ("CREATE TABLE a.b (c INT) DELETED_RETENTION 5", UNSUPPORTED, 26, "DELETED_RETENTION"),
        ("CREATE TABLE a.b (c INT) WITH (FLUSH_POLICY='')", INVALID, 32, "must specify"),
        ("CREATE TABLE a.b (c INT) WITH (FLUSH_POLICY='row:5')", INVALID, 32, "Unknown FLUSH_POLICY key"),
        ("CREATE TABLE a.b (c INT) WITH (STORAGE_IDD='x')", INVALID, 32, "did you mean STORAGE_ID?"),
        ("CREATE TABLE a.b (c INT) WITH (TTL_SECONDS=5)", UNSUPPORTED, 32, "TTL_SECONDS"),
        ("CREATE TABLE a.b (c INT) WITH (TYPE='STREAM')", UNSUPPORTED, 32, "STREAM"),
        ("DROP TABLE a.b CASCADE", UNSUPPORTED, 16, "CASCADE"),
        ("DROP VIEW v", UNSUPPORTED, 6, "VIEW"),
        ("DROP TABLE a.b, c.d", SYNTAX, 15, "end of the statement"),
        ("FLUSH", SYNTAX, 6, "TABLE ns.t"),
        ("STORAGE COMPACT TABLE a.b", UNSUPPORTED, 9, "COMPACT"),
        ("KILL JOB", SYNTAX, 9, "requires a job_id"),
        ("KILL 5", SYNTAX, 6, "KILL JOB"),
        ("RETRY JOB", SYNTAX, 10, "requires a job_id"),
        ("RETRY 'x'", SYNTAX, 7, "RETRY JOB 'id'"),
        ("PAUSE JOB (", SYNTAX, 11, "a job id"),
        ("RESUME JOB 'x' NOW", SYNTAX, 16, "end of the statement"),
        ("EXPLAIN JOB", SYNTAX, 12, "requires a job_id"),
        ("RUN nightly", SYNTAX, 5, "RUN WORKFLOW 'name'"),
        ("RUN WORKFLOW", SYNTAX, 13, "requires a name"),
        ("RUN WORKFLOW nightly cleanup", SYNTAX, 22, "end of the statement"),
        ("RELOAD", SYNTAX, 7, "WORKFLOWS"),
        ("RELOAD WORKFLOWS now", SYNTAX, 18, "end of the statement"),
        ("KILL JOB 'unterminated", SYNTAX, 10, "Unterminated"),
        ("COPY a.b TO STDOUT", UNSUPPORTED, 10, "use SELECT"),
        ("COPY (SELECT 1) TO STDOUT", UNSUPPORTED, 6, "use SELECT"),
        ("COPY a.b FROM '/etc/passwd'", UNSUPPORTED, 15, "from the client"),
        ("COPY a.b FROM STDIN WITH (FORMAT binary)", UNSUPPORTED, 27, "binary"),
        ("COPY a.b FROM STDIN WITH (FORMAT xml)", INVALID, 27, "text and csv"),
        ("COPY a.b FROM STDIN WITH (DELIMITER 'ab')", INVALID, 37, "single one-byte"),
        ("COPY a.b FROM STDIN WITH (FREEZE)", UNSUPPORTED, 27, "FREEZE"),
        ("COPY a.b FROM STDIN WITH (QUOTE '''')", UNSUPPORTED, 0, "csv"),
        ("COPY a.b FROM STDIN WITH (FROMAT csv)", SYNTAX, 27, "not recognized"),
        ("SET ROLE x", UNSUPPORTED, 5, "ROLE"),
        ("SET x", SYNTAX, 6, "\"=\""),
        ("INSERT INTO a.b VALUES (1) ON CONFLICT DO NOTHING", UNSUPPORTED, 0, "ON CONFLICT"),
        ("INSERT INTO a.b VALUES (1) RETURNING c", UNSUPPORTED, 0, "RETURNING"),
        ("INSERT INTO a.b DEFAULT VALUES", UNSUPPORTED, 0, "DEFAULT VALUES"),
        ("SELECT * INTO c.d FROM a.b", UNSUPPORTED, 0, "SELECT INTO"),
        ("SELECT * FROM a.b FOR UPDATE", UNSUPPORTED, 0, "FOR UPDATE"),
        ("EXPLAIN INSERT INTO a.b VALUES (1)", UNSUPPORTED, 0, "queries only"),
        ("SELEC 1", SYNTAX, 1, "at or near \"SELEC\""),
        ("SELECT 1 FROM", SYNTAX, 14, "end of input"),
        ("SELECT 'a", SYNTAX, 8, "Unterminated"),
        ("SELECT 1\nFROM a.b WHERE )", SYNTAX, 25, "at or near \")\""),
        ("42", SYNTAX, 1, "at or near \"42\""),
    ] {
        let error = parse(sql).err().unwrap_or_else(|| panic!("accepted: {sql}"));
        let text = format!(
            "{} {} {}",
            error.message,
            error.hint.clone().unwrap_or_default(),
            error.detail.clone().unwrap_or_default()
        );
        assert_eq!(error.sqlstate, sqlstate, "{sql}: {error:?}");
        assert_eq!(error.position.unwrap_or(0), position, "{sql}: {error:?}");
        assert!(text.contains(words), "{sql}: {text}");
    }
}

#[test]
fn places_count_characters_over_all_lines() {
    let error = parse("SELECT 'é😀';\nBOGUS").unwrap_err();
    assert_eq!(error.position, Some(14));
}

#[test]
fn deep_nesting_is_refused_and_does_not_end_the_process() {
    let sql = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(parse(&sql).unwrap_err().sqlstate, code::STATEMENT_TOO_COMPLEX);
}
