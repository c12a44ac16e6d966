//! Tests of limits and buckets.

use proptest::prelude::*;

use super::*;

fn limit(text: &str) -> Result<Limit, NoLimit> {
    text.parse()
}

#[test]
fn limits_are_read() {
    assert_eq!(
        limit("100"),
        Ok(Limit {
            rate: 100.0,
            burst: 100
        })
    );
    assert_eq!(limit("0.5"), Ok(Limit { rate: 0.5, burst: 1 }));
    assert_eq!(limit("10:1"), Ok(Limit { rate: 10.0, burst: 1 }));
    for bad in [
        "",
        "0",
        "-1",
        "x",
        "nan",
        "inf",
        "1e9",
        "1:",
        "1:0",
        "1:-1",
        "1:2:3",
        "5:9999999",
        "1 ",
    ] {
        assert_eq!(limit(bad), Err(NoLimit), "{bad}");
    }
}

#[test]
fn a_burst_passes_and_then_the_rate() {
    let start = Instant::now();
    let bucket = Bucket::new(limit("10:3").unwrap(), start);
    for _ in 0..3 {
        assert_eq!(bucket.take(start), Ok(()));
    }
    assert_eq!(bucket.take(start), Err(Duration::from_millis(100)));
    let later = start + Duration::from_millis(100);
    assert_eq!(bucket.take(later), Ok(()));
    assert_eq!(bucket.take(later), Err(Duration::from_millis(100)));
    // A rest gives the burst back, and no more.
    let rested = start + Duration::from_secs(60);
    let taken = (0..10).filter(|_| bucket.take(rested).is_ok()).count();
    assert_eq!(taken, 3);
}

#[test]
fn threads_share_a_bucket() {
    let start = Instant::now();
    let bucket = Bucket::new(limit("1:1000").unwrap(), start);
    let taken: usize = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..1000).filter(|_| bucket.take(start).is_ok()).count()))
            .collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum()
    });
    assert_eq!(taken, 1000);
}

proptest! {
    #[test]
    fn no_more_than_burst_and_rate_are_let_through(
        rate in 1u32..1000, burst in 1u32..50, gaps in proptest::collection::vec(0u64..20_000_000, 1..200)
    ) {
        let start = Instant::now();
        let bucket = Bucket::new(Limit { rate: f64::from(rate), burst }, start);
        let (mut at, mut taken) = (0u64, 0u32);
        for gap in gaps {
            at += gap;
            taken += u32::from(bucket.take(start + Duration::from_nanos(at)).is_ok());
            // A part of a nanosecond is lost of each interval.
            let most = f64::from(burst) + at as f64 / 1e9 * f64::from(rate) * 1.000_01 + 1e-6;
            prop_assert!(f64::from(taken) <= most, "{taken} of {most}");
        }
    }

    #[test]
    fn who_keeps_to_the_rate_is_never_refused(rate in 1u32..1000, burst in 1u32..50, count in 1u64..200) {
        let start = Instant::now();
        let bucket = Bucket::new(Limit { rate: f64::from(rate), burst }, start);
        let interval = 1_000_000_000u64.div_ceil(u64::from(rate));
        for number in 0..count {
            prop_assert_eq!(bucket.take(start + Duration::from_nanos(number * interval)), Ok(()));
        }
    }
}
