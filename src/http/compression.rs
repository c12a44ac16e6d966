//! Compressed answers, for clients that ask for them and where it is worth its time.

use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use axum::http::{HeaderMap, HeaderValue, Response};
use flate2::Compression;
use flate2::bufread::GzEncoder;
use std::io::{self, Read};

use super::encoding::Coding;

/// Answers below this many bytes are sent as they are. Beginning to compress takes about 50 µs, more than most small models
/// do, and many clients ask without a thought: Python's do by default. From here on it spares two packets of three.
pub(super) const WORTH: usize = 4 << 10;
/// The fastest level of both: the next ones take longer than they save on a network within a data centre.
const LEVEL: u8 = 1;

/// What a client takes, by its `accept-encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    /// The coding it likes best of ours, if it likes that as much as an answer without.
    coding: Option<Coding>,
    /// Whether it takes an answer without coding.
    identity: bool,
}

/// A body and the coding it is in.
pub(super) struct Coded {
    /// The body.
    pub(super) body: Vec<u8>,
    /// Its coding.
    coding: Option<Coding>,
    /// Whether another client could have got another coding.
    varies: bool,
}

impl Wish {
    /// Reads the header; `None` where there is none, as in most requests.
    pub(super) fn of(headers: &HeaderMap) -> Option<Wish> {
        headers.get(ACCEPT_ENCODING)?;
        let mut given = Given::default();
        for value in headers.get_all(ACCEPT_ENCODING) {
            // What is no text is no wish.
            for element in value.to_str().unwrap_or_default().split(',') {
                given.note(element);
            }
        }
        Some(given.wish())
    }

    /// Compresses a body as wished, where it is worth it.
    pub(super) fn grant(self, body: Vec<u8>) -> Coded {
        let worth = body.len() >= WORTH;
        let coding = self.coding.filter(|_| worth || !self.identity);
        let compressed = coding.and_then(|coding| Some((compress(coding, &body).ok()?, coding)));
        match compressed {
            Some((small, coding)) if small.len() < body.len() || !self.identity => Coded {
                body: small,
                coding: Some(coding),
                varies: true,
            },
            _ => Coded {
                body,
                coding: None,
                varies: worth,
            },
        }
    }
}

impl Coded {
    /// A body as it is.
    pub(super) fn plain(body: Vec<u8>) -> Coded {
        Coded {
            body,
            coding: None,
            varies: false,
        }
    }

    /// Makes an answer of it that has these headers.
    pub(super) fn into_response<B: From<Vec<u8>>>(self, mut headers: HeaderMap) -> Response<B> {
        if let Some(coding) = self.coding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        if self.varies {
            headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        let mut response = Response::new(B::from(self.body));
        *response.headers_mut() = headers;
        response
    }
}

/// Weights in thousandths, of what was named.
#[derive(Default)]
struct Given {
    gzip: Option<u16>,
    zstd: Option<u16>,
    identity: Option<u16>,
    any: Option<u16>,
}

impl Given {
    /// Reads `coding`, or `coding;q=0.5`; what is neither is passed over.
    fn note(&mut self, element: &str) {
        let (name, weight) = match element.split_once(';') {
            Some((name, weight)) => (name, weight_of(weight)),
            None => (element, Some(1000)),
        };
        let name = name.trim();
        let place = match Coding::named(name) {
            Some(Coding::Gzip) => &mut self.gzip,
            Some(Coding::Zstd) => &mut self.zstd,
            None if name.eq_ignore_ascii_case("identity") => &mut self.identity,
            None if name == "*" => &mut self.any,
            None => return,
        };
        *place = weight.or(*place);
    }

    fn wish(&self) -> Wish {
        let weight = |own: Option<u16>| own.or(self.any).unwrap_or(0);
        let (zstd, gzip) = (weight(self.zstd), weight(self.gzip));
        // Of equals, the one that is faster and smaller.
        let (best, coding) = if gzip > zstd {
            (gzip, Coding::Gzip)
        } else {
            (zstd, Coding::Zstd)
        };
        let liked = best > 0 && best >= self.identity.unwrap_or(0);
        Wish {
            coding: liked.then_some(coding),
            // Not naming it forbids it only to who forbids all that is not named (RFC 9110, 12.5.3).
            identity: self.identity.or(self.any) != Some(0),
        }
    }
}

/// Reads `q=0.5` (RFC 9110, 12.4.2).
fn weight_of(text: &str) -> Option<u16> {
    let (name, value) = text.split_once('=')?;
    let value = value.trim();
    let fits = value.len() <= 5 && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let weight: f32 = value.parse().ok().filter(|_| fits)?;
    let known = name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&weight);
    known.then_some((weight * 1000.0).round() as u16)
}

fn compress(coding: Coding, body: &[u8]) -> io::Result<Vec<u8>> {
    match coding {
        Coding::Zstd => zstd::bulk::compress(body, i32::from(LEVEL)),
        Coding::Gzip => {
            let mut small = Vec::with_capacity(body.len() / 2);
            GzEncoder::new(body, Compression::new(u32::from(LEVEL))).read_to_end(&mut small)?;
            Ok(small)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::encoding;

    fn wish(values: &[&str]) -> Option<Wish> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT_ENCODING, value.parse().unwrap());
        }
        Wish::of(&headers)
    }

    fn check(value: &str, coding: Option<Coding>, identity: bool) {
        assert_eq!(wish(&[value]), Some(Wish { coding, identity }), "{value}");
    }

    #[test]
    fn weights_choose() {
        use Coding::{Gzip, Zstd};
        assert_eq!(wish(&[]), None);
        for (value, coding, identity) in [
            ("", None, true),
            ("gzip", Some(Gzip), true),
            ("X-GZIP", Some(Gzip), true),
            ("gzip, deflate, br, zstd", Some(Zstd), true),
            ("zstd;q=0.5, gzip;q=0.501", Some(Gzip), true),
            ("zstd ; Q=0.5 , gzip ; q=0.5", Some(Zstd), true),
            ("gzip;q=0", None, true),
            ("br", None, true),
            ("*", Some(Zstd), true),
            ("*;q=0.1, zstd;q=0", Some(Gzip), true),
            ("identity, gzip;q=0.9", None, true),
            ("identity;q=0.9, gzip;q=0.9", Some(Gzip), true),
            ("identity;q=0", None, false),
            ("gzip, identity;q=0", Some(Gzip), false),
            ("gzip, *;q=0", Some(Gzip), false),
            ("gzip, identity;q=0.1, *;q=0", Some(Gzip), true),
            ("gzip;q=2, zstd;q=-1, gzip;p=1", None, true),
            ("gzip;q=NaN, zstd;q=1e0", None, true),
        ] {
            check(value, coding, identity);
        }
        let both = wish(&["br, gzip;q=0.1", "zstd"]).unwrap();
        assert_eq!(both.coding, Some(Zstd));
    }

    #[test]
    fn only_what_is_asked_for_and_worth_it_is_compressed() {
        let grant = |value: &str, length: usize| {
            let coded = wish(&[value]).unwrap().grant(vec![b'1'; length]);
            (coded.coding, coded.varies, coded.body.len() < length)
        };
        assert_eq!(grant("zstd", WORTH), (Some(Coding::Zstd), true, true));
        assert_eq!(grant("zstd", WORTH - 1), (None, false, false));
        assert_eq!(grant("br", WORTH), (None, true, false));
        assert_eq!(grant("gzip, identity;q=0", 10).0, Some(Coding::Gzip));
        assert_eq!(grant("identity;q=0", WORTH).0, None);
    }

    #[test]
    fn what_does_not_shrink_is_sent_as_it_is() {
        let mut noise = vec![0u8; 2 * WORTH];
        let mut state = 1u32;
        for byte in &mut noise {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        let coded = wish(&["gzip"]).unwrap().grant(noise.clone());
        assert_eq!((coded.coding, coded.body), (None, noise));
    }

    proptest! {
        #[test]
        fn what_is_granted_expands_to_the_answer(body in prop::collection::vec(b'0'..=b'9', 0..20_000), zstd in prop::bool::ANY) {
            let value = if zstd { "zstd, *;q=0" } else { "gzip, *;q=0" };
            let coded = wish(&[value]).unwrap().grant(body.clone());
            let codings = [coded.coding.unwrap()];
            let expanded = encoding::expand(coded.body.into(), &codings, body.len(), usize::MAX, |work| work());
            prop_assert_eq!(&expanded.unwrap()[..], &body[..]);
        }
    }
}
