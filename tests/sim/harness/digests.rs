//! Which digest each view has: equal digests must mean equal views, and the other way round, over
//! all nodes of a cluster that run.

use std::collections::BTreeMap;

/// What nodes have now, both ways round, and how many of them.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    by_digest: BTreeMap<(u8, u32), (u64, u32)>,
    by_view: BTreeMap<(u8, u64), u32>,
}

impl Digests {
    /// A node of the cluster has come to this pair. `false` if another one has the same digest for
    /// another view, or another digest for the same view.
    pub(crate) fn add(&mut self, cluster: u8, digest: u32, view: u64) -> bool {
        let (held_view, nodes) = self.by_digest.entry((cluster, digest)).or_insert((view, 0));
        *nodes += 1;
        let held_digest = self.by_view.entry((cluster, view)).or_insert(digest);
        *held_view == view && *held_digest == digest
    }

    /// A node has it no longer.
    pub(crate) fn remove(&mut self, cluster: u8, digest: u32, view: u64) {
        let Some((_, nodes)) = self.by_digest.get_mut(&(cluster, digest)) else { return };
        *nodes -= 1;
        if *nodes == 0 {
            self.by_digest.remove(&(cluster, digest));
            self.by_view.remove(&(cluster, view));
        }
    }
}
