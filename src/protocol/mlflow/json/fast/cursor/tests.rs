//! Numbers and strings under the cursor, and what it leaves to the other decoder.

use proptest::prelude::*;

use super::*;
use crate::model::value::Value;

fn number(text: &str) -> Option<Token<'_>> {
    let mut cursor = Cursor::new(text);
    let token = cursor.token()?;
    cursor.ended().then_some(token)
}

#[test]
fn numbers_are_rounded_exactly() {
    for text in [
        "0.1",
        "1e23",
        "1e22",
        "9007199254740993.0",
        "123456789012345678901234567890.5",
        "5e-324",
        "2.5e-324",
        "1e400",
        "-0.0",
        "0.30000000000000004",
        "1.7976931348623157e308",
        "9007199254740992.5",
        "1e-22",
        "1e-23",
        "0e5000",
        "18446744073709551616.5",
        "0.0000000000000000000000000001",
    ] {
        let Some(Token::Float(float)) = number(text) else {
            panic!("{text}")
        };
        assert_eq!(float.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
    assert_eq!(number("-Infinity"), Some(Token::Float(f64::NEG_INFINITY)));
    assert_eq!(number("-0"), Some(Token::Int(0)));
    assert_eq!(number("9223372036854775807"), Some(Token::Int(i64::MAX)));
    assert_eq!(number("-9223372036854775808"), Some(Token::Int(i64::MIN)));
}

/// The number at the front of the text as the quick reader has it, and what it left.
fn plain(text: &str) -> Option<(f64, usize)> {
    let padded = format!("{text}]}}        ");
    let mut cursor = Cursor::new(&padded);
    let float = cursor.plain_float();
    assert_eq!(float.is_some(), cursor.at > 0, "{text}");
    float.map(|float| (float, cursor.at))
}

#[test]
fn plain_numbers_are_read_whole_and_others_left_where_they_are() {
    for text in [
        "0",
        "-0",
        "7",
        "1234567",
        "-1.5",
        "0.1",
        "-0.0",
        "5.1",
        "1677.7215",
        "0.12345678",
        "0.123456789012345",
        "1234567.12345678",
        "0.1234567890123456",
        "9007199.2547409931",
        "0.01991321417832592",
        "-0.30000000000000004",
        "0.00000000000000000000001",
    ] {
        let value = match text.contains('.') {
            true => text.parse::<f64>().unwrap(),
            false => text.parse::<i64>().unwrap() as f64,
        };
        let (float, end) = plain(text).expect(text);
        assert_eq!((float.to_bits(), end), (value.to_bits(), text.len()), "{text}");
    }
    for text in [
        "",
        "-",
        "+1",
        ".5",
        "1.",
        "-.5",
        "00",
        "01.5",
        "1e5",
        "1.5e3",
        "1.5E3",
        "1.e3",
        "12345678",
        "NaN",
        "-Infinity",
        "null",
        "true",
        "\"1\"",
        "0.123456789012345678901",
        "1234567.12345678901234",
        "[1",
        "/1",
        ":1",
    ] {
        assert_eq!(plain(text), None, "{text}");
    }
    // A number that ends the text is no part of a regular request.
    for text in ["1.5", "1", "12345678", ""] {
        assert_eq!(Cursor::new(text).plain_float(), None, "{text}");
        assert_eq!(
            Cursor::new(&format!("         {text}")).plain_float(),
            None,
            "{text}"
        );
    }
    for (text, float) in [
        ("1.5]", 1.5),
        ("-25,", -25.0),
        ("1234567.25]", 1234567.25),
        ("0.1234567}", 0.1234567),
    ] {
        let text = format!("        {text}");
        let mut cursor = Cursor::new(&text);
        assert_eq!((cursor.plain_float(), cursor.left()), (Some(float), 1), "{text}");
    }
}

proptest! {
    #[test]
    fn a_plain_number_is_the_number_of_the_other_reader(
        whole in prop_oneof![0u32..1000, 0u32..20_000_000], fraction in prop_oneof!["[0-9]{0,4}", "[0-9]{0,17}"],
        negative: bool, after in "[,\\] eE.0xʰÿ]{0,2}",
        spaces in 0usize..12,
    ) {
        let sign = if negative { "-" } else { "" };
        let dot = if fraction.is_empty() { "" } else { "." };
        let text = format!("{sign}{whole}{dot}{fraction}{after}{:spaces$}", "");
        let mut cursor = Cursor::new(&text);
        if let Some(float) = cursor.plain_float() {
            let end = cursor.at;
            let mut other = Cursor::new(&text);
            let token = other.token();
            prop_assert_eq!(other.at, end);
            let expected = match token {
                Some(Token::Int(integer)) => integer as f64,
                Some(Token::Float(float)) => float,
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(float.to_bits(), expected.to_bits());
        }
    }
}

#[test]
fn what_is_not_regular_is_declined() {
    for text in [
        "9223372036854775808",
        "01",
        "1.",
        ".5",
        "-",
        "1e",
        "+1",
        "Nan",
        "-Inf",
        "tru",
        "[",
        "\"a\n\"",
    ] {
        assert_eq!(number(text), None, "{text}");
    }
}

#[test]
fn strings_are_those_of_the_other_reader() {
    for text in [r#""a""#, r#""é\u00e9\ud83d\ude00""#, r#""""#, r#""\ud800x""#] {
        let Some(Token::Text(string)) = number(text) else {
            panic!("{text}")
        };
        assert_eq!(read::read(text, 64), Ok(Value::Str(string.as_ref().into())));
    }
}
