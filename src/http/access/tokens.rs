//! Bearer tokens: what a server knows of them, the file that lists them, and new ones.
//!
//! Only SHA-256 digests are kept, in the file and in memory. A plain digest is right because tokens are 256 random bits:
//! there is nothing to guess that a slow or salted hash would protect, and it takes a request a tenth of a microsecond.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::bucket::{Bucket, Limit};
use super::role::Role;

/// Longer files list no tokens.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Tokens of one file.
const MAX_TOKENS: usize = 10_000;
/// Longer tokens are not looked at.
const MAX_TOKEN_BYTES: usize = 4096;
/// Names are for people, and in log lines.
const MAX_NAME_BYTES: usize = 64;
/// How a digest begins in the file.
const SCHEME: &str = "sha256:";
/// How a new token begins: searches for leaked secrets find it by that.
const PREFIX: &str = "mdt_";

/// SHA-256 of a token.
#[derive(Clone, Copy, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// That of a token.
    pub fn of(token: &str) -> Digest {
        Digest(Sha256::digest(token.as_bytes()).into())
    }

    fn parse(text: &str) -> Option<Digest> {
        let hex = text.strip_prefix(SCHEME)?.as_bytes();
        let mut digest = [0; 32];
        if hex.len() != 2 * digest.len() {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(hex.chunks(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            // `from_str_radix` would take a sign.
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Digest(digest))
    }
}

impl PartialEq for Digest {
    /// Takes the same time wherever two differ.
    fn eq(&self, other: &Digest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for Digest {
    /// By the map's hasher, which has a random key: where a digest lies in the map tells nothing of it.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Digest(…)")
    }
}

/// A line of the file: one token.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is for.
    pub role: Role,
    /// Whose it is, for people.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
    /// Its own limit, if it has one.
    pub limit: Option<Limit>,
}

impl fmt::Display for Line {
    /// As it is in the file.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {SCHEME}", self.role, self.name)?;
        for byte in self.digest.0 {
            write!(out, "{byte:02x}")?;
        }
        match self.limit {
            Some(Limit { rate, burst }) => write!(out, " rate={rate}:{burst}"),
            None => Ok(()),
        }
    }
}

/// Why a file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system does not give it.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It cannot be a list of tokens.
    #[error("it is longer than {MAX_FILE_BYTES} bytes, or no text")]
    NoText,
    /// Lines that are wrong, each with its number. Nothing of what stands there is repeated: it may be a token.
    #[error("{}", .0.join("; "))]
    Lines(Vec<String>),
}

/// Reads a file of tokens. Blocking.
///
/// # Errors
/// When it cannot be read, and with every mistake in it.
pub fn read(path: &Path) -> Result<Vec<Line>, Error> {
    let file = std::fs::File::open(path)?;
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(Error::NoText);
    }
    parse(std::str::from_utf8(&text).map_err(|_| Error::NoText)?)
}

/// Reads lines `ROLE NAME sha256:HEX [rate=RATE[:BURST]]`; empty ones, and what follows a `#` at a word's start, say
/// nothing.
///
/// # Errors
/// With every mistake. A list without a token is one: a file that is being written must not lock everybody out.
pub fn parse(text: &str) -> Result<Vec<Line>, Error> {
    let (mut lines, mut problems) = (Vec::new(), Vec::new());
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut digests: HashMap<Digest, usize> = HashMap::new();
    for (number, text) in (1..).zip(text.lines()) {
        let words: Vec<&str> = text
            .split_whitespace()
            .take_while(|word| !word.starts_with('#'))
            .collect();
        if words.is_empty() {
            continue;
        }
        match line(&words) {
            Ok(line) => {
                if let Some(before) = names.insert(line.name.clone(), number) {
                    problems.push(format!("line {number}: line {before} has the same name"));
                }
                if let Some(before) = digests.insert(line.digest, number) {
                    problems.push(format!("line {number}: line {before} has the same token"));
                }
                lines.push(line);
            }
            Err(problem) => problems.push(format!("line {number}: {problem}")),
        }
        if lines.len() > MAX_TOKENS {
            problems.push(format!("it has more than {MAX_TOKENS} tokens"));
            break;
        }
        if problems.len() >= MAX_PROBLEMS {
            break;
        }
    }
    if lines.is_empty() && problems.is_empty() {
        problems.push("it has no token; `modelsd token new` makes one".to_owned());
    }
    if problems.is_empty() {
        Ok(lines)
    } else {
        Err(Error::Lines(problems))
    }
}

/// Mistakes that are told of one file.
const MAX_PROBLEMS: usize = 20;

fn line(words: &[&str]) -> Result<Line, String> {
    let (role, name, digest, rest) = match words {
        [role, name, digest, rest @ ..] => (role, name, digest, rest),
        _ => return Err("a line is ROLE NAME sha256:HEX, as `modelsd token new` prints it".to_owned()),
    };
    let role = role.parse::<Role>().map_err(|error| format!("role: {error}"))?;
    check_name(name)?;
    let digest = Digest::parse(digest)
        .ok_or("the third word is not sha256: and 64 hexadecimal digits, as `modelsd token new` prints it")?;
    let limit = match rest {
        [] => None,
        [limit] => {
            let limit = limit
                .strip_prefix("rate=")
                .ok_or("the fourth word is not rate=RATE or rate=RATE:BURST")?;
            Some(limit.parse::<Limit>().map_err(|error| format!("rate: {error}"))?)
        }
        _ => return Err("there are more than four words".to_owned()),
    };
    Ok(Line {
        role,
        name: (*name).to_owned(),
        digest,
        limit,
    })
}

/// Whether a token may have this name.
///
/// # Errors
/// With what a name is.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
    if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(fits) {
        Ok(())
    } else {
        Err(format!(
            "a name is up to {MAX_NAME_BYTES} letters, digits and any of -_.@"
        ))
    }
}

/// A new token, and its line. The token is nowhere else.
///
/// # Errors
/// When the system has no random numbers.
pub fn mint(role: Role, name: &str, limit: Option<Limit>) -> Result<(String, Line), NoRandomness> {
    let mut random = [0; 32];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut random)
        .map_err(|_| NoRandomness)?;
    let mut token = PREFIX.to_owned();
    // Writing to a text does not fail.
    let _ = write!(token, "{}", URL_SAFE_NO_PAD.encode(random));
    let line = Line {
        role,
        name: name.to_owned(),
        digest: Digest::of(&token),
        limit,
    };
    Ok((token, line))
}

/// The system gives no random numbers.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandomness;

/// A token that is known.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) name: Box<str>,
    pub(super) role: Role,
    /// What it has left of its limit.
    pub(super) bucket: Option<Arc<Bucket>>,
    limit: Option<Limit>,
}

/// All tokens that are known.
#[derive(Debug, Default)]
pub(super) struct Tokens(HashMap<Digest, Token>);

impl Tokens {
    /// Those of these lines; `usual` is the limit of those that have none of their own. One that `before` knows with the
    /// same limit has no more left than it had.
    pub(super) fn new(lines: &[Line], usual: Option<Limit>, before: &Tokens, now: Instant) -> Tokens {
        let token = |line: &Line| {
            let limit = line.limit.or(usual);
            let kept = before.0.get(&line.digest);
            let kept = kept
                .filter(|kept| kept.limit == limit)
                .and_then(|kept| kept.bucket.clone());
            let bucket = kept.or_else(|| Some(Arc::new(Bucket::new(limit?, now))));
            let token = Token {
                name: line.name.as_str().into(),
                role: line.role,
                bucket,
                limit,
            };
            (line.digest, token)
        };
        Tokens(lines.iter().map(token).collect())
    }

    /// The one that is this.
    pub(super) fn find(&self, token: &str) -> Option<&Token> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        self.0.get(&Digest::of(token))
    }

    /// How many have this role.
    pub(super) fn count(&self, role: Role) -> usize {
        self.0.values().filter(|token| token.role == role).count()
    }
}

#[cfg(test)]
mod tests;
