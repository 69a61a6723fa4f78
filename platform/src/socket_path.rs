//! Where the agent's API socket is, for the agent and for its clients.

use std::path::{Path, PathBuf};

/// Where the socket of a cluster's agent may be by default, the first choice first:
/// `/run/midge/CLUSTER.sock`, then `$XDG_RUNTIME_DIR/midge-CLUSTER.sock`.
pub(crate) fn defaults(cluster: &str) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from(format!("/run/midge/{cluster}.sock"))];
    if let Some(directory) = std::env::var_os("XDG_RUNTIME_DIR").filter(|d| !d.is_empty()) {
        paths.push(Path::new(&directory).join(format!("midge-{cluster}.sock")));
    }
    paths
}
