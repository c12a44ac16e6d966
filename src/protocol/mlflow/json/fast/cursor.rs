//! A cursor over the text of a request. Every method answers `None` where the text is not what a regular request has.

use std::borrow::Cow;

use crate::protocol::mlflow::json::read;

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    /// A number without fraction and exponent.
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
}

/// Where reading stands.
pub(super) struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pub(super) at: usize,
}

/// Powers of ten that a double holds exactly.
const EXACT_TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Whole numbers up to here are doubles exactly.
const EXACT_INTEGER: u64 = 1 << 53;

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor {
            text,
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    /// The next byte that is not white space.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Steps over this byte.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Steps over a comma (true) or the closing byte (false).
    #[inline]
    pub(super) fn more(&mut self, close: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            _ if byte == close => Some(false),
            _ => None,
        }
    }

    /// Bytes not yet read.
    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Whether nothing but white space is left.
    pub(super) fn ended(&mut self) -> bool {
        self.peek().is_none()
    }

    /// A string.
    #[inline]
    pub(super) fn string(&mut self) -> Option<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        let rest = self.bytes.get(start..)?;
        let length = rest
            .iter()
            .position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
        match rest.get(length)? {
            b'"' => {
                self.at = start + length + 1;
                self.text.get(start..start + length).map(Cow::Borrowed)
            }
            b'\\' => {
                let (string, end) = read::string_at(self.text, start - 1)?;
                self.at = end;
                Some(string)
            }
            _ => None,
        }
    }

    /// A key and its colon.
    #[inline]
    pub(super) fn key(&mut self) -> Option<Cow<'a, str>> {
        let key = self.string()?;
        self.expect(b':')?;
        Some(key)
    }

    /// One cell, which is no list and no object.
    #[inline]
    pub(super) fn token(&mut self) -> Option<Token<'a>> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string().map(Token::Text),
            b'n' => self.word(b"null", Token::Null),
            b't' => self.word(b"true", Token::Bool(true)),
            b'f' => self.word(b"false", Token::Bool(false)),
            b'N' => self.word(b"NaN", Token::Float(f64::NAN)),
            b'I' => self.word(b"Infinity", Token::Float(f64::INFINITY)),
            _ => None,
        }
    }

    fn word(&mut self, word: &[u8], token: Token<'a>) -> Option<Token<'a>> {
        self.bytes
            .get(self.at..)?
            .starts_with(word)
            .then(|| self.at += word.len())?;
        Some(token)
    }

    /// A number in plain notation, rounded exactly: by one division where its digits and power of ten are doubles
    /// themselves. `None` leaves anything else, and a number that ends the text, or is in
    /// one of less than eight bytes, where it is, for [`Cursor::token`].
    ///
    /// Digits are read eight at a time: a loop over them ends where the processor does not expect it, which costs more
    /// than reading them.
    #[inline]
    pub(super) fn plain_float(&mut self) -> Option<f64> {
        let negative = self.peek()? == b'-';
        let first = self.at + usize::from(negative);
        if let Some((magnitude, length)) = short(self.bytes, first) {
            self.at = first + length;
            return Some(signed(magnitude, negative));
        }
        let (whole, length) = digits(self.bytes, first)?;
        // Eight may go on; a leading zero is alone.
        if length == 0 || length == 8 || (length > 1 && self.bytes.get(first) == Some(&b'0')) {
            return None;
        }
        let mut at = first + length;
        match *self.bytes.get(at)? {
            b'.' => at += 1,
            b'e' | b'E' => return None,
            _ => {
                self.at = at;
                // A whole number has no negative zero.
                let whole = whole as i64;
                return Some(if negative { -whole } else { whole } as f64);
            }
        }
        let fraction = at;
        let mut mantissa = whole;
        loop {
            let (more, count) = digits(self.bytes, at)?;
            mantissa = mantissa.checked_mul(*POWERS.get(count)?)?.checked_add(more)?;
            at += count;
            if count < 8 {
                break;
            }
        }
        let places = at - fraction;
        if places == 0 || matches!(self.bytes.get(at), None | Some(b'e' | b'E')) {
            return None;
        }
        if mantissa <= EXACT_INTEGER
            && let Some(power) = EXACT_TENS.get(places)
        {
            self.at = at;
            return Some(signed(mantissa as f64 / power, negative));
        }
        let float = self.text.get(self.at..at)?.parse().ok()?;
        self.at = at;
        Some(float)
    }

    /// A number. Doubles are rounded exactly: directly where mantissa and power of ten are doubles themselves, else by
    /// the standard parser.
    #[inline]
    fn number(&mut self) -> Option<Token<'a>> {
        let start = self.at;
        let bytes = self.bytes;
        let mut at = start;
        let negative = *bytes.get(at)? == b'-';
        at += usize::from(negative);
        if negative && bytes.get(at) == Some(&b'I') {
            return self.word(b"-Infinity", Token::Float(f64::NEG_INFINITY));
        }
        let first = at;
        let mut mantissa = 0u64;
        // Digits beyond 19 may wrap; such numbers take the long way.
        while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            at += 1;
        }
        let whole = at - first;
        if whole == 0 || (whole > 1 && bytes.get(first) == Some(&b'0')) {
            return None;
        }
        let mut digits = whole;
        let mut exponent = 0i32;
        let mut float = false;
        if bytes.get(at) == Some(&b'.') {
            float = true;
            at += 1;
            let fraction = at;
            while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
                at += 1;
            }
            if at == fraction {
                return None;
            }
            digits += at - fraction;
            exponent = -i32::try_from(at - fraction).ok()?;
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            float = true;
            at += 1;
            let down = bytes.get(at) == Some(&b'-');
            at += usize::from(matches!(bytes.get(at), Some(b'-' | b'+')));
            let begin = at;
            let mut power = 0i32;
            while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
                power = power.saturating_mul(10).saturating_add(i32::from(digit - b'0'));
                at += 1;
            }
            if at == begin {
                return None;
            }
            exponent = exponent.saturating_add(if down { -power } else { power });
        }
        self.at = at;
        if !float {
            let integer = if digits <= 18 {
                let magnitude = i64::try_from(mantissa).ok()?;
                if negative { -magnitude } else { magnitude }
            } else {
                self.text.get(start..at)?.parse().ok()?
            };
            return Some(Token::Int(integer));
        }
        if digits <= 19 && mantissa <= EXACT_INTEGER {
            let power = EXACT_TENS.get(usize::try_from(exponent.unsigned_abs()).ok()?);
            if let Some(power) = power {
                let magnitude = if exponent < 0 {
                    mantissa as f64 / power
                } else {
                    mantissa as f64 * power
                };
                return Some(Token::Float(if negative { -magnitude } else { magnitude }));
            }
        }
        self.text.get(start..at)?.parse().ok().map(Token::Float)
    }

    /// Steps over one cell of any kind; lists and objects are not cells of regular requests.
    pub(super) fn skip_cell(&mut self) -> Option<()> {
        self.token().map(|_| ())
    }

    /// Steps over a list of whatever, to be read later: its end is found by counting brackets.
    pub(super) fn skip_list(&mut self) -> Option<()> {
        self.expect(b'[')?;
        let mut open = 1usize;
        while open > 0 {
            match self.peek()? {
                b'[' | b'{' => open += 1,
                b']' | b'}' => open -= 1,
                b'"' => {
                    self.string()?;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        Some(())
    }
}

/// Powers of ten that eight digits need.
const POWERS: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

/// Each byte of eight.
const EACH: u64 = 0x0101_0101_0101_0101;

/// Eight characters as the values of digits, and the high bits of those that are none. That holds up to the first that is
/// none, and up to the second where the first is ASCII: a carry may go to the byte behind one that is not.
#[inline]
fn told(eight: u64) -> (u64, u64) {
    // What a digit becomes is 0 to 9; the high bits of all else show it, at once or when 6 is added.
    let values = eight ^ (0x30 * EACH);
    (
        values,
        (values | values.wrapping_add(0x06 * EACH)) & (0xf0 * EACH),
    )
}

/// The number that eight digits are. Neighbours are joined: digits to pairs, pairs to fours, fours to the whole, each time
/// ten, a hundred, ten thousand of the one in front and one of the next.
#[inline]
fn joined(values: u64) -> u64 {
    let pairs = (values.wrapping_mul(1 + (10 << 8)) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(1 + (10_000 << 32)) >> 32
}

/// A number with its sign, without a jump that the processor could not foresee.
#[inline]
fn signed(magnitude: f64, negative: bool) -> f64 {
    f64::from_bits(magnitude.to_bits() | (u64::from(negative) << 63))
}

/// A number of at most seven characters, one of them the point, and their number: most that measurements are written as.
/// Its digits are read at once, for each step from one place of the text to the next has to wait for the one before.
#[inline]
fn short(bytes: &[u8], at: usize) -> Option<(f64, usize)> {
    let eight = u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?);
    let (values, others) = told(eight);
    // Bits before the point, and before what follows the digits behind it.
    let point = others.trailing_zeros() & !7;
    let behind = others & 0xffff_ffff_ffff_ff00_u64.checked_shl(point)?;
    let end = behind.trailing_zeros() & !7;
    let character = |at: u32| eight.checked_shr(at).map(|rest| rest as u8);
    let leads = point > 8 && character(0) == Some(b'0');
    if point == 0 || end <= point + 8 || leads || character(point) != Some(b'.') {
        return None;
    }
    if matches!(character(end)?, b'e' | b'E') {
        return None;
    }
    let before = (1 << point) - 1;
    let digits = (values & before) | ((values >> 8) & !before);
    // Zeros in front take the place of what follows the digits.
    let mantissa = joined(digits << (72 - end));
    let power = EXACT_TENS.get((end - point) as usize / 8 - 1)?;
    Some((mantissa as f64 / power, end as usize / 8))
}

/// The digits from there on, at most eight, as a number, and how many they are; `None` beyond the end.
#[inline]
fn digits(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let rest = bytes.get(at..)?;
    let eight = match rest.first_chunk::<8>() {
        Some(eight) => u64::from_le_bytes(*eight),
        // Zeros, which are no digits, stand for what is behind the end.
        None if rest.is_empty() => 0,
        None => u64::from_le_bytes(*bytes.last_chunk()?) >> (64 - 8 * rest.len()),
    };
    let (values, others) = told(eight);
    let count = (others.trailing_zeros() / 8) as usize;
    if count == 0 {
        return Some((0, 0));
    }
    // Zeros in front take the place of what follows the digits.
    Some((joined(values << (64 - 8 * count)), count))
}

#[cfg(test)]
mod tests;
