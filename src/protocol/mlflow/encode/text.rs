//! Text and bytes as Python's `json` writes them: ASCII only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Bytes that Python's `encodebytes` puts on one line of 76 characters.
const BYTES_A_LINE: usize = 57;

/// Appends a string literal: what is not printable ASCII is escaped, beyond U+FFFF as a surrogate pair.
pub(crate) fn write_str(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text;
    // Runs of plain characters are copied whole.
    let escaped = |byte: u8| ESCAPED.get(usize::from(byte)).copied().unwrap_or(true);
    while let Some(position) = rest.bytes().position(escaped) {
        let (plain, from) = rest.split_at(position);
        out.extend_from_slice(plain.as_bytes());
        let mut characters = from.chars();
        if let Some(character) = characters.next() {
            write_escape(out, character);
        }
        rest = characters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

/// Appends bytes as base64 in a string literal, with a line break (written `\n`) after each 76 characters and at the
/// end.
pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let mut line = [0; BYTES_A_LINE.div_ceil(3) * 4];
    for chunk in bytes.chunks(BYTES_A_LINE) {
        // The line is as long as a full chunk needs, so this cannot fail.
        let written = STANDARD.encode_slice(chunk, &mut line).unwrap_or(0);
        out.extend_from_slice(line.get(..written).unwrap_or_default());
        out.extend_from_slice(b"\\n");
    }
    out.push(b'"');
}

/// A multi-byte character starts with a byte that needs escaping, so a split there is on a boundary.
/// Whether each byte is written in another way than as it is: by a table, which takes half of what comparing does.
const ESCAPED: [bool; 256] = {
    let mut escaped = [true; 256];
    let mut byte = b' ' as usize;
    while byte <= b'~' as usize {
        escaped[byte] = byte == b'"' as usize || byte == b'\\' as usize;
        byte += 1;
    }
    escaped
};

fn write_escape(out: &mut Vec<u8>, character: char) {
    let short = match character {
        '"' => b'"',
        '\\' => b'\\',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        _ => {
            for &unit in character.encode_utf16(&mut [0; 2]).iter() {
                let digit = |shift: u16| HEX.get(usize::from(unit >> shift & 0xf)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
            }
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn literal(text: &str) -> String {
        let mut out = Vec::new();
        write_str(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    fn base64(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        write_bytes(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_written_in_ascii() {
        let text = "a \u{e9} \u{4e2d} \u{1f600} \"q\" \\ / \n\r\t\u{8}\u{c}\0\u{1f}\u{7f}";
        let expected = r#""a \u00e9 \u4e2d \ud83d\ude00 \"q\" \\ / \n\r\t\b\f\u0000\u001f\u007f""#;
        assert_eq!(literal(text), expected);
    }

    #[test]
    fn bytes_are_broken_into_lines() {
        assert_eq!(base64(b""), r#""""#);
        assert_eq!(base64(b"ab"), r#""YWI=\n""#);
        assert_eq!(base64(&[0; 57]), format!(r#""{}\n""#, "A".repeat(76)));
        assert_eq!(base64(&[0; 58]), format!(r#""{}\nAA==\n""#, "A".repeat(76)));
    }

    proptest! {
        #[test]
        fn text_reads_back_as_itself(text in any::<String>()) {
            let written = literal(&text);
            prop_assert!(written.is_ascii());
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
    }
}
