//! What tracing systems note of a trace on its way, as `tracestate` says (W3C Trace Context, 3.3).

use std::fmt;

/// Members that a list may have.
const MAX_MEMBERS: usize = 32;
/// Characters that are kept of a list; the standard wants as many.
const MAX_LENGTH: usize = 512;
/// Longer members go first where a list is too long.
const LONG_MEMBER: usize = 128;
/// Characters of a key, and of a value.
const MAX_PART: usize = 256;

/// A list of notes, of which only their own systems know the meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceState(Box<str>);

impl TraceState {
    /// Reads the headers `tracestate`, of which there may be several. `None` where there is nothing in them, or where any is
    /// against the standard, which then count as absent.
    pub fn parse<'h>(headers: impl IntoIterator<Item = &'h [u8]>) -> Option<TraceState> {
        let mut members: Vec<&str> = Vec::new();
        for header in headers {
            let header = std::str::from_utf8(header).ok()?;
            for member in header.split(',') {
                let member = member.trim_matches([' ', '\t']);
                if member.is_empty() {
                    continue;
                }
                let (key, value) = member.split_once('=')?;
                let known = |other: &&str| other.split_once('=').is_some_and(|(other, _)| other == key);
                let full = members.len() >= MAX_MEMBERS;
                if full || !is_key(key) || !is_value(value) || members.iter().any(known) {
                    return None;
                }
                members.push(member);
            }
        }
        shorten(&mut members);
        (!members.is_empty()).then(|| TraceState(members.join(",").into()))
    }

    /// The list, as a header has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Takes whole members out of a list that is too long: long ones, then the last, which are the oldest.
fn shorten(members: &mut Vec<&str>) {
    let too_long =
        |members: &[&str]| members.iter().map(|member| member.len() + 1).sum::<usize>() > MAX_LENGTH + 1;
    if too_long(members) {
        members.retain(|member| member.len() <= LONG_MEMBER);
    }
    while too_long(members) {
        members.pop();
    }
}

fn is_key(key: &str) -> bool {
    let first = key.chars().next();
    let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '*' | '/' | '@');
    first.is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
        && key.len() <= MAX_PART
        && key.chars().all(allowed)
        && key.matches('@').count() <= 1
}

/// Visible characters and spaces within; what is around them was taken off.
fn is_value(value: &str) -> bool {
    let allowed = |c: char| matches!(c, ' '..='~') && c != ',' && c != '=';
    !value.is_empty() && value.len() <= MAX_PART && value.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(headers: &[&str]) -> Option<String> {
        let state = TraceState::parse(headers.iter().map(|header| header.as_bytes()));
        state.map(|state| state.to_string())
    }

    #[test]
    fn only_lists_of_the_standard_are_read() {
        for (headers, expected) in [
            (&["rojo=00f067aa0ba902b7"][..], Some("rojo=00f067aa0ba902b7")),
            (&["a=1, b=2", "c@d=x y"], Some("a=1,b=2,c@d=x y")),
            (&["a=1,,\t b=2 "], Some("a=1,b=2")),
            (&["1a/b*c_d-e=!"], Some("1a/b*c_d-e=!")),
            (&["", ","], None),
            (&["a"], None),
            (&["a="], None),
            (&["A=1"], None),
            (&["_a=1"], None),
            (&["a@b@c=1"], None),
            (&["a=1", "a=2"], None),
            (&["a=1=2"], None),
            (&["a=é"], None),
        ] {
            assert_eq!(parse(headers).as_deref(), expected, "{headers:?}");
        }
    }

    #[test]
    fn lists_are_bounded() {
        let many = |count: usize, length: usize| {
            let member = |number| format!("k{number}={}", "v".repeat(length));
            (0..count).map(member).collect::<Vec<_>>().join(",")
        };
        assert!(parse(&[&many(32, 1)]).is_some());
        assert_eq!(parse(&[&many(33, 1)]), None);
        assert_eq!(parse(&[&many(1, 257)]), None);
        // Whole members go, the long ones first.
        let kept = parse(&[&format!("long={},{}", "v".repeat(200), many(20, 20))]).unwrap();
        assert!(kept.starts_with("k0=") && kept.len() <= MAX_LENGTH, "{kept}");
        assert!(kept.len() > MAX_LENGTH - 30, "{kept}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(headers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 0..4)) {
            if let Some(state) = TraceState::parse(headers.iter().map(Vec::as_slice)) {
                prop_assert!(state.as_str().len() <= MAX_LENGTH);
            }
        }

        #[test]
        fn what_is_kept_is_read_again(text in "([a-c]{1,2}=[ -+.-9]{1,40},? ?){0,40}") {
            if let Some(state) = TraceState::parse([text.as_bytes()]) {
                prop_assert_eq!(TraceState::parse([state.as_str().as_bytes()]), Some(state));
            }
        }
    }
}
