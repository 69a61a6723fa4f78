//! What orders leaderships and what they change.

/// Nobody, among the ids of nodes.
pub const NOBODY: u64 = 0;

const NUMBER_BITS: u32 = 40;
/// Numbers from here on are not taken from others.
const NUMBER_END: u64 = 1 << (NUMBER_BITS - 1);
const GENERATION_END: u64 = 1 << 13;

/// The number of a leadership: Raft's term, behind the generation, which counts how often an
/// operator recovered the council. It is also the leadership's fencing token: below 2^53, and
/// greater with every leadership.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(u64);

impl Term {
    /// Before all leaderships.
    pub const ZERO: Self = Self(0);

    /// A term that was written as its token; `None` if nobody could have come that far by voting.
    pub const fn from_token(token: u64) -> Option<Self> {
        let term = Self(token);
        if term.number() < NUMBER_END && (token >> NUMBER_BITS) < GENERATION_END {
            Some(term)
        } else {
            None
        }
    }

    /// The fencing token.
    pub const fn token(self) -> u64 {
        self.0
    }

    /// How often the council was recovered by force.
    pub const fn generation(self) -> u16 {
        (self.0 >> NUMBER_BITS) as u16
    }

    /// Raft's term within the generation.
    pub const fn number(self) -> u64 {
        self.0 & ((1 << NUMBER_BITS) - 1)
    }

    /// The next term. By voting alone the numbers last for 17,000 years of a term a second.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Which version of the register: `(generation, term, seq)` in this order. One leader makes all
/// versions of a term, so an id names one content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// The leadership that proposed it.
    pub term: Term,
    /// Counts on over all terms.
    pub seq: u64,
}

impl Id {
    /// Of a register that holds nothing.
    pub const ZERO: Self = Self { term: Term::ZERO, seq: 0 };

    /// Whether changes can have led to it.
    #[must_use]
    pub const fn is_reachable(self) -> bool {
        self.seq < 1 << 62
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_leadership_has_a_greater_token() {
        let first = Term::ZERO.next();
        let recovered = Term::from_token(1 << NUMBER_BITS).unwrap();
        assert!(first.next().token() > first.token());
        assert!(recovered > first.next());
        assert_eq!((recovered.generation(), recovered.number()), (1, 0));
        assert_eq!((first.generation(), first.number()), (0, 1));
    }

    #[test]
    fn terms_that_nobody_reached_are_not_taken() {
        for token in [NUMBER_END, u64::MAX, GENERATION_END << NUMBER_BITS] {
            assert_eq!(Term::from_token(token), None);
        }
        let last = Term::from_token(NUMBER_END - 1).unwrap();
        assert_eq!(last.next().generation(), 0);
        let greatest = (GENERATION_END - 1) << NUMBER_BITS | (NUMBER_END - 1);
        assert!(Term::from_token(greatest).unwrap().token() < 1 << 53);
    }

    #[test]
    fn the_term_decides_before_the_seq() {
        let id = |token, seq| Id { term: Term::from_token(token).unwrap(), seq };
        assert!(id(2, 1) > id(1, 9));
        assert!(id(2, 2) > id(2, 1));
    }
}
