//! Text to nanoseconds as NumPy's `datetime64[ns]` reads it, wrapping around where 64 bits do not suffice.

use super::{NAT, days_in, nanoseconds};
use crate::protocol::mlflow::python::{Raised, glimpse};

/// `np.datetime64(text, 'ns')`.
pub(super) fn parse(text: &str) -> Result<i64, Raised> {
    let bytes = text.as_bytes();
    let mut reader = Reader {
        text,
        bytes,
        at: bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count(),
    };
    if text.is_empty() || text.eq_ignore_ascii_case("nat") {
        return Ok(NAT);
    }
    let negative = match reader.peek() {
        Some(sign @ (b'-' | b'+')) => {
            reader.at += 1;
            sign == b'-'
        }
        _ => false,
    };
    let start = reader.at;
    let mut year = 0i64;
    while let Some(digit @ b'0'..=b'9') = reader.peek() {
        year = year.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
        reader.at += 1;
    }
    if reader.at == start {
        return Err(reader.stuck());
    }
    let year = if negative { year.wrapping_neg() } else { year };
    let (mut month, mut day, mut of_day) = (1, 1, 0i128);
    'date: {
        if reader.ended() {
            break 'date;
        }
        reader.expect(b"-")?;
        month = reader.two()?;
        if !(1..=12).contains(&month) {
            return Err(reader.range("Month"));
        }
        if reader.ended() {
            break 'date;
        }
        reader.expect(b"-")?;
        day = reader.two()?;
        if day == 0 || day > days_in(year, month) {
            return Err(reader.range("Day"));
        }
        if reader.ended() {
            break 'date;
        }
        reader.expect(b"T ")?;
        of_day = reader.time_of_day()?;
    }
    // C's 64-bit arithmetic wraps; so does the truncation of the exact count.
    Ok(nanoseconds(year, month, day, of_day) as i64)
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn ended(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn stuck(&self) -> Raised {
        let text = glimpse(self.text);
        Raised::new(
            "ValueError",
            format!("Error parsing datetime string \"{text}\" at position {}", self.at),
        )
    }

    fn range(&self, what: &str) -> Raised {
        Raised::new(
            "ValueError",
            format!(
                "{what} out of range in datetime string \"{}\"",
                glimpse(self.text)
            ),
        )
    }

    fn expect(&mut self, any_of: &[u8]) -> Result<(), Raised> {
        match self.peek() {
            Some(byte) if any_of.contains(&byte) => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.stuck()),
        }
    }

    fn two(&mut self) -> Result<u32, Raised> {
        match self.bytes.get(self.at..self.at + 2) {
            Some(&[tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => {
                self.at += 2;
                Ok(u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
            }
            _ => Err(self.stuck()),
        }
    }

    /// Hours, then as far as the text goes minutes, seconds, a fraction and an offset.
    fn time_of_day(&mut self) -> Result<i128, Raised> {
        const SECOND: i128 = 1_000_000_000;
        let hours = self.two()?;
        if hours >= 24 {
            return Err(self.range("Hours"));
        }
        let mut time = i128::from(hours) * 3600 * SECOND;
        if self.peek() != Some(b':') {
            return Ok(time - self.offset()?);
        }
        self.at += 1;
        let minutes = self.two()?;
        if minutes >= 60 {
            return Err(self.range("Minutes"));
        }
        time += i128::from(minutes) * 60 * SECOND;
        if self.peek() != Some(b':') {
            return Ok(time - self.offset()?);
        }
        self.at += 1;
        let seconds = self.two()?;
        if seconds >= 60 {
            return Err(self.range("Seconds"));
        }
        time += i128::from(seconds) * SECOND;
        if self.peek() == Some(b'.') {
            self.at += 1;
            let mut unit = SECOND;
            while let Some(digit @ b'0'..=b'9') = self.peek() {
                unit /= 10;
                time += unit * i128::from(digit - b'0');
                self.at += 1;
            }
        }
        Ok(time - self.offset()?)
    }

    /// Nanoseconds east of Greenwich, 0 where none is given; the text must end here.
    fn offset(&mut self) -> Result<i128, Raised> {
        let sign = match self.peek() {
            None => return Ok(0),
            Some(b'Z') => {
                self.at += 1;
                return if self.ended() { Ok(0) } else { Err(self.stuck()) };
            }
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return Err(self.stuck()),
        };
        self.at += 1;
        let hours = self.two()?;
        if hours >= 24 {
            return Err(self.range("Timezone hours offset"));
        }
        if self.peek() == Some(b':') {
            self.at += 1;
        }
        let minutes = if self.ended() { 0 } else { self.two()? };
        if minutes >= 60 {
            return Err(self.range("Timezone minutes offset"));
        }
        if !self.ended() {
            return Err(self.stuck());
        }
        Ok(sign * i128::from(hours * 60 + minutes) * 60_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numpy_reads_iso_dates() {
        for (text, wanted) in [
            ("2024", 1_704_067_200_000_000_000),
            ("2024-01", 1_704_067_200_000_000_000),
            (" 2024-01-02", 1_704_153_600_000_000_000),
            ("2024-01-02 03:04", 1_704_164_640_000_000_000),
            ("2024-01-02T03:04:05.1234567891", 1_704_164_645_123_456_789),
            ("2024-01-02T03:04:05+02:00", 1_704_157_445_000_000_000),
            ("2024-01-02T03:04:05-0230", 1_704_173_645_000_000_000),
            ("2024-01-02T03Z", 1_704_164_400_000_000_000),
            ("20240102", 9_033_516_901_613_502_464),
            ("-5", -6_984_753_378_871_345_152),
            ("9999-01-01", -4_883_652_231_933_722_624),
            ("NaT", NAT),
        ] {
            assert_eq!(parse(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn numpy_says_where_it_stopped() {
        for (text, wanted) in [
            ("abc", "Error parsing datetime string \"abc\" at position 0"),
            (
                "2024-1-2",
                "Error parsing datetime string \"2024-1-2\" at position 5",
            ),
            (
                "2024-01-02x",
                "Error parsing datetime string \"2024-01-02x\" at position 10",
            ),
            (
                "2024-01-02T",
                "Error parsing datetime string \"2024-01-02T\" at position 11",
            ),
            (
                "2024-01-02T03:4",
                "Error parsing datetime string \"2024-01-02T03:4\" at position 14",
            ),
            (
                "2024-01-02T03:04:05Zx",
                "Error parsing datetime string \"2024-01-02T03:04:05Zx\" at position 20",
            ),
            (
                "2024-13-01",
                "Month out of range in datetime string \"2024-13-01\"",
            ),
            ("2024-02-30", "Day out of range in datetime string \"2024-02-30\""),
        ] {
            assert_eq!(parse(text).unwrap_err().message, wanted);
        }
    }
}
