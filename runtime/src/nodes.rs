//! Who runs jobs: one record per node, with the report of its last start.

use crate::error::Error;
use crate::keys::NODES;
use crate::recovery::Recovery;
use crate::runner::Shared;
use crate::wire::{Fields, Value, put_bytes, put_count, put_text, put_time};
use ebbtide_engine::{Commit, KeyRange, Order, Snapshot, Sync, Write};
use std::sync::Arc;
use std::time::Duration;

/// A node that runs jobs, or did. Times are microseconds since the Unix epoch, UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name, as claims have it.
    pub node_id: String,
    /// The version of its program.
    pub version: String,
    /// When it started.
    pub started_at: i64,
    /// When it last said that it lives.
    pub seen_at: i64,
    /// When it shut down in order; absent while it runs, and after a crash.
    pub stopped_at: Option<i64>,
    /// What it found when it started.
    pub recovery: Recovery,
}

impl Node {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put_text(&mut out, 1, Some(&self.version));
        put_time(&mut out, 2, Some(self.started_at));
        put_time(&mut out, 3, Some(self.seen_at));
        put_time(&mut out, 4, self.stopped_at);
        put_count(&mut out, 5, self.recovery.fenced);
        put_count(&mut out, 6, self.recovery.parked);
        put_count(&mut out, 7, self.recovery.failed);
        put_count(&mut out, 8, self.recovery.waiting);
        put_count(&mut out, 9, u64::try_from(self.recovery.took.as_micros()).unwrap_or(u64::MAX));
        for (kind, state, count) in &self.recovery.resumed {
            let mut group = Vec::new();
            put_text(&mut group, 1, Some(kind));
            put_text(&mut group, 2, Some(state));
            put_count(&mut group, 3, *count);
            put_bytes(&mut out, 10, &group);
        }
        out
    }

    pub(crate) fn decode(node_id: String, bytes: &[u8]) -> Result<Self, String> {
        let mut node = Node { node_id, ..Node::default() };
        let mut fields = Fields::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => node.version = value.text()?,
                2 => node.started_at = value.time()?,
                3 => node.seen_at = value.time()?,
                4 => node.stopped_at = Some(value.time()?),
                5 => node.recovery.fenced = value.number()?,
                6 => node.recovery.parked = value.number()?,
                7 => node.recovery.failed = value.number()?,
                8 => node.recovery.waiting = value.number()?,
                9 => node.recovery.took = Duration::from_micros(value.number()?),
                10 => node.recovery.resumed.push(decode_group(value)?),
                _ => {}
            }
        }
        Ok(node)
    }
}

fn decode_group(value: Value<'_>) -> Result<(String, String, u64), String> {
    let bytes = value.bytes()?;
    let mut group = (String::new(), String::new(), 0);
    let mut fields = Fields::new(&bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => group.0 = value.text()?,
            2 => group.1 = value.text()?,
            3 => group.2 = value.number()?,
            _ => {}
        }
    }
    Ok(group)
}

/// Says that this node started, and what it found.
pub(crate) async fn started(shared: &Shared, recovery: &Recovery) {
    let now = shared.env.now();
    let node = Node {
        node_id: shared.options.node_id.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: now,
        seen_at: now,
        stopped_at: None,
        recovery: recovery.clone(),
    };
    put(shared, node).await;
}

/// Says that this node lives.
pub(crate) async fn seen(shared: &Shared) {
    change(shared, |node, now| node.seen_at = now).await;
}

/// Says that this node stopped in order.
pub(crate) async fn stopped(shared: &Shared) {
    change(shared, |node, now| (node.seen_at, node.stopped_at) = (now, Some(now))).await;
}

async fn change(shared: &Shared, change: impl FnOnce(&mut Node, i64)) {
    let node_id = &shared.options.node_id;
    let Ok(Some(bytes)) = shared.engine.snapshot().get(NODES, node_id.as_bytes()) else {
        return;
    };
    if let Ok(mut node) = Node::decode(node_id.clone(), &bytes) {
        change(&mut node, shared.env.now());
        put(shared, node).await;
    }
}

/// No job depends on the record, so it is not synced, and what goes wrong with it stops nothing.
async fn put(shared: &Shared, node: Node) {
    let write = Write::put(NODES, node.node_id.as_bytes(), node.encode());
    let commit = Commit { writes: vec![write], sync: Sync::Unsynced, ..Commit::default() };
    if let Err(error) = shared.engine.commit(commit).await {
        tracing::debug!(%error, "the record of this node could not be written");
    }
}

/// Every node that ever ran jobs on this engine, by name. There are as many as there are names.
///
/// # Errors
///
/// When the engine cannot read, or a record is damaged.
pub fn nodes(snapshot: &Arc<dyn Snapshot>) -> Result<Vec<Node>, Error> {
    let mut nodes = Vec::new();
    let mut cursor = Arc::clone(snapshot).scan(NODES, KeyRange::all(), Order::Ascending)?;
    while let Some((key, value)) = cursor.next()? {
        let node_id = String::from_utf8_lossy(key).into_owned();
        nodes.push(Node::decode(node_id, value).map_err(|reason| Error::Invalid {
            reason: format!("the record of node {} cannot be read: {reason}", String::from_utf8_lossy(key)),
        })?);
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::Node;
    use crate::recovery::Recovery;
    use std::time::Duration;

    #[test]
    fn a_node_reads_back() {
        let node = Node {
            node_id: "a".into(),
            version: "0.1.0".into(),
            started_at: 1,
            seen_at: 2,
            stopped_at: Some(3),
            recovery: Recovery {
                resumed: vec![("flush".into(), "Writing".into(), 2)],
                fenced: 3,
                parked: 4,
                failed: 5,
                waiting: 6,
                took: Duration::from_micros(7),
            },
        };
        assert_eq!(Node::decode("a".into(), &node.encode()).unwrap(), node);
        let blank = Node { node_id: "b".into(), ..Node::default() };
        assert_eq!(Node::decode("b".into(), &blank.encode()).unwrap(), blank);
    }
}
