//! Bad input, one by one, over the wire: a PostgreSQL error with its SQLSTATE and words that help, the connection lives on,
//! and nothing is half done.

use std::collections::BTreeSet;

use crate::kit::raw::{Answer, Raw};
use crate::kit::rows::{rows, value};
use crate::kit::{Place, Plan, Server, notes};

const TABLES: &str = "CREATE NAMESPACE chat; \
    CREATE USER TABLE chat.notes (id BIGINT NOT NULL, body TEXT, writer TEXT) FLUSH INTERVAL 86399s; \
    CREATE SHARED TABLE chat.kinds ( \
        b BOOLEAN, s SMALLINT, i INT, l BIGINT, r REAL, d DOUBLE, m DECIMAL(5, 2), t TEXT, y BYTEA, \
        day DATE, at TIME, ts TIMESTAMP, tz TIMESTAMPTZ, j JSON \
    ) FLUSH ROW_THRESHOLD 999999";

/// Everything that a refused statement must leave as it was.
async fn all(admin: &mut Raw) -> Vec<Option<Vec<u8>>> {
    let mut all = Vec::new();
    for sql in [
        "SELECT namespace FROM system.namespaces ORDER BY 1",
        "SELECT namespace, table_name, table_type, columns::text FROM system.tables ORDER BY 1, 2",
        "SELECT storage_id FROM system.storages ORDER BY 1",
        "SELECT job_id FROM system.jobs ORDER BY 1",
        "SELECT count(*) FROM chat.notes",
        "SELECT count(*) FROM chat.kinds",
    ] {
        let answer = admin.query(sql).await;
        assert_eq!(answer.error, None, "{sql}");
        all.extend(answer.values);
    }
    all
}

/// A statement that is refused: `who` asks, and is told `sqlstate` and all of the `words`, which `|` separates.
struct Case {
    who: &'static str,
    sql: Vec<u8>,
    sqlstate: &'static str,
    words: &'static str,
}

fn case(who: &'static str, sql: impl Into<Vec<u8>>, sqlstate: &'static str, words: &'static str) -> Case {
    Case { who, sql: sql.into(), sqlstate, words }
}

/// What a case lacks; nothing when it is refused as it should be.
fn lacks(answer: Answer, sqlstate: &str, words: &str) -> Option<String> {
    let state = answer.state;
    let Some(told) = answer.error else { return Some(format!("accepted: {:?} {:?}", answer.tags, answer.values)) };
    let missing: Vec<_> = words.split('|').filter(|word| !told.to_string().contains(word)).collect();
    let right = told.sqlstate == sqlstate && missing.is_empty() && state == 'I' && told.severity == "ERROR";
    (!right).then(|| format!("{told} (missing {missing:?}, then {state})"))
}

fn definitions() -> Vec<Case> {
    let create = |columns: &str, clauses: &str| format!("CREATE TABLE chat.x ({columns}) {clauses}");
    let long = "n".repeat(65);
    [
        (create("id COLOUR", "FLUSH INTERVAL 60s"), "42704", "colour|known are"),
        (create("id BIGNIT", "FLUSH INTERVAL 60s"), "42704", "BIGINT"),
        (create("id INT[]", "FLUSH INTERVAL 60s"), "0A000", "array"),
        (create("id UUID", "FLUSH INTERVAL 60s"), "0A000", "UUID|use TEXT"),
        (create("id DECIMAL(0)", "FLUSH INTERVAL 60s"), "22023", "DECIMAL"),
        (create("id DECIMAL(99, 2)", "FLUSH INTERVAL 60s"), "22023", "38"),
        (create("id DECIMAL(5, 9)", "FLUSH INTERVAL 60s"), "22023", "scale"),
        (create("", "FLUSH INTERVAL 60s"), "42P16", "at least one column"),
        (create("id BIGINT", ""), "42P16", "FLUSH INTERVAL 60s ROW_THRESHOLD 1000"),
        (create("id BIGINT", "FLUSH"), "42601", "FLUSH INTERVAL 60s"),
        (create("id BIGINT", "FLUSH INTERVAL 0s"), "22023", "greater than 0"),
        (create("id BIGINT", "FLUSH INTERVAL 86400s"), "22023", "less than 86400"),
        (create("id BIGINT", "FLUSH INTERVAL soon"), "42601", "soon"),
        (create("id BIGINT", "FLUSH INTERVAL -5s"), "42601", "-"),
        (create("id BIGINT", "FLUSH ROW_THRESHOLD 0"), "22023", "greater than 0"),
        (create("id BIGINT", "FLUSH ROW_THRESHOLD 1000000"), "22023", "less than 1,000,000"),
        (create("id BIGINT", "FLUSH ROW_THRESHOLD 99999999999999999999999"), "22023", "99999999999999999999999"),
        (create("id BIGINT", "FLUSH BYTES '9999999999 GB'"), "22023", "1 TiB"),
        (create("id BIGINT", "FLUSH INTERVAL 60s INTERVAL 70s"), "42601", "twice"),
        (create("id BIGINT", "FLUSH EVENTUALLY"), "42601", "trigger"),
        (create("id BIGINT", "FLSH INTERVAL 60s"), "42601", "FLUSH"),
        (create("id BIGINT", "WITH (FLUSH_POLICY = 'rows:x')"), "22023", "rows"),
        (create("id BIGINT", "WITH (FLUSH_POLICY = '')"), "22023", "FLUSH_POLICY"),
        (create("id BIGINT", "WITH (FLUSH_POLICE = 'rows:5')"), "22023", "did you mean FLUSH_POLICY?"),
        (create("id BIGINT", "STORAGE nowhere FLUSH INTERVAL 60s"), "42704", "nowhere"),
        (create("id BIGINT", "SHARDING zodiac FLUSH INTERVAL 60s"), "22023", "zodiac|alphabetic"),
        (create("id BIGINT", "SHARDING consistent_hash(0) FLUSH INTERVAL 60s"), "22023", "consistent_hash"),
        (create("id BIGINT, ID TEXT", "FLUSH INTERVAL 60s"), "42701", "id"),
        (create("_seq BIGINT", "FLUSH INTERVAL 60s"), "42939", "_seq"),
        (create("_user_id TEXT", "FLUSH INTERVAL 60s"), "42939", "_user_id"),
        (create("\"\" BIGINT", "FLUSH INTERVAL 60s"), "42602", "cannot be empty"),
        (create("\"a b\" BIGINT", "FLUSH INTERVAL 60s"), "42602", "letters, digits"),
        (create(&format!("{long} BIGINT"), "FLUSH INTERVAL 60s"), "42622", "64"),
        (create("id BIGINT PRIMARY KEY", "FLUSH INTERVAL 60s"), "0A000", "PRIMARY KEY"),
        (create("id BIGINT DEFAULT 5", "FLUSH INTERVAL 60s"), "0A000", "DEFAULT"),
        (create("id BIGINT", "FLUSH INTERVAL 60s; CREATE TABLE chat.x (id BIGINT"), "42601", ""),
        (format!("CREATE TABLE chat.x ({}) FLUSH INTERVAL 60s", columns(5_000)), "42P16", "5000 columns|1600"),
        ("CREATE TABLE chat.\"\" (id INT) FLUSH INTERVAL 60s".to_owned(), "42602", "cannot be empty"),
        ("CREATE TABLE chat.\"../x\" (id INT) FLUSH INTERVAL 60s".to_owned(), "42602", "letters, digits"),
        ("CREATE TABLE chat.\"a\"\"b\" (id INT) FLUSH INTERVAL 60s".to_owned(), "42602", "letters, digits"),
        (format!("CREATE TABLE chat.{long} (id INT) FLUSH INTERVAL 60s"), "42622", "64"),
        ("CREATE TABLE caht.x (id INT) FLUSH INTERVAL 60s".to_owned(), "3F000", "caht"),
        ("CREATE TABLE system.x (id INT) FLUSH INTERVAL 60s".to_owned(), "42939", "system"),
        ("CREATE TABLE chat.notes (id INT) FLUSH INTERVAL 60s".to_owned(), "42P07", "chat.notes"),
        ("CREATE STREAM TABLE chat.x (id INT) FLUSH INTERVAL 60s".to_owned(), "0A000", "STREAM"),
        ("CREATE NAMESPACE chat".to_owned(), "42P06", "chat"),
        ("CREATE NAMESPACE system".to_owned(), "42939", "system"),
        ("CREATE NAMESPACE pg_catalog".to_owned(), "42939", "pg_catalog"),
        ("CREATE NAMESPACE \"\"".to_owned(), "42602", "cannot be empty"),
        ("CREATE NAMESPACE \"..\"".to_owned(), "42602", "letters, digits"),
        ("CREATE NAMESPACE \"☃\"".to_owned(), "42602", "letters, digits"),
        (format!("CREATE NAMESPACE {long}"), "42622", "64"),
        ("DROP NAMESPACE chat".to_owned(), "2BP01", "chat.kinds, chat.notes"),
        ("DROP NAMESPACE nowhere".to_owned(), "3F000", "nowhere"),
        ("DROP TABLE chat.note".to_owned(), "42P01", "chat.note"),
        ("DROP SHARED TABLE chat.notes".to_owned(), "42804", "USER"),
        ("DROP TABLE chat.notes CASCADE".to_owned(), "0A000", "CASCADE"),
        ("FLUSH TABLE chat.note".to_owned(), "42P01", "chat.note"),
        ("FLUSH ALL IN nowhere".to_owned(), "3F000", "nowhere"),
        ("FLUSH EVERYTHING".to_owned(), "42601", "TABLE"),
        ("ALTER TABLE chat.notes ADD COLUMN x INT".to_owned(), "0A000", "ALTER"),
        ("TRUNCATE chat.notes".to_owned(), "0A000", "TRUNCATE"),
        ("CREATE INDEX ON chat.notes (id)".to_owned(), "0A000", "INDEX"),
        (
            "BEGIN; CREATE TABLE chat.x (id INT) FLUSH INTERVAL 60s; COMMIT".to_owned(),
            "0A000",
            "CREATE TABLE cannot run inside a transaction",
        ),
        ("BEGIN; FLUSH TABLE chat.notes; COMMIT".to_owned(), "0A000", "FLUSH cannot run inside a transaction"),
        ("BEGIN; DROP TABLE chat.notes; COMMIT".to_owned(), "0A000", "DROP TABLE cannot run inside a transaction"),
    ]
    .into_iter()
    .map(|(sql, sqlstate, words)| case("admin", sql, sqlstate, words))
    .collect()
}

fn columns(count: usize) -> String {
    (0..count).map(|number| format!("c{number} INT")).collect::<Vec<_>>().join(", ")
}

fn writes() -> Vec<Case> {
    let notes = |rest: &str| format!("INSERT INTO chat.notes {rest}");
    let kinds = |column: &str, value: &str| format!("INSERT INTO chat.kinds ({column}) VALUES ({value})");
    [
        (notes("VALUES (1, 'a', 'ana', 4)"), "42601", "more expressions than target columns"),
        (notes("(id, body) VALUES (1)"), "42601", "more target columns than expressions"),
        (notes("(id) VALUES (1, 'a')"), "42601", "more expressions than target columns"),
        (notes("VALUES (1, 'a'), (2)"), "42601", "VALUES lists must all be the same length"),
        (notes("(id, id) VALUES (1, 1)"), "42701", "id"),
        (notes("(id, bdoy) VALUES (1, 'a')"), "42703", "bdoy|did you mean body?"),
        (notes("(id, _seq) VALUES (1, 5)"), "428C9", "_seq"),
        (notes("(id, _user_id) VALUES (1, 'ben')"), "42501", "ana"),
        (notes("(body) VALUES ('a')"), "23502", "id"),
        (notes("VALUES (NULL, 'a', 'ana')"), "23502", "id"),
        (notes("VALUES (1, 'a', 'ana'), (2, 'b', 'ana'), (NULL, 'c', 'ana')"), "23502", "id"),
        (notes("VALUES (1, 'a', 'ana'), ('x', 'b', 'ana')"), "22P02", "x"),
        (notes("VALUES (1, 'a', 'ana') ON CONFLICT DO NOTHING"), "0A000", "ON CONFLICT"),
        (notes("VALUES (1, 'a', 'ana') RETURNING id"), "0A000", "RETURNING"),
        (notes("SELECT id, body FROM chat.nothing"), "42P01", "chat.nothing"),
        (notes("SELECT 1 / 0, 'a', 'b'"), "22012", "division by zero"),
        (notes("VALUES ($1, 'a', 'ana')"), "42P02", "1 parameters; 0 were given"),
        ("INSERT INTO chat.note VALUES (1)".to_owned(), "42P01", "did you mean chat.notes?"),
        ("INSERT INTO system.jobs (job_id) VALUES ('x')".to_owned(), "42501", "system.jobs"),
        ("UPDATE chat.notes SET id = 1".to_owned(), "0A000", "UPDATE"),
        ("DELETE FROM chat.notes".to_owned(), "0A000", "DELETE"),
        (kinds("s", "32768"), "22003", "smallint"),
        (kinds("s", "-32769"), "22003", "smallint"),
        (kinds("i", "2147483648"), "22003", "integer"),
        (kinds("l", "9223372036854775808"), "22003", "bigint"),
        (kinds("l", "1e30"), "22003", "bigint"),
        (kinds("l", &"9".repeat(10_000)), "22003", "bigint"),
        (kinds("r", "1e300"), "22003", "real"),
        (kinds("d", "'1e999'"), "22003", "double"),
        (kinds("m", "1000.00"), "22003", "numeric"),
        (kinds("m", "'x'"), "22P02", "x"),
        (kinds("b", "'perhaps'"), "22P02", "perhaps"),
        (kinds("b", "5"), "42804", "boolean"),
        (kinds("i", "'five'"), "22P02", "five"),
        (kinds("i", "''"), "22P02", "integer"),
        (kinds("i", "true"), "42804", "boolean"),
        (kinds("y", "'\\xzz'"), "22P02", ""),
        (kinds("y", "'\\x0'"), "22P02", ""),
        (kinds("day", "'2026-02-30'"), "22008", "2026-02-30"),
        (kinds("day", "'tomorrowish'"), "22007", "tomorrowish"),
        (kinds("at", "'25:00'"), "22007", "25:00"),
        (kinds("ts", "'2026-11-22 10:61'"), "22008", "10:61"),
        (kinds("tz", "'2026-11-22 10:00 Mars/Olympus'"), "22007", "Mars"),
        (kinds("j", "'{'"), "22P02", "json"),
        (kinds("t", "chr(0)"), "22021", "zero byte"),
        (kinds("t", "E'a\\000b'"), "42601", "encoded string"),
        ("CREATE TABLE chat.x (id INT) FLUSH INTERVAL 60s".to_owned(), "42501", "CREATE TABLE needs a service role"),
        ("DROP TABLE chat.notes".to_owned(), "42501", "DROP TABLE needs a service role"),
        ("FLUSH TABLE chat.notes".to_owned(), "42501", "FLUSH needs a service role"),
        ("CREATE NAMESPACE x".to_owned(), "42501", "connect as admin"),
    ]
    .into_iter()
    .map(|(sql, sqlstate, words)| case("ana", sql, sqlstate, words))
    .collect()
}

fn queries() -> Vec<Case> {
    let deep = |open: &str, middle: &str, close: &str| {
        format!("SELECT {}{middle}{}", open.repeat(20_000), close.repeat(20_000))
    };
    let plain = [
        ("SELEC 1", "42601", "SELEC"),
        ("SELECT", "42601", ""),
        ("SELECT 'abc", "42601", "Unterminated string"),
        ("SELECT \"abc", "42601", "\""),
        ("SELECT /* abc", "42601", "comment"),
        ("SELECT $$abc", "42601", "dollar-quoted"),
        ("SELECT 1 +", "42601", "end"),
        ("SELECT $1", "42P02", "1 parameters; 0 were given"),
        ("SELECT nam FROM chat.notes", "42703", "nam"),
        ("SELECT bdy FROM chat.notes", "42703", "did you mean body?"),
        ("SELECT * FROM chat.note", "42P01", "did you mean chat.notes?"),
        ("SELECT * FROM x.y.z", "0A000", "two parts"),
        ("SELECT nope(1)", "42883", "nope"),
        ("SELECT 1 / 0", "22012", "division by zero"),
        ("SELECT CAST('x' AS INT)", "22P02", "x"),
        ("SELECT CAST(300000 AS SMALLINT)", "22003", ""),
        ("SELECT id FROM chat.notes a, chat.notes b", "42702", "ambiguous"),
        ("SELECT 1 FROM chat.notes GROUP BY nope", "42703", "nope"),
        ("SELECT id, count(*) FROM chat.notes", "42803", "GROUP BY"),
        ("SELECT sum(body) FROM chat.notes", "42883", "sum"),
        ("SELECT * FROM chat.notes LIMIT -1", "2201W", "LIMIT"),
        ("SET nonsense = 1", "42704", "nonsense"),
        ("SET client_encoding = 'LATIN1'", "0A000", "LATIN1|UTF-8"),
        ("SHOW nonsense", "42704", "nonsense"),
        ("SAVEPOINT a", "0A000", "savepoints"),
        ("LISTEN a", "0A000", "LISTEN"),
        ("SELECT * FROM chat.notes FOR UPDATE", "0A000", "FOR UPDATE"),
        ("COPY chat.notes TO STDOUT", "0A000", "COPY"),
        ("COPY chat.notes FROM '/etc/passwd'", "0A000", "STDIN"),
        ("COPY chat.nothing FROM STDIN", "42P01", "chat.nothing"),
        ("COPY chat.notes (id, nope) FROM STDIN", "42703", "nope"),
        ("COPY chat.notes (id, id) FROM STDIN", "42701", "id"),
        ("COPY chat.notes FROM STDIN (FORMAT binary)", "0A000", "binary"),
        ("COPY chat.notes FROM STDIN (FORMAT xml)", "22023", "xml"),
    ];
    let bytes: [(&[u8], &str, &str); 3] = [
        (b"SELECT '\xff'", "22021", "UTF8"),
        (b"INSERT INTO chat.notes VALUES (1, '\xc3\x28', 'ana')", "22021", "UTF8"),
        (b"SELECT '\xed\xa0\x80'", "22021", "UTF8"),
    ];
    let chain = |what: &str| format!("SELECT 1 WHERE 1 = 1{}", format!(" {what}").repeat(20_000));
    let huge = [
        (chain("OR 1 = 2"), "54001", "operators in a row|IN ("),
        (chain("AND EXISTS (SELECT 1)"), "54001", "operators in a row"),
        (format!("SELECT 'a'{}", " || 'b'".repeat(20_000)), "54001", "operators in a row"),
        (format!("SELECT 1{}", "::int".repeat(20_000)), "54001", "operators in a row"),
        (chain("UNION ALL SELECT 1"), "54001", "UNION"),
        (chain("EXCEPT SELECT 1"), "54001", "UNION"),
        (format!("SELECT 1 FROM chat.notes{}", " JOIN chat.kinds ON true".repeat(20_000)), "54001", "JOINs"),
        (deep("(", "1", ")"), "54001", ""),
        (deep("NOT ", "true", ""), "54001", "operators in a row"),
        (deep("- ", "1", ""), "54001", ""),
        (deep("1+", "1", ""), "54001", ""),
        (deep("(SELECT ", "1", ")"), "54001", ""),
        (deep("CASE WHEN true THEN ", "1", " END"), "54001", ""),
        (format!("SELECT {}", "[".repeat(20_000)), "54001", ""),
    ];
    plain
        .into_iter()
        .map(|(sql, sqlstate, words)| case("ana", sql, sqlstate, words))
        .chain(bytes.into_iter().map(|(sql, sqlstate, words)| case("ana", sql, sqlstate, words)))
        .chain(huge.into_iter().map(|(sql, sqlstate, words)| case("ana", sql, sqlstate, words)))
        .collect()
}

/// Several INSERTs at once, or nothing that can be read: one is bad and none is done.
fn batches() -> Vec<Case> {
    const GOOD: &str = "INSERT INTO chat.notes VALUES (1, 'a', 'ana')";
    [
        (format!("{GOOD}; SELEC 1"), "42601", "SELEC"),
        (format!("{GOOD}; INSERT INTO chat.notes VALUES (NULL)"), "23502", "id"),
        (format!("BEGIN; {GOOD}; ROLLBACK; SELECT 1 / 0"), "22012", "division"),
    ]
    .into_iter()
    .map(|(sql, sqlstate, words)| case("ana", sql, sqlstate, words))
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_with_words_that_help_and_leaves_nothing() {
    let place = Place::new();
    let server = place.start().await;
    let mut admin = Raw::connect(server.address(), b"admin").await.expect("the service");
    let mut ana = Raw::connect(server.address(), b"ana").await.expect("a user");
    assert_eq!(admin.query(TABLES).await.error, None);
    let before = all(&mut admin).await;
    let mut wrong = Vec::new();
    for Case { who, sql, sqlstate, words } in [definitions(), writes(), queries(), batches()].into_iter().flatten() {
        let shown: String = String::from_utf8_lossy(&sql).chars().take(120).collect();
        let client = if who == "admin" { &mut admin } else { &mut ana };
        let answer = client.query(&sql).await;
        let in_transaction = answer.state == 'E' && sql.starts_with(b"BEGIN");
        if in_transaction {
            assert_eq!(client.query("ROLLBACK").await.state, 'I', "{shown}");
        }
        let state = if in_transaction { 'I' } else { answer.state };
        wrong.extend(
            lacks(Answer { state, ..answer }, sqlstate, words)
                .map(|why| format!("{shown}\n    {sqlstate} {words}\n    {why}")),
        );
        if client.query("SELECT 1").await.values != [Some(b"1".to_vec())] {
            wrong.push(format!("{shown}\n    the connection does not live on"));
            // Said at once: the next connection fails too if the server is gone.
            eprintln!("{}\n{}", wrong.join("\n"), server.output.tail());
            *client = Raw::connect(server.address(), who.as_bytes()).await.expect("a new connection");
        }
        if all(&mut admin).await != before {
            wrong.push(format!("{shown}\n    it left something behind"));
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_parameters_are_refused_and_leave_nothing() {
    let place = Place::new();
    let server = place.start().await;
    let mut admin = Raw::connect(server.address(), b"admin").await.expect("the service");
    let mut ana = Raw::connect(server.address(), b"ana").await.expect("a user");
    assert_eq!(admin.query(TABLES).await.error, None);
    let before = all(&mut admin).await;
    let insert = "INSERT INTO chat.notes VALUES ($1, $2, 'ana')";
    let cases: [(&str, &[&[u8]], &str, &str); 8] = [
        (insert, &[b"1", b"\xff\xfe"], "22021", "UTF8"),
        (insert, &[b"1", b"a\0b"], "22021", "zero byte"),
        (insert, &[b"\xff", b"a"], "22021", "UTF8"),
        (insert, &[b"one", b"a"], "22P02", "one"),
        (insert, &[b"9223372036854775808", b"a"], "22003", "9223372036854775808"),
        (insert, &[b"1"], "08P01", "1"),
        (insert, &[b"1", b"2", b"3"], "08P01", "3"),
        ("SELECT $1 + $3", &[b"1", b"2"], "08P01", "requires 3"),
    ];
    for (sql, parameters, sqlstate, words) in cases {
        let lacks = lacks(ana.execute(sql, parameters).await, sqlstate, words);
        assert_eq!(lacks, None, "{sql} with {parameters:?}");
        assert_eq!(ana.value("SELECT 1").await, "1");
        assert_eq!(all(&mut admin).await, before, "{sql} with {parameters:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_row_of_a_copy_is_named_and_how_many_rows_stayed() {
    let place = Place::new();
    place.settings("[copy]\nchunk_rows_max = 2\n");
    let server = place.start().await;
    let mut admin = Raw::connect(server.address(), b"admin").await.expect("the service");
    let mut ana = Raw::connect(server.address(), b"ana").await.expect("a user");
    assert_eq!(admin.query(TABLES).await.error, None);
    let mut there = 0;
    let cases: [(&str, &[u8], &str, &str, i64); 11] = [
        ("", b"1\ta\tana\n2\n", "22P04", "line 2", 0),
        ("", b"1\ta\tana\n2\tb\tana\n3\tc\tana\textra\n", "22P04", "line 3", 2),
        ("", b"1\ta\tana\n2\tb\tana\n3\tc\tana\nfour\td\tana\n", "22P02", "line 4|four|id", 2),
        ("", b"\\N\ta\tana\n", "23502", "line 1|id", 0),
        ("", b"1\ta\tana\n2\tb\tana\n3\t\xff\tana\n", "22021", "line 3|UTF8", 2),
        ("", b"1\ta\tana\n2\tb\0\tana\n", "22021", "line 2|zero byte", 0),
        ("", b"99999999999999999999\ta\tana\n", "22003", "line 1", 0),
        ("(FORMAT csv)", b"1,\"a,ana\n", "22P04", "quote", 0),
        ("(FORMAT csv)", b"1,a,ana\n2,b,ana\n3,c\n", "22P04", "line 3", 2),
        ("", b"1\ta\tana\n2\tb\tana\n3\tc\tana\n4\td\tana\n5\n", "22P04", "line 5", 4),
        ("", b"\n", "22P02", "line 1", 0),
    ];
    for (options, data, sqlstate, words, stay) in cases {
        let shown = String::from_utf8_lossy(data).into_owned();
        let told = ana.copy(&format!("COPY chat.notes FROM STDIN {options}"), data).await.refused(&shown);
        let all = told.to_string();
        assert_eq!(told.sqlstate, sqlstate, "{shown}: {all}");
        words.split('|').for_each(|word| assert!(all.contains(word), "{shown}: {word:?} is missing: {all}"));
        assert!(all.contains(&format!("{stay} rows")), "{shown}: it does not say that {stay} rows stayed: {all}");
        there += stay;
        assert_eq!(ana.value("SELECT count(*) FROM chat.notes").await, there.to_string(), "{shown}: {all}");
    }
    // Given up by the client itself.
    ana.send(b'Q', b"COPY chat.notes FROM STDIN\0").await;
    assert_eq!(ana.answer().await.state, 'G');
    ana.send(b'd', b"1\ta\tana\n2\tb\tana\n3\tc\tana\n").await;
    ana.send(b'f', b"enough\0").await;
    let told = ana.answer().await.refused("a COPY that its client gave up");
    assert_eq!(told.sqlstate, "57014", "{told}");
    assert!(told.to_string().contains("2 rows"), "{told}");
    assert_eq!(ana.value("SELECT count(*) FROM chat.notes").await, (there + 2).to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_whole_or_absent() {
    let place = Place::new();
    let server = place.start().await;
    notes::create(&server).await;
    let mut ana = Raw::connect(server.address(), b"ana").await.expect("a user");
    let insert = "INSERT INTO chat.notes (id) VALUES (1)";
    for sql in ["BEGIN", insert, "ROLLBACK"] {
        assert_eq!(ana.query(sql).await.error, None, "{sql}");
    }
    assert_eq!(ana.value("SELECT count(*) FROM chat.notes").await, "0");

    for bad in ["SELECT 1 / 0", "SELECT * FROM chat.nothing", "SELEC 1", "INSERT INTO chat.notes VALUES (NULL)"] {
        assert_eq!(ana.query("BEGIN").await.state, 'T');
        assert_eq!(ana.query(insert).await.error, None);
        assert_eq!(ana.query(bad).await.state, 'E', "{bad}");
        for after in [insert, "SELECT 1", "BEGIN", "FLUSH TABLE chat.notes", bad] {
            let answer = ana.query(after).await;
            assert_eq!(answer.state, 'E', "{after}");
            let told = answer.refused(after);
            // What cannot be read is refused for that, in PostgreSQL too.
            let expected = if after == "SELEC 1" { "42601" } else { "25P02" };
            assert_eq!(told.sqlstate, expected, "{bad}; {after}: {told}");
        }
        let ended = ana.query("COMMIT").await;
        assert_eq!((ended.tags, ended.state), (vec!["ROLLBACK".to_owned()], 'I'), "{bad}");
        assert_eq!(ana.value("SELECT count(*) FROM chat.notes").await, "0", "{bad}");
    }
    // A connection that ends in the middle takes its rows with it.
    assert_eq!(ana.query("BEGIN").await.error, None);
    assert_eq!(ana.query(insert).await.error, None);
    drop(ana);
    let mut again = Raw::connect(server.address(), b"ana").await.expect("a user");
    assert_eq!(again.value("SELECT count(*) FROM chat.notes").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_values_go_in_or_are_refused_whole() {
    let place = Place::new();
    place.settings("[server]\nmessage_bytes_max = \"8 MiB\"\n");
    let mut server = place.start_with(&Plan::default().trace()).await;
    notes::create(&server).await;
    let mut ana = Raw::connect(server.address(), b"ana").await.expect("a user");
    let insert =
        |id: i64, bytes: usize| format!("INSERT INTO chat.notes VALUES ({id}, '{}', 'ana')", "é".repeat(bytes / 2));
    for (id, bytes) in [(1, 1 << 20), (2, 4 << 20)] {
        assert_eq!(ana.query(insert(id, bytes)).await.error, None, "{bytes} bytes");
    }
    let parameter = vec![b'x'; 1 << 20];
    let taken = ana.execute("INSERT INTO chat.notes VALUES (3, $1, 'ana')", &[&parameter]).await;
    assert_eq!(taken.error, None);
    let line = [b"4\t".as_slice(), &parameter, b"\tana\n"].concat();
    let taken = ana.copy("COPY chat.notes FROM STDIN", &line).await;
    // A chunk of a COPY is 1 MiB.
    let told = taken.refused("a longer row than a chunk");
    assert_eq!(told.sqlstate, "54000", "{told}");
    // Longer than a message may be: nobody knows where the next one begins.
    let told = ana.query(insert(5, 9 << 20)).await;
    assert_eq!(told.state, 'X');
    let told = told.refused("a statement of 9 MiB");
    assert_eq!((told.sqlstate.as_str(), told.severity.as_str()), ("08P01", "FATAL"), "{told}");
    assert!(told.hint.contains("message_bytes_max"), "{told}");
    let mut ana = Raw::connect(server.address(), b"ana").await.expect("a new connection");
    let lengths = "SELECT id, octet_length(body) FROM chat.notes ORDER BY id";
    let before = ana.query(lengths).await.values;
    let expected = ["1", "1048576", "2", "4194304", "3", "1048576"];
    assert_eq!(before, expected.map(|text| Some(text.as_bytes().to_vec())));
    let admin = server.connect("admin").await;
    assert_eq!(notes::flush(&mut server, &admin).await, "completed");
    assert_eq!(ana.query(lengths).await.values, before, "a flush changes no answer");
}

/// Names as hard for a path as they come, each as bytes.
fn names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "ana",
        "Ana",
        "ANA",
        "../../etc",
        "../../../../../../tmp/x",
        "/etc/passwd",
        "..",
        ".",
        "a/b",
        "a\\b",
        "a.",
        "a ",
        " a",
        "a\tb",
        "a\nb",
        "\u{1}",
        "\u{7f}",
        "\u{1b}[31m",
        "😀",
        "👩‍👩‍👧",
        "é",
        "e\u{301}",
        "con",
        "NUL",
        "aux.txt",
        "%41",
        "%2F",
        "@41na",
        "#1",
        "-rf",
        "~",
        "$HOME",
        "a:b",
        "*",
        "?",
        "\"",
        "'",
        "'; DROP TABLE chat.notes",
        ".ebbtide",
        "owner.json",
        "\u{202e}ana",
        "\u{feff}",
        "a%00b",
        "x.parquet",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    // As long as may be, and two that differ in their last byte only.
    names.extend(
        ["a".repeat(255), format!("{}b", "a".repeat(254)), "é".repeat(127), "/".repeat(255)].map(String::into_bytes),
    );
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_any_name_are_apart_and_their_files_stay_inside() {
    let place = Place::new();
    let mut server = place.start_with(&Plan::default().trace()).await;
    notes::create(&server).await;
    let names = names();
    for (id, name) in names.iter().enumerate() {
        let shown = String::from_utf8_lossy(name);
        let mut user = Raw::connect(server.address(), name).await.unwrap_or_else(|told| panic!("{shown:?}: {told}"));
        let done = user.query(format!("INSERT INTO chat.notes (id) VALUES ({id})")).await;
        assert_eq!(done.error, None, "{shown:?}");
    }
    refused_names(&server).await;
    let admin = server.connect("admin").await;
    assert_eq!(notes::flush(&mut server, &admin).await, "completed");

    let outside: Vec<_> = std::fs::read_dir(place.folder()).expect("a folder of ours").collect();
    assert_eq!(outside.len(), 2, "data and settings, and nothing else: {outside:?}");
    let root = std::fs::canonicalize(place.local_storage()).expect("the storage is there");
    let files = place.files("parquet");
    assert_eq!(files.len(), names.len(), "each has a file");
    let mut folders = BTreeSet::new();
    for file in &files {
        let real = std::fs::canonicalize(file).expect("a file that was just listed");
        assert!(real.starts_with(&root), "{} is outside", real.display());
        let below = real.strip_prefix(&root).expect("it was just looked at").parent().expect("a file has a folder");
        // On some file systems names that differ in case only are one.
        folders.insert(below.to_str().expect("escaped names are plain").to_lowercase());
        assert!(below.components().all(|part| part.as_os_str().len() <= 255), "{}", below.display());
    }
    assert_eq!(folders.len(), names.len(), "two users share a folder: {folders:?}");

    let owners = rows(&admin, "SELECT user_id, path FROM system.segments").await;
    let owners: BTreeSet<Vec<u8>> =
        owners.into_iter().filter_map(|row| row[0].clone()).map(String::into_bytes).collect();
    assert_eq!(owners, names.iter().cloned().collect::<BTreeSet<_>>(), "names come back as they were");
    for (id, name) in names.iter().enumerate() {
        let mut user = Raw::connect(server.address(), name).await.expect("it could before");
        assert_eq!(user.query("SELECT id FROM chat.notes").await.values, [Some(id.to_string().into_bytes())]);
    }
    assert_eq!(value(&admin, "SELECT count(*) FROM chat.notes").await, names.len().to_string());
}

async fn refused_names(server: &Server) {
    let long = [b'a'; 256];
    let wide = "é".repeat(128);
    let cases: [(&[u8], &str, &str); 5] = [
        (b"", "28000", "no user name"),
        (&long, "28000", "255"),
        (wide.as_bytes(), "28000", "255"),
        (b"\xff\xfe", "22021", "UTF8"),
        // A zero byte ends the name; what follows it is no startup packet.
        (b"ana\0ben", "08P01", "invalid message format"),
    ];
    for (name, sqlstate, words) in cases {
        let Err(told) = Raw::connect(server.address(), name).await else { panic!("{name:?} was let in") };
        assert_eq!((told.sqlstate.as_str(), told.severity.as_str()), (sqlstate, "FATAL"), "{name:?}: {told}");
        assert!(told.to_string().contains(words), "{name:?}: {told}");
    }
}

/// INSERTs that follow each other are one commit; what stands before another statement is done, whatever follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_of_statements_ends_at_its_first_error() {
    let place = Place::new();
    let server = place.start().await;
    notes::create(&server).await;
    let mut ana = Raw::connect(server.address(), b"ana").await.expect("a user");
    let mut there = 0;
    for (sql, sqlstate, tags, stay) in [
        ("INSERT INTO chat.notes (id) VALUES (1); SELECT 1 / 0; INSERT INTO chat.notes (id) VALUES (2)", "22012", 1, 1),
        ("INSERT INTO chat.notes (id) VALUES (3); INSERT INTO chat.notes (id) VALUES (NULL)", "23502", 1, 0),
        ("SELECT 1; INSERT INTO chat.notes VALUES (NULL); INSERT INTO chat.notes (id) VALUES (4)", "23502", 1, 0),
        ("INSERT INTO chat.notes (id) VALUES (5); SELEC 1", "42601", 0, 0),
    ] {
        let answer = ana.query(sql).await;
        assert_eq!((answer.tags.len(), answer.state), (tags, 'I'), "{sql}: {answer:?}");
        assert_eq!(answer.refused(sql).sqlstate, sqlstate, "{sql}");
        there += stay;
        assert_eq!(ana.value("SELECT count(*) FROM chat.notes").await, there.to_string(), "{sql}");
    }
}
