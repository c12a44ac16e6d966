//! The codings are undone, within the bound, wherever the work is cut.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 1).unwrap()
}

fn compress(coding: Coding, plain: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Gzip => gzip(plain),
        Coding::Zstd => zstd(plain),
    }
}

fn undo(body: Vec<u8>, codings: &[Coding], limit: usize) -> Result<Bytes, Error> {
    expand(body.into(), codings, limit, 64 << 10, |work| work())
}

fn read(values: &[&'static str]) -> Result<Codings, Error> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(CONTENT_ENCODING, value.parse().unwrap());
    }
    applied(&headers)
}

#[test]
fn codings_are_read_in_order_and_bounded() {
    use Coding::{Gzip, Zstd};
    assert!(read(&[]).unwrap().is_empty());
    assert!(read(&["identity", ", ,IDENTITY"]).unwrap().is_empty());
    assert_eq!(read(&["X-GZip"]).unwrap()[..], [Gzip]);
    assert_eq!(read(&["gzip, identity,zstd"]).unwrap()[..], [Gzip, Zstd]);
    assert_eq!(read(&["zstd", "gzip"]).unwrap()[..], [Zstd, Gzip]);
    assert!(matches!(read(&["gzip,gzip,gzip"]), Err(Error::TooMany)));
    assert!(matches!(read(&["br"]), Err(Error::Unknown(name)) if name == "br"));
    assert!(matches!(read(&["gzip;q=1"]), Err(Error::Unknown(_))));
}

#[test]
fn members_and_frames_may_follow_each_other() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let body = [&b"one "[..], b"", b"two"]
            .map(|part| compress(coding, part))
            .concat();
        assert_eq!(undo(body.clone(), &[coding], 7).unwrap(), "one two");
        assert!(matches!(undo(body, &[coding], 6), Err(Error::TooLong { .. })));
    }
    let skippable = [&b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"[..], &zstd(b"x")].concat();
    assert_eq!(undo(skippable, &[Coding::Zstd], 1).unwrap(), "x");
}

#[test]
fn a_body_of_nothing_but_beginnings_is_refused() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let most = compress(coding, b"").repeat(MAX_PARTS);
        assert_eq!(undo(most.clone(), &[coding], 1).unwrap(), "");
        let more = [most, compress(coding, b"")].concat();
        let error = undo(more, &[coding], 1).unwrap_err();
        assert!(matches!(error, Error::TooManyParts(_)), "{error}");
    }
}

#[test]
fn several_codings_are_undone_from_the_last() {
    let body = zstd(&gzip(b"plain"));
    let codings = [Coding::Gzip, Coding::Zstd];
    assert_eq!(undo(body.clone(), &codings, 100).unwrap(), "plain");
    assert!(undo(body, &[Coding::Zstd, Coding::Gzip], 100).is_err());
}

#[test]
fn a_window_beyond_the_bound_is_refused_by_name() {
    let windowed = |log: u32| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(&[b'x'; 100]).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(undo(windowed(23), &[Coding::Zstd], 100).unwrap().len(), 100);
    let error = undo(windowed(24), &[Coding::Zstd], 100).unwrap_err();
    assert!(matches!(error, Error::Window), "{error}");
    assert!(error.to_string().contains("8 MiB"), "{error}");
}

#[test]
fn damage_is_told_with_its_place() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let whole = compress(coding, &b"0123456789".repeat(1000));
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let trailing = [&whole[..], b"trailing"].concat();
        let cases = [
            Vec::new(),
            whole[..whole.len() - 1].to_vec(),
            b"{}".to_vec(),
            trailing,
        ];
        for body in cases
            .into_iter()
            .chain((coding == Coding::Gzip).then_some(flipped))
        {
            let error = undo(body.clone(), &[coding], 100_000).unwrap_err();
            let text = error.to_string();
            assert!(
                matches!(error, Error::Damaged { at, .. } if at <= body.len()),
                "{text}"
            );
            assert!(
                text.contains(coding.name()) && text.contains(&format!("of {}", body.len())),
                "{text}"
            );
        }
    }
}

#[test]
fn a_bomb_stops_at_the_bound_in_size_and_in_memory() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let bomb = Bytes::from(compress(coding, &vec![0; 20 << 20]));
        let limit = 100_000;
        let mut expansion = Expansion::new(coding, &bomb, limit).unwrap();
        let error = expansion.until(usize::MAX).unwrap_err();
        assert!(
            error.to_string().contains("more than the limit of 100000 bytes"),
            "{error}"
        );
        assert!(
            error.to_string().contains(&format!("{} bytes of", bomb.len())),
            "{error}"
        );
        assert!(
            expansion.expanded.capacity() <= limit,
            "{}",
            expansion.expanded.capacity()
        );
        // The control: with the room it asks for, the same body is expanded.
        assert_eq!(undo(bomb.to_vec(), &[coding], 20 << 20).unwrap().len(), 20 << 20);
    }
}

#[test]
fn what_takes_long_is_done_aside() {
    let asides = |body: Vec<u8>| {
        let count = std::cell::Cell::new(0);
        let result = expand(body.into(), &[Coding::Gzip], 1 << 20, 1000, |work| {
            count.set(count.get() + 1);
            work()
        });
        (result.unwrap().len(), count.get())
    };
    assert_eq!(asides(gzip(&[0; 999])), (999, 0));
    assert_eq!(asides(gzip(&[0; 5000])), (5000, 1));
    assert_eq!(asides(gzip(b"").repeat(100)), (0, 1));
}

proptest! {
    #[test]
    fn expanding_undoes_compressing_and_keeps_the_bound(
        plain in prop::collection::vec(0u8..4, 0..100_000),
        first in prop::bool::ANY,
        second in prop::option::of(prop::bool::ANY),
        less in 1usize..1000,
    ) {
        let coding = |zstd| if zstd { Coding::Zstd } else { Coding::Gzip };
        let codings: Vec<Coding> = [Some(first), second].into_iter().flatten().map(coding).collect();
        let body = codings.iter().fold(plain.clone(), |body, coding| compress(*coding, &body));
        let limit = plain.len().max(body.len() + 100);
        prop_assert_eq!(&undo(body.clone(), &codings, limit).unwrap()[..], &plain[..]);
        let below = plain.len().saturating_sub(less);
        match undo(body, &codings, below) {
            Ok(expanded) => prop_assert!(plain.is_empty() && expanded.is_empty()),
            Err(error) => prop_assert!(matches!(error, Error::TooLong { .. }), "{}", error),
        }
    }

    #[test]
    fn any_bytes_give_an_answer_within_the_bound(
        body in prop::collection::vec(prop::num::u8::ANY, 0..2000),
        zstd in prop::bool::ANY,
        cut in 0usize..2000,
        limit in 0usize..5000,
    ) {
        let coding = if zstd { Coding::Zstd } else { Coding::Gzip };
        let mut damaged = compress(coding, &body);
        let length = damaged.len();
        damaged[cut % length] ^= 0x55;
        for input in [body, damaged] {
            if let Ok(expanded) = undo(input, &[coding], limit) {
                prop_assert!(expanded.len() <= limit);
            }
        }
    }
}
