//! Tables for unit tests.

use ebbtide_store::Table;
use serde_json::json;
use std::sync::Arc;

fn table(kind: &str, name: &str) -> Arc<Table> {
    let table = json!({
        "id": 7,
        "namespace": "chat",
        "name": name,
        "kind": kind,
        "columns": [
            { "id": 1, "name": "id", "column_type": "big_int", "nullable": false },
            { "id": 2, "name": "body", "column_type": "text", "nullable": true },
        ],
        "schema_version": 1,
        "storage": "local",
        "use_user_storage": false,
        "sharding": "none",
        "flush": {},
        "created_at": 0,
    });
    Arc::new(serde_json::from_value(table).expect("a table as the catalog stores it"))
}

/// `chat.messages (id BIGINT NOT NULL, body TEXT)`, a USER table.
pub(crate) fn user_table() -> Arc<Table> {
    table("user", "messages")
}

/// `chat.rooms (id BIGINT NOT NULL, body TEXT)`, a SHARED table.
pub(crate) fn shared_table() -> Arc<Table> {
    table("shared", "rooms")
}
