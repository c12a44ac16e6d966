//! Numbers as Python writes them.

use std::io::Write as _;

/// Appends Python's `repr` of a double: the shortest digits that read back as the same double, in plain notation for
/// exponents from -4 to 15. What is not finite becomes the bare word that Python's `json` writes.
pub(crate) fn write_f64(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        let word: &[u8] = if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        };
        out.extend_from_slice(word);
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    // The digits are Python's, and so is their layout but for these decades: zmij writes 1.5e-05 as 0.000015, and one
    // digit of exponent where Python writes two.
    if (1e-9..1e-4).contains(&value.abs()) {
        write_small(out, text.as_bytes());
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends an integer.
pub(crate) fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends an unsigned integer.
pub(crate) fn write_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Lays `0.0000ddd` out again as `d.dde-05`, and `d.dde-7` as `d.dde-07`.
fn write_small(out: &mut Vec<u8>, text: &[u8]) {
    // Exponents from -9 to -6 have one digit.
    if let [digits @ .., b'e', b'-', exponent] = text {
        out.extend_from_slice(digits);
        out.extend_from_slice(&[b'e', b'-', b'0', *exponent]);
        return;
    }
    let (sign, plain) = text.split_at(usize::from(text.first() == Some(&b'-')));
    let zeros = plain
        .iter()
        .take_while(|byte| matches!(byte, b'0' | b'.'))
        .count();
    out.extend_from_slice(sign);
    let digits = plain.get(zeros..).unwrap_or_default();
    let (first, rest) = digits.split_at(digits.len().min(1));
    out.extend_from_slice(first);
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest);
    }
    out.extend_from_slice(b"e-05");
}

/// Appends a moment, given in nanoseconds since the epoch, as pandas' `Timestamp.isoformat` does: no fraction when it
/// is zero, six digits when they suffice, else nine. `i64::MIN` is `NaT`.
pub(crate) fn write_iso(out: &mut Vec<u8>, nanoseconds: i64) {
    if nanoseconds == i64::MIN {
        out.extend_from_slice(b"NaT");
        return;
    }
    let seconds = nanoseconds.div_euclid(1_000_000_000);
    let fraction = nanoseconds.rem_euclid(1_000_000_000);
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let clock = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    );
    if fraction % 1_000 != 0 {
        let _ = write!(out, ".{fraction:09}");
    } else if fraction != 0 {
        let _ = write!(out, ".{:06}", fraction / 1_000);
    }
}

/// Year, month and day of a count of days since 1970-01-01, in the proleptic Gregorian calendar.
///
/// Eras of 400 years that begin on 1 March make the leap day the last of its year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repr(value: f64) -> String {
        let mut out = Vec::new();
        write_f64(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    fn iso(nanoseconds: i64) -> String {
        let mut out = Vec::new();
        write_iso(&mut out, nanoseconds);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (9999999999999998.0, "9999999999999998.0"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (-1.234e-5, "-1.234e-05"),
            (9.999e-5, "9.999e-05"),
            (1e-6, "1e-06"),
            (5e-324, "5e-324"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (1e100, "1e+100"),
            (f64::from(0.1f32), "0.10000000149011612"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(repr(value), expected);
        }
    }

    /// `tests/golden/numbers.txt` was written by Python: the bits of a double in hexadecimal, and its `repr`.
    #[test]
    fn every_number_of_the_corpus_is_written_as_python_wrote_it() {
        let corpus = include_str!("../../tests/golden/numbers.txt");
        let mut count = 0;
        for line in corpus.lines().filter(|line| !line.starts_with('#')) {
            let (bits, expected) = line.split_once(' ').unwrap();
            let value = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
            assert_eq!(repr(value), expected, "{bits}");
            count += 1;
        }
        assert!(count > 2_000, "{count}");
    }

    #[test]
    fn moments_are_written_as_pandas_writes_them() {
        for (nanoseconds, expected) in [
            (0, "1970-01-01T00:00:00"),
            (-1, "1969-12-31T23:59:59.999999999"),
            (1_704_164_645_000_000_000, "2024-01-02T03:04:05"),
            (1_704_164_645_000_678_000, "2024-01-02T03:04:05.000678"),
            (1_704_164_645_500_000_000, "2024-01-02T03:04:05.500000"),
            (1_704_164_645_000_000_007, "2024-01-02T03:04:05.000000007"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00"),
            (i64::MAX, "2262-04-11T23:47:16.854775807"),
            (i64::MIN + 1, "1677-09-21T00:12:43.145224193"),
            (i64::MIN, "NaT"),
        ] {
            assert_eq!(iso(nanoseconds), expected);
        }
    }

    proptest! {
        #[test]
        fn a_written_float_reads_back_as_itself(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(repr(value).parse::<f64>().unwrap().to_bits(), bits);
        }

        #[test]
        fn plain_notation_covers_exponents_from_minus_4_to_15(value in -1e20f64..1e20) {
            let text = repr(value);
            let scientific = value != 0.0 && !(1e-4..1e16).contains(&value.abs());
            prop_assert_eq!(text.contains('e'), scientific, "{}", text);
        }
    }
}
