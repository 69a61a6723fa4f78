//! Who ought to vote: the leader's choice, from what membership knows.
//!
//! It is about survival, not safety: whatever is chosen, `reconfigure` changes to it by the rules.

use heapless::Vec;

use super::configuration::{Voter, Voters};
use crate::limits::VOTERS;
use crate::time::Duration;

/// A fleet of more members than this has five voters, until it has fewer than [`FEWER_BELOW`].
const MORE_ABOVE: u32 = 60;
const FEWER_BELOW: u32 = 40;

/// A member, as a voter that is or could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id and address.
    pub voter: Voter,
    /// For how long it has been alive without a break.
    pub stable: Duration,
    /// Which zone it is in, as a hash of its tag; 0 = it does not say.
    pub zone: u32,
    /// It may vote, and is not about to go.
    pub willing: bool,
    /// It is alive; a voter: it has answered within the last 10 s, under its id.
    pub answers: bool,
}

/// How long a member has to have been stable.
#[derive(Clone, Copy, Debug)]
pub struct Eligible {
    /// 30 s unless told otherwise: so a burst of newcomers changes no voter.
    pub after: Duration,
    /// While there are fewer than three voters; then, if nobody is that old, the oldest will do.
    pub first_after: Duration,
}

impl Eligible {
    /// 30 s, and 3 s for the first ones.
    pub const DEFAULT: Self =
        Self { after: Duration::from_secs(30), first_after: Duration::from_secs(3) };
}

/// How many voters there ought to be. `agreed` is the constant, 0 = by the size of the fleet, with
/// some inertia.
#[must_use]
pub const fn target(agreed: u8, members: u32, now: usize) -> usize {
    match agreed {
        0 if members > MORE_ABOVE || now >= 5 && members >= FEWER_BELOW => 5,
        0 => 3,
        agreed => agreed as usize,
    }
}

/// The voters that there ought to be, of an odd number; `None` if it is those that there are.
/// The leader `me` is always one.
///
/// - Who leaves goes, and is replaced by whoever is ready, or by nobody.
/// - Who does not answer is replaced, but never just dropped: it may come back, and a majority of
///   fewer voters is no better.
/// - Newcomers come from zones without a voter first, then the longest stable ones.
#[must_use]
pub fn choose<C>(
    me: u64,
    now: &Voters,
    target: usize,
    eligible: &Eligible,
    candidates: C,
) -> Option<Voters>
where
    C: Iterator<Item = Candidate> + Clone,
{
    let about = |voter: &Voter| candidates.clone().find(|c| c.voter == *voter);
    let stays = |voter: &Voter| voter.id == me || about(voter).is_none_or(|c| c.willing);
    let answers = |voter: &Voter| voter.id == me || about(voter).is_some_and(|c| c.answers);
    let zone = |voter: &Voter| about(voter).map_or(0, |c| c.zone);
    let mut chosen: Voters = now.iter().filter(|v| stays(v) && answers(v)).copied().collect();
    let mut silent: Voters = now.iter().filter(|v| stays(v) && !answers(v)).copied().collect();
    while chosen.len() > target {
        drop_youngest(&mut chosen, me, about);
    }
    while chosen.len() < target {
        let taken = |id| now.iter().chain(&chosen).any(|v| v.id == id);
        let zones: Vec<u32, VOTERS> = chosen.iter().map(zone).collect();
        let free = candidates.clone().filter(|c| !taken(c.voter.id) && c.willing && c.answers);
        let Some(next) = newcomer(free, &zones, now.len(), eligible) else { break };
        // There are fewer than the target, which is at most what fits.
        let _ = chosen.push(next.voter);
    }
    // In the order in which they were chosen: the first ones first.
    silent.reverse();
    while chosen.len() < target.min(now.len()) {
        let Some(voter) = silent.pop() else { break };
        let _ = chosen.push(voter);
    }
    if chosen.len().is_multiple_of(2) {
        // One more newcomer would have been chosen, so one is too many: a new one, if there is.
        let fresh = chosen.iter().rposition(|v| !now.contains(v));
        match fresh {
            Some(at) => drop(chosen.remove(at)),
            None => drop_youngest(&mut chosen, me, about),
        }
    }
    let same = chosen.len() == now.len() && chosen.iter().all(|v| now.contains(v));
    (!same && !chosen.is_empty()).then_some(chosen)
}

/// Takes one out: who does not answer, then who has been stable for the shortest time.
fn drop_youngest(voters: &mut Voters, me: u64, about: impl Fn(&Voter) -> Option<Candidate>) {
    let worth = |voter: &Voter| {
        about(voter).map(|c| (c.answers, c.stable)).unwrap_or((false, Duration::ZERO))
    };
    let others = voters.iter().enumerate().filter(|(_, v)| v.id != me);
    if let Some((at, _)) = others.min_by_key(|(_, v)| worth(v)) {
        voters.remove(at);
    }
}

/// The next newcomer.
fn newcomer(
    free: impl Iterator<Item = Candidate> + Clone,
    zones: &[u32],
    now: usize,
    eligible: &Eligible,
) -> Option<Candidate> {
    let few = now < 3;
    let after = if few { eligible.first_after } else { eligible.after };
    let rank = |c: &Candidate| (!zones.contains(&c.zone), c.stable, c.voter.id);
    let stable = free.clone().filter(|c| c.stable >= after).max_by_key(rank);
    stable.or_else(|| free.filter(|_| few).max_by_key(|c| (c.stable, c.voter.id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use std::vec::Vec as List;

    fn voter(id: u64) -> Voter {
        Voter { id, address: Address::v4([10, 0, 0, id as u8], 6434) }
    }

    fn member(id: u64, stable_s: u64) -> Candidate {
        let stable = Duration::from_secs(stable_s);
        Candidate { voter: voter(id), stable, zone: 0, willing: true, answers: true }
    }

    fn voters(ids: &[u64]) -> Voters {
        ids.iter().map(|id| voter(*id)).collect()
    }

    fn chosen(now: &[u64], target: usize, candidates: &[Candidate]) -> Option<List<u64>> {
        let me = now[0];
        let candidates = candidates.iter().copied();
        let chosen = choose(me, &voters(now), target, &Eligible::DEFAULT, candidates)?;
        let mut ids: List<u64> = chosen.iter().map(|v| v.id).collect();
        ids.sort_unstable();
        Some(ids)
    }

    #[test]
    fn five_voters_from_61_members_on_and_down_to_40() {
        assert_eq!(target(0, 60, 3), 3);
        assert_eq!(target(0, 61, 3), 5);
        assert_eq!(target(0, 40, 5), 5);
        assert_eq!(target(0, 39, 5), 3);
        assert_eq!(target(7, 3, 3), 7);
    }

    #[test]
    fn one_becomes_three_and_never_two() {
        let old = [member(1, 100), member(2, 50)];
        assert_eq!(chosen(&[1], 3, &old), None);
        let three = [old[0], old[1], member(3, 4)];
        assert_eq!(chosen(&[1], 3, &three), Some([1, 2, 3].to_vec()));
        // Nobody is old enough: the oldest then.
        let young = [member(1, 2), member(2, 1), member(3, 1), member(4, 2)];
        assert_eq!(chosen(&[1], 3, &young), Some([1, 3, 4].to_vec()));
    }

    #[test]
    fn a_burst_of_newcomers_changes_nothing() {
        let mut all = [1, 2, 3].map(|id| member(id, 1_000)).to_vec();
        all.extend((4..200).map(|id| member(id, 29)));
        assert_eq!(chosen(&[1, 2, 3], 3, &all), None);
        assert_eq!(chosen(&[1, 2, 3], 5, &all), None);
        all[10].stable = Duration::from_secs(30);
        assert_eq!(chosen(&[1, 2, 3], 5, &all), None, "one alone would make four");
        all[11].stable = Duration::from_secs(30);
        assert_eq!(chosen(&[1, 2, 3], 5, &all), Some([1, 2, 3, 11, 12].to_vec()));
    }

    #[test]
    fn who_does_not_answer_is_replaced_but_not_dropped() {
        let silent = Candidate { answers: false, ..member(3, 500) };
        let three = [member(1, 500), member(2, 500), silent];
        assert_eq!(chosen(&[1, 2, 3], 3, &three), None);
        let spare = [three[0], three[1], three[2], member(4, 31)];
        assert_eq!(chosen(&[1, 2, 3], 3, &spare), Some([1, 2, 4].to_vec()));
        // Membership has forgotten it.
        assert_eq!(chosen(&[1, 2, 3], 3, &[three[0], three[1]]), None);
    }

    #[test]
    fn who_leaves_goes() {
        let leaving = Candidate { willing: false, ..member(3, 500) };
        let three = [member(1, 500), member(2, 500), leaving];
        assert_eq!(chosen(&[1, 2, 3], 3, &three), Some([1].to_vec()));
        let spare = [three[0], three[1], three[2], member(4, 31)];
        assert_eq!(chosen(&[1, 2, 3], 3, &spare), Some([1, 2, 4].to_vec()));
        let both = [three[0], Candidate { willing: false, ..three[1] }, leaving];
        assert_eq!(chosen(&[1, 2, 3], 3, &both), Some([1].to_vec()));
    }

    #[test]
    fn fewer_are_wanted() {
        let mut five = [1, 2, 3, 4, 5].map(|id| member(id, 100 - id));
        assert_eq!(chosen(&[5, 1, 2, 3, 4], 3, &five), Some([1, 2, 5].to_vec()));
        five[0].answers = false;
        assert_eq!(chosen(&[5, 1, 2, 3, 4], 3, &five), Some([2, 3, 5].to_vec()));
        assert_eq!(chosen(&[1, 2, 3], 1, &five), Some([1].to_vec()));
    }

    #[test]
    fn other_zones_come_first() {
        let zoned = |id, stable_s, zone| Candidate { zone, ..member(id, stable_s) };
        let all = [
            zoned(1, 900, 7),
            zoned(2, 800, 7),
            zoned(3, 700, 7),
            zoned(4, 60, 8),
            zoned(5, 50, 9),
        ];
        assert_eq!(chosen(&[1], 3, &all), Some([1, 4, 5].to_vec()));
    }

    /// Whatever is known: an odd number of different voters, the leader among them, nobody who
    /// leaves, and no more than there were dropped without a reason.
    #[test]
    fn a_choice_is_always_one_that_can_be_made() {
        let mut rng = crate::rng::Rng::new(5);
        for _ in 0..20_000 {
            let count = 1 + rng.below(9) as u64;
            let all: List<Candidate> = (1..=count)
                .map(|id| Candidate {
                    zone: rng.below(3),
                    willing: rng.below(4) > 0,
                    answers: rng.below(4) > 0,
                    ..member(id, u64::from(rng.below(60)))
                })
                .collect();
            let size = [1, 3, 5, 7][rng.below(4) as usize].min(count - (count + 1) % 2);
            let now: List<u64> = (1..=size).collect();
            let target = [1, 3, 5, 7][rng.below(4) as usize];
            let Some(chosen) = chosen(&now, target, &all) else { continue };
            assert!(chosen.len() % 2 == 1 && chosen.contains(&1), "{chosen:?}");
            assert!(chosen.windows(2).all(|pair| pair[0] != pair[1]), "{chosen:?}");
            let of = |id: &u64| all[*id as usize - 1];
            assert!(chosen.iter().all(|id| *id == 1 || of(id).willing), "{chosen:?}");
            let goes = now.iter().any(|id| *id != 1 && !of(id).willing);
            assert!(goes || chosen.len() >= now.len().min(target), "{now:?} -> {chosen:?}");
        }
    }
}
