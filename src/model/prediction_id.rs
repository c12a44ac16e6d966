//! The name of one prediction, under which its outcome is told later.
//!
//! An outcome may come days later, to another replica, and after every process was restarted. So the name itself says
//! which variant answered: nobody has to remember it, and a name that no variant of ours has made is recognised.
//!
//! It is a UUID of version 8 (RFC 9562, 5.8), from its highest bit on:
//!
//! | bits | what |
//! | --- | --- |
//! | 48 | milliseconds since 1970, so that names sort by time |
//! | 4 | the version, 8 |
//! | 12 | highest bits of the tag |
//! | 2 | the UUID's variant, binary 10 |
//! | 20 | lowest bits of the tag |
//! | 42 | random |
//!
//! Two predictions of one millisecond and one variant get the same name with a probability of 2⁻⁴².

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::model::moment::Moment;

/// Length of the text form.
pub const TEXT_LENGTH: usize = 36;

/// Bits of the random part.
const RANDOM_BITS: u32 = 42;
const RANDOM_MASK: u64 = (1 << RANDOM_BITS) - 1;
/// Bits of the tag that lie below the UUID's variant.
const LOW_TAG_BITS: u32 = 20;
const LOW_TAG_MASK: u32 = (1 << LOW_TAG_BITS) - 1;
/// Milliseconds that 48 bits hold: until the year 10889.
const MAX_MILLISECONDS: u64 = (1 << 48) - 1;
/// Version 8, and the variant of RFC 9562.
const FIXED: u128 = (8 << 76) | (2 << 62);
const FIXED_MASK: u128 = (15 << 76) | (3 << 62);

/// Where the text form has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// The name of one prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PredictionId(u128);

/// Why a text is no name of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PredictionIdError {
    /// It is no UUID with hyphens.
    #[error("not a prediction id: wanted 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12")]
    Form,
    /// It is a UUID of another kind.
    #[error("not a prediction id: a UUID, but not of version 8")]
    Version,
}

impl PredictionId {
    /// A new name. Of `random`, the lowest 42 bits count; a moment before 1970 counts as 1970.
    #[inline]
    pub fn new(tag: u32, now: impl Into<Moment>, random: u64) -> PredictionId {
        let time = u128::from(now.into().millis().min(MAX_MILLISECONDS)) << 80;
        let high = u128::from(tag >> LOW_TAG_BITS) << 64;
        let low = u128::from(tag & LOW_TAG_MASK) << RANDOM_BITS;
        PredictionId(time | FIXED | high | low | u128::from(random & RANDOM_MASK))
    }

    /// The share, from 0 to below 1, that chance gave this prediction: who takes the same share of predictions takes the
    /// same ones.
    pub fn lot(self) -> f64 {
        (self.0 as u64 & RANDOM_MASK) as f64 / (1u64 << RANDOM_BITS) as f64
    }

    /// The name that is this number, if it is one.
    ///
    /// # Errors
    /// [`PredictionIdError::Version`] for another kind of UUID.
    pub fn from_u128(number: u128) -> Result<PredictionId, PredictionIdError> {
        if number & FIXED_MASK == FIXED {
            Ok(PredictionId(number))
        } else {
            Err(PredictionIdError::Version)
        }
    }

    /// The UUID as a number, highest byte first in its text.
    pub fn as_u128(self) -> u128 {
        self.0
    }

    /// What [`tag_of`] said of the variant that answered.
    pub fn tag(self) -> u32 {
        let high = (self.0 >> 64) as u32 & 0xfff;
        let low = (self.0 >> RANDOM_BITS) as u32 & LOW_TAG_MASK;
        (high << LOW_TAG_BITS) | low
    }

    /// When the prediction was asked for, in milliseconds since 1970.
    pub fn milliseconds(self) -> u64 {
        (self.0 >> 80) as u64
    }

    /// When the prediction was asked for, to the millisecond.
    pub fn time(self) -> SystemTime {
        // 48 bits of milliseconds are far from what a `SystemTime` holds.
        UNIX_EPOCH + Duration::from_millis(self.milliseconds())
    }

    /// Writes the text form: lower case, with hyphens.
    #[inline]
    pub fn write(self, out: &mut [u8; TEXT_LENGTH]) {
        let part = |shift: u32| digits((self.0 >> shift) as u32).to_be_bytes();
        let (first, second, third, fourth) = (part(96), part(64), part(32), part(0));
        out[..8].copy_from_slice(&first);
        out[8] = b'-';
        out[9..13].copy_from_slice(&second[..4]);
        out[13] = b'-';
        out[14..18].copy_from_slice(&second[4..]);
        out[18] = b'-';
        out[19..23].copy_from_slice(&third[..4]);
        out[23] = b'-';
        out[24..28].copy_from_slice(&third[4..]);
        out[28..].copy_from_slice(&fourth);
    }
}

/// The eight digits of a number, the first in the highest byte: all at once, as this is written for every request.
#[inline]
fn digits(number: u32) -> u64 {
    const LOW: u64 = 0x0f0f_0f0f_0f0f_0f0f;
    const ONES: u64 = 0x0101_0101_0101_0101;
    // Halves of the number, then of the halves, are moved apart until each four bits have a byte.
    let mut nibbles = u64::from(number);
    nibbles = ((nibbles << 16) | nibbles) & 0x0000_ffff_0000_ffff;
    nibbles = ((nibbles << 8) | nibbles) & 0x00ff_00ff_00ff_00ff;
    nibbles = ((nibbles << 4) | nibbles) & LOW;
    // 1 in each byte of ten or more, which `6` makes carry into the upper half.
    let letters = ((nibbles + 6 * ONES) >> 4) & ONES;
    nibbles + u64::from(b'0') * ONES + letters * u64::from(b'a' - b'0' - 10)
}

impl fmt::Display for PredictionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; TEXT_LENGTH];
        self.write(&mut text);
        out.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl FromStr for PredictionId {
    type Err = PredictionIdError;

    /// Reads the text form, in either case.
    fn from_str(text: &str) -> Result<PredictionId, PredictionIdError> {
        let bytes = text.as_bytes();
        if bytes.len() != TEXT_LENGTH {
            return Err(PredictionIdError::Form);
        }
        let mut number = 0;
        for (place, &byte) in bytes.iter().enumerate() {
            if HYPHENS.contains(&place) {
                if byte != b'-' {
                    return Err(PredictionIdError::Form);
                }
            } else {
                let digit = char::from(byte).to_digit(16).ok_or(PredictionIdError::Form)?;
                number = (number << 4) | u128::from(digit);
            }
        }
        PredictionId::from_u128(number)
    }
}

/// The tag of what answers: the first four bytes, highest first, of the SHA-256 of the four texts, each after its length
/// as a number of four bytes, lowest first. It is the same on every machine and in every release: ids live in the
/// databases of clients. To be computed once a version, not once a request.
pub fn tag_of(route: &str, variant: &str, model: &str, version: &str) -> u32 {
    let mut hash = Sha256::new();
    for text in [route, variant, model, version] {
        hash.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        hash.update(text.as_bytes());
    }
    let first = hash.finalize().into_iter().take(4);
    first.fold(0, |tag, byte| (tag << 8) | u32::from(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(milliseconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_layout_is_fixed() {
        let id = PredictionId::new(0xabc_12345, at(0x0123_4567_89ab), 0x3ff_ffff_ffff);
        assert_eq!(id.to_string(), "01234567-89ab-8abc-848d-17ffffffffff");
        assert_eq!((id.tag(), id.time()), (0xabc_12345, at(0x0123_4567_89ab)));
    }

    #[test]
    fn the_tag_is_fixed() {
        // Python: hashlib.sha256(b"".join(struct.pack("<I", len(p)) + p for p in parts)).hexdigest()[:8]
        assert_eq!(tag_of("iris", "challenger", "iris", "7"), TAG);
        assert_ne!(tag_of("ab", "c", "", ""), tag_of("a", "bc", "", ""));
    }

    const TAG: u32 = 0x0c28c863;

    #[test]
    fn other_texts_are_refused() {
        let check = |text: &str, expected| {
            assert_eq!(text.parse::<PredictionId>(), Err(expected), "{text}");
        };
        check("", PredictionIdError::Form);
        check("0123456789ab8abc848d17ffffffffff", PredictionIdError::Form);
        check("01234567-89ab-8abc-848d-17fffffffffg", PredictionIdError::Form);
        check("01234567-89ab-8abc-848d+17ffffffffff", PredictionIdError::Form);
        check("+1234567-89ab-8abc-848d-17ffffffffff", PredictionIdError::Form);
        check("01234567-89ab-8abc-848d-17fffffffffé", PredictionIdError::Form);
        check("01234567-89ab-4abc-848d-17ffffffffff", PredictionIdError::Version);
        check("01234567-89ab-8abc-c48d-17ffffffffff", PredictionIdError::Version);
    }

    #[test]
    fn times_out_of_range_are_the_nearest_in_range() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(PredictionId::new(0, before, 0).time(), UNIX_EPOCH);
        let after = at(MAX_MILLISECONDS + 5);
        assert_eq!(PredictionId::new(0, after, 0).time(), at(MAX_MILLISECONDS));
    }

    proptest! {
        #[test]
        fn ids_come_back(tag: u32, milliseconds in 0..=MAX_MILLISECONDS, random: u64) {
            let id = PredictionId::new(tag, at(milliseconds), random);
            prop_assert_eq!((id.tag(), id.time()), (tag, at(milliseconds)));
            let text = id.to_string();
            prop_assert_eq!(text.parse::<PredictionId>(), Ok(id));
            prop_assert_eq!(text.to_uppercase().parse::<PredictionId>(), Ok(id));
            prop_assert_eq!(PredictionId::from_u128(id.as_u128()), Ok(id));
            let uuid: uuid::Uuid = text.parse().unwrap();
            prop_assert_eq!(uuid.as_u128(), id.as_u128());
            prop_assert_eq!(uuid.get_version_num(), 8);
            prop_assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        }

        #[test]
        fn what_is_read_is_what_was_written(text in "[0-9a-f-]{36}|\\PC{0,40}") {
            if let Ok(id) = text.parse::<PredictionId>() {
                prop_assert_eq!(id.to_string(), text.to_lowercase());
            }
        }

        #[test]
        fn later_ids_sort_after(one in 0..MAX_MILLISECONDS, tags: [u32; 2], random: [u64; 2]) {
            let earlier = PredictionId::new(tags[0], at(one), random[0]);
            let later = PredictionId::new(tags[1], at(one + 1), random[1]);
            prop_assert!(earlier < later);
            prop_assert!(earlier.to_string() < later.to_string());
        }
    }
}
