//! CityHash64 in its version 1.0.2, by which CatBoost knows categories. Later versions give other numbers.

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;
const K3: u64 = 0xc949_d7c7_509e_6557;

/// The 64 bits of these bytes.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    match bytes.len() {
        0..=16 => up_to_16(bytes),
        17..=32 => up_to_32(bytes),
        33..=64 => up_to_64(bytes),
        _ => longer(bytes),
    }
}

/// Eight bytes at `at`, which every caller has checked to be there.
fn fetch64(bytes: &[u8], at: usize) -> u64 {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
    debug_assert!(chunk.is_some(), "8 bytes at {at} of {}", bytes.len());
    chunk.map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

fn fetch32(bytes: &[u8], at: usize) -> u64 {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    debug_assert!(chunk.is_some(), "4 bytes at {at} of {}", bytes.len());
    chunk.map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)))
}

fn shift_mix(value: u64) -> u64 {
    value ^ (value >> 47)
}

fn of_two(low: u64, high: u64) -> u64 {
    const MULTIPLIER: u64 = 0x9ddf_ea08_eb38_2d69;
    let a = shift_mix((low ^ high).wrapping_mul(MULTIPLIER));
    let b = shift_mix((high ^ a).wrapping_mul(MULTIPLIER));
    b.wrapping_mul(MULTIPLIER)
}

fn up_to_16(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let size = length as u64;
    if length > 8 {
        let (a, b) = (fetch64(bytes, 0), fetch64(bytes, length - 8));
        return of_two(a, b.wrapping_add(size).rotate_right(length as u32)) ^ b;
    }
    if length >= 4 {
        return of_two(size + (fetch32(bytes, 0) << 3), fetch32(bytes, length - 4));
    }
    match (bytes.first(), bytes.get(length / 2), bytes.last()) {
        (Some(&first), Some(&middle), Some(&last)) => {
            let y = u64::from(first) + (u64::from(middle) << 8);
            let z = size + (u64::from(last) << 2);
            shift_mix(y.wrapping_mul(K2) ^ z.wrapping_mul(K3)).wrapping_mul(K2)
        }
        _ => K2,
    }
}

fn up_to_32(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let a = fetch64(bytes, 0).wrapping_mul(K1);
    let b = fetch64(bytes, 8);
    let c = fetch64(bytes, length - 8).wrapping_mul(K2);
    let d = fetch64(bytes, length - 16).wrapping_mul(K0);
    of_two(
        a.wrapping_sub(b)
            .rotate_right(43)
            .wrapping_add(c.rotate_right(30))
            .wrapping_add(d),
        a.wrapping_add((b ^ K3).rotate_right(20))
            .wrapping_sub(c)
            .wrapping_add(length as u64),
    )
}

/// Two words out of 32 bytes and two seeds.
fn weak(bytes: &[u8], at: usize, seeds: (u64, u64)) -> (u64, u64) {
    let word = |number: usize| fetch64(bytes, at + 8 * number);
    let (w, x, y, z) = (word(0), word(1), word(2), word(3));
    let a = seeds.0.wrapping_add(w);
    let b = seeds.1.wrapping_add(a).wrapping_add(z).rotate_right(21);
    let c = a;
    let a = a.wrapping_add(x).wrapping_add(y);
    let b = b.wrapping_add(a.rotate_right(44));
    (a.wrapping_add(z), b.wrapping_add(c))
}

/// The two words that each half of 33 to 64 bytes comes to.
fn half(bytes: &[u8], words: [usize; 4], mut a: u64, z: u64) -> (u64, u64) {
    let [_, second, third, _] = words;
    let mut b = a.wrapping_add(z).rotate_right(52);
    let mut c = a.rotate_right(37);
    a = a.wrapping_add(fetch64(bytes, second));
    c = c.wrapping_add(a.rotate_right(7));
    a = a.wrapping_add(fetch64(bytes, third));
    b = b.wrapping_add(a.rotate_right(31)).wrapping_add(c);
    (a.wrapping_add(z), b)
}

fn up_to_64(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let first = fetch64(bytes, length - 16)
        .wrapping_add(length as u64)
        .wrapping_mul(K0);
    let first = first.wrapping_add(fetch64(bytes, 0));
    let (vf, vs) = half(bytes, [0, 8, 16, 24], first, fetch64(bytes, 24));
    let second = fetch64(bytes, 16).wrapping_add(fetch64(bytes, length - 32));
    let places = [length - 32, length - 24, length - 16, length - 8];
    let (wf, ws) = half(bytes, places, second, fetch64(bytes, length - 8));
    let mixed = shift_mix(
        vf.wrapping_add(ws)
            .wrapping_mul(K2)
            .wrapping_add(wf.wrapping_add(vs).wrapping_mul(K0)),
    );
    shift_mix(mixed.wrapping_mul(K0).wrapping_add(vs)).wrapping_mul(K2)
}

fn longer(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let size = length as u64;
    let mut x = fetch64(bytes, 0);
    let mut y = fetch64(bytes, length - 16) ^ K1;
    let mut z = fetch64(bytes, length - 56) ^ K0;
    let mut v = weak(bytes, length - 64, (size, y));
    let mut w = weak(bytes, length - 32, (size.wrapping_mul(K1), K0));
    z = z.wrapping_add(shift_mix(v.1).wrapping_mul(K1));
    x = z.wrapping_add(x).rotate_right(39).wrapping_mul(K1);
    y = y.rotate_right(33).wrapping_mul(K1);
    for at in (0..(length - 1) & !63).step_by(64) {
        let word = |offset: usize| fetch64(bytes, at + offset);
        x = x
            .wrapping_add(y)
            .wrapping_add(v.0)
            .wrapping_add(word(16))
            .rotate_right(37)
            .wrapping_mul(K1);
        y = y
            .wrapping_add(v.1)
            .wrapping_add(word(48))
            .rotate_right(42)
            .wrapping_mul(K1);
        x ^= w.1;
        y ^= v.0;
        z = (z ^ w.0).rotate_right(33);
        v = weak(bytes, at, (v.1.wrapping_mul(K1), x.wrapping_add(w.0)));
        w = weak(bytes, at + 32, (z.wrapping_add(w.1), y));
        std::mem::swap(&mut z, &mut x);
    }
    of_two(
        of_two(v.0, w.0)
            .wrapping_add(shift_mix(y).wrapping_mul(K1))
            .wrapping_add(z),
        of_two(v.1, w.1).wrapping_add(x),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes of the algorithm written out a second time in Python, which was compared with models of CatBoost that
    /// have categories of all these lengths.
    #[test]
    fn every_length_has_its_own_way_and_each_gives_the_known_hash() {
        let counting: Vec<u8> = (0..200).collect();
        for (length, wanted) in [
            (17, 0xe5aa_5ed1_50b8_e380),
            (32, 0x40cf_ef3d_0088_69dc),
            (33, 0x532c_06f6_02b7_f406),
            (64, 0xf7a2_aca4_d0a3_fde1),
            (65, 0x510f_4ef7_76c6_476d),
            (128, 0x4fe2_34a5_4241_a89f),
            (200, 0xe49c_e9a6_d9f4_1656),
        ] {
            assert_eq!(hash(&counting[..length]), wanted, "{length} bytes");
        }
        for (text, wanted) in [
            ("", 0x9ae1_6a3b_2f90_404f),
            ("a", 0x2420_662c_d003_acfa),
            ("abc", 0x3a91_2f48_3a4e_ce31),
            ("abcd", 0xf75a_3b8a_1499_428d),
            ("12345678", 0x639b_f6ef_3ee1_ee2f),
            ("123456789", 0xabf3_15f9_52d6_0ef5),
            ("0123456789abcdef", 0x099d_21e9_9dac_3317),
        ] {
            assert_eq!(hash(text.as_bytes()), wanted, "{text}");
        }
    }
}
