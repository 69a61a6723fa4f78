//! The scaled fractions in which a segment states the period of a counter and its error, and the
//! fixed-point numbers that products with them are.

/// A number below 1: `numerator / 2^(64 + shift)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fraction {
    /// In units of `2^-(64 + shift)`.
    pub numerator: u64,
    /// By how many bits it is scaled, so that a small number keeps its digits.
    pub shift: u8,
}

impl Fraction {
    /// In units of 2^-64, rounded down.
    pub(super) fn rounded_down(self) -> u64 {
        self.numerator.checked_shr(self.shift.into()).unwrap_or(0)
    }

    /// In units of 2^-64, rounded up, and by at most one of them.
    pub(super) fn rounded_up(self) -> u64 {
        self.rounded_down().saturating_add(u64::from(self.numerator != 0))
    }

    /// `self * count * unit`, rounded up: greater than the product by a unit of the result at most,
    /// and 0 only if the product is. `unit` is below 2^30, so that the product is below 2^94.
    #[inline]
    pub(super) fn times(self, count: u64, unit: u32) -> Fixed {
        let product = u128::from(self.numerator) * u128::from(count);
        // One half after the other: with the unit the product has up to 158 bits.
        let low = u128::from(product as u64) * u128::from(unit);
        let high = (product >> 64) * u128::from(unit) + (low >> 64);
        let scaled = (high << Fixed::BITS) | u128::from(low as u64 >> Fixed::BITS);
        let down = scaled.checked_shr(self.shift.into()).unwrap_or(0);
        Fixed(down + u128::from(product != 0))
    }
}

/// A number that is not negative, below 2^94, in units of 2^-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixed(pub(super) u128);

impl Fixed {
    /// So many of its bits are behind the point.
    pub(super) const BITS: u32 = 32;

    /// A whole number.
    pub(super) const fn whole(number: u64) -> Self {
        Self((number as u128) << Self::BITS)
    }

    /// A unit less, but not less than 0: what a product was before it was rounded up.
    pub(super) const fn unit_less(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// What is behind the point, in units of 2^-32.
    pub(super) const fn part(self) -> u32 {
        self.0 as u32
    }

    /// Rounded down to a whole number; `None` beyond an i64.
    pub(super) fn floor(self) -> Option<i64> {
        i64::try_from(self.0 >> Self::BITS).ok()
    }

    /// Rounded up to a whole number; `None` beyond an i64.
    pub(super) fn ceil(self) -> Option<i64> {
        Self(self.0 + u128::from(u32::MAX)).floor()
    }
}
