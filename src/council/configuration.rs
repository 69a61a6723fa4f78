//! Who votes: one set of voters, or two while it changes. Raft's dissertation, section 4.3.

use heapless::Vec;

use crate::address::Address;
use crate::limits::{COUNCIL_PEERS, VOTERS};

/// One voter. Both fields name it: whoever else is found at the address is not this voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Voter {
    /// Its node id, which it takes anew when it has lost its memory.
    pub id: u64,
    /// Where it is reached.
    pub address: Address,
}

/// A set of voters, at most 7.
pub type Voters = Vec<Voter, VOTERS>;

/// The voters that are asked. While they change, the old ones and the new ones both have to agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Configuration {
    old: Voters,
    new: Voters,
}

impl Configuration {
    /// No voters: of a node that belongs to no council.
    pub const EMPTY: Self = Self { old: Vec::new(), new: Vec::new() };

    /// One set.
    pub const fn of(voters: Voters) -> Self {
        Self { old: voters, new: Vec::new() }
    }

    /// These voters and those to come, both. `None` if that is no change that can be made: it is
    /// one already, or the new set is empty.
    #[must_use]
    pub fn joint(&self, new: &Voters) -> Option<Self> {
        if self.is_joint() || new.is_empty() || self.old.is_empty() {
            return None;
        }
        Some(Self { old: self.old.clone(), new: new.clone() })
    }

    /// The voters before a change alone.
    #[must_use]
    pub fn only_old(&self) -> Self {
        Self::of(self.old.clone())
    }

    /// From the sets that travel; `None` if a voter stands twice in one, or with two addresses.
    pub fn from_parts(old: Voters, new: Voters) -> Option<Self> {
        let configuration = Self { old, new };
        configuration.is_sound().then_some(configuration)
    }

    /// The two sets, to be filled in by who reads them; then it has to be [sound](Self::is_sound).
    pub(crate) const fn sets_mut(&mut self) -> [&mut Voters; 2] {
        [&mut self.old, &mut self.new]
    }

    /// Whether no voter stands twice in a set, or with two addresses, or is nobody.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |set: &Voters, other: &Voters| {
            set.iter().enumerate().all(|(at, voter)| {
                let same = |v: &&Voter| v.id == voter.id;
                set.iter().take(at).find(same).is_none()
                    && other.iter().find(same).is_none_or(|v| v == voter)
                    && voter.id != super::term::NOBODY
            })
        };
        sound(&self.old, &self.new)
            && sound(&self.new, &self.old)
            && (!self.old.is_empty() || self.new.is_empty())
    }

    /// The voters; while they change, those before.
    pub const fn old_set(&self) -> &Voters {
        &self.old
    }

    /// The voters to come; empty unless they change.
    pub const fn new_set(&self) -> &Voters {
        &self.new
    }

    /// Whether the voters change.
    pub fn is_joint(&self) -> bool {
        !self.new.is_empty()
    }

    /// Whether there are no voters.
    pub fn is_empty(&self) -> bool {
        self.old.is_empty()
    }

    /// Every voter of either set, once.
    pub fn voters(&self) -> impl Iterator<Item = &Voter> {
        let newcomers = self.new.iter().filter(|v| self.old.iter().all(|o| o.id != v.id));
        self.old.iter().chain(newcomers)
    }

    /// Whether this node votes.
    pub fn contains(&self, id: u64) -> bool {
        self.voters().any(|v| v.id == id)
    }

    /// Rule 3: the greatest value that a majority of the old voters and a majority of the new ones
    /// have reached, each counted on its own; `None` without voters.
    #[must_use]
    pub fn reached<T: Ord + Copy>(&self, of: impl Fn(u64) -> T) -> Option<T> {
        let old = majority(&self.old, &of)?;
        Some(majority(&self.new, &of).map_or(old, |new| old.min(new)))
    }

    /// Rule 3: whether a majority of the old voters and a majority of the new ones do.
    #[must_use]
    pub fn quorum(&self, does: impl Fn(u64) -> bool) -> bool {
        self.reached(does).unwrap_or(false)
    }
}

/// The greatest value that more than half of a set have reached.
fn majority<T: Ord + Copy>(set: &Voters, of: &impl Fn(u64) -> T) -> Option<T> {
    let mut values: Vec<T, VOTERS> = set.iter().map(|v| of(v.id)).collect();
    values.sort_unstable_by(|a, b| b.cmp(a));
    values.get(set.len() / 2).copied()
}

const _: () = assert!(2 * VOTERS <= COUNCIL_PEERS);

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[u64]) -> Voters {
        ids.iter()
            .map(|id| Voter { id: *id, address: Address::v4([10, 0, 0, *id as u8], 1) })
            .collect()
    }

    /// A majority, said plainly.
    fn plain(ids: &[u64], yes: u32) -> bool {
        let agree = ids.iter().filter(|id| yes & 1 << **id != 0).count();
        agree > ids.len() - agree
    }

    #[test]
    fn quorums_are_majorities_of_both_sets() {
        let sets: [&[u64]; 6] =
            [&[1], &[1, 2, 3], &[3, 4, 5], &[4, 5, 6], &[1, 2, 3, 4, 5], &[2, 4]];
        for old in sets {
            for new in sets.into_iter().chain([&[][..]]) {
                let configuration = Configuration::from_parts(set(old), set(new)).unwrap();
                for yes in 0..1u32 << 7 {
                    let expected = plain(old, yes) && (new.is_empty() || plain(new, yes));
                    assert_eq!(configuration.quorum(|id| yes & 1 << id != 0), expected);
                }
            }
        }
    }

    #[test]
    fn two_quorums_of_neighbouring_configurations_share_a_voter() {
        let old = Configuration::of(set(&[1, 2, 3]));
        let joint = old.joint(&set(&[3, 4, 5])).unwrap();
        let new = Configuration::of(set(&[3, 4, 5]));
        for (a, b) in [(&old, &joint), (&joint, &joint), (&joint, &new)] {
            for ours in 0..1u32 << 6 {
                for theirs in 0..1u32 << 6 {
                    let both =
                        a.quorum(|id| ours & 1 << id != 0) && b.quorum(|id| theirs & 1 << id != 0);
                    assert!(!both || ours & theirs != 0);
                }
            }
        }
    }

    #[test]
    fn what_a_quorum_has_reached_is_the_middle_value() {
        let configuration = Configuration::of(set(&[1, 2, 3]));
        assert_eq!(configuration.reached(|id| id * 10), Some(20));
        let joint = configuration.joint(&set(&[1])).unwrap();
        assert_eq!(joint.reached(|id| id * 10), Some(10));
        assert_eq!(Configuration::EMPTY.reached(|id| id), None);
        assert!(!Configuration::EMPTY.quorum(|_| true));
    }

    #[test]
    fn a_voter_stands_once_and_at_one_address() {
        assert!(Configuration::from_parts(set(&[1, 1]), Voters::new()).is_none());
        assert!(Configuration::from_parts(set(&[0]), Voters::new()).is_none());
        assert!(Configuration::from_parts(Voters::new(), set(&[1])).is_none());
        let mut moved = set(&[1]);
        moved[0].address = Address::v4([10, 0, 0, 9], 1);
        assert!(Configuration::from_parts(set(&[1]), moved).is_none());
        assert!(Configuration::of(set(&[1])).joint(&Voters::new()).is_none());
    }

    #[test]
    fn each_voter_is_listed_once() {
        let joint = Configuration::of(set(&[1, 2, 3])).joint(&set(&[2, 3, 4])).unwrap();
        let ids: std::vec::Vec<u64> = joint.voters().map(|v| v.id).collect();
        assert_eq!(ids, [1, 2, 3, 4]);
        assert!(joint.contains(4) && !joint.contains(5));
    }
}
