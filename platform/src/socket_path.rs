//! Where the agent's API socket is, for the agent and for its clients.

/// Where the socket of a cluster's agent may be by default, the first choice first:
/// `/run/midge/CLUSTER.sock`, then `$XDG_RUNTIME_DIR/midge-CLUSTER.sock`.
pub(crate) fn defaults(cluster: &str) -> Vec<String> {
    let mut paths = vec![format!("/run/midge/{cluster}.sock")];
    let directory = std::env::var_os("XDG_RUNTIME_DIR").and_then(|d| d.into_string().ok());
    if let Some(directory) = directory.filter(|d| !d.is_empty()) {
        paths.push(format!("{directory}/midge-{cluster}.sock"));
    }
    paths
}
