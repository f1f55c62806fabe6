//! Which nodes of a Cluster are its masters, as one of them sees it.

use std::collections::BTreeSet;

use redis::aio::ConnectionLike;
use redis::{RedisResult, Value, cmd};

/// A node's host and port.
pub(crate) type Address = (String, u16);

/// The masters that serve slots, asked of the node at `asked`: a node that has no name for itself is that one.
pub(crate) async fn masters(
    connection: &mut (impl ConnectionLike + Send),
    asked: &Address,
) -> RedisResult<BTreeSet<Address>> {
    let slots: Value = cmd("CLUSTER").arg("SLOTS").query_async(connection).await?;
    Ok(read(&slots, asked))
}

/// Whether the node says that the Cluster can be used: one that is cut off from most of the others says no.
pub(crate) async fn is_well(connection: &mut (impl ConnectionLike + Send)) -> RedisResult<bool> {
    let info: String = cmd("CLUSTER").arg("INFO").query_async(connection).await?;
    Ok(info.lines().any(|line| line.trim() == "cluster_state:ok"))
}

/// The third part of each range of slots is its master: host, port, and more.
fn read(slots: &Value, asked: &Address) -> BTreeSet<Address> {
    let Value::Array(ranges) = slots else { return BTreeSet::new() };
    let master = |range: &Value| {
        let Value::Array(range) = range else { return None };
        let Value::Array(node) = range.get(2)? else { return None };
        let port = match node.get(1)? {
            Value::Int(port) => u16::try_from(*port).ok()?,
            _ => return None,
        };
        let host = match node.first()? {
            Value::BulkString(name) => String::from_utf8_lossy(name).into_owned(),
            Value::SimpleString(name) => name.clone(),
            _ => String::new(),
        };
        Some((if host.is_empty() || host == "?" { asked.0.clone() } else { host }, port))
    };
    ranges.iter().filter_map(master).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_names_its_master_first_and_a_node_without_a_name_is_the_one_that_was_asked() {
        let text = |text: &str| Value::BulkString(text.into());
        let node = |host: Value, port| Value::Array(vec![host, Value::Int(port), text("id")]);
        let range = |from, master, replica| Value::Array(vec![Value::Int(from), Value::Int(from + 9), master, replica]);
        let slots = Value::Array(vec![
            range(0, node(text("a"), 7000), node(text("d"), 7003)),
            range(10, node(text(""), 7001), node(text("a"), 7004)),
            range(20, node(Value::Nil, 7002), node(text("a"), 7005)),
            range(30, node(text("a"), 7000), node(text("d"), 7003)),
            Value::Nil,
        ]);
        let asked = ("b".to_owned(), 7001);
        let expected = [("a".to_owned(), 7000), ("b".to_owned(), 7001), ("b".to_owned(), 7002)];
        assert_eq!(read(&slots, &asked), expected.into());
        assert!(read(&Value::Nil, &asked).is_empty());
    }
}
