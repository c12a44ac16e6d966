//! Text for people: tables and safe lines.

use std::fmt::Write as _;

/// Columns aligned by their longest cell, two spaces apart; the last is not padded. The first row is the heading.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The text on one line, control characters escaped: a description must not drive the terminal.
pub(super) fn plain(text: &str) -> String {
    let escaped = text.trim().chars().map(|c| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    });
    escaped.collect()
}

/// `1.4 MB`, with decimal units.
pub(super) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "bytes" {
                format!("{count} bytes")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// A moment given in milliseconds since the epoch, in UTC and to the second.
pub(super) fn moment(milliseconds: i64) -> String {
    match jiff::Timestamp::from_second(milliseconds.div_euclid(1000)) {
        Ok(moment) => moment.to_string(),
        Err(_) => format!("{milliseconds} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["NAME", "N"], ["été", ""], ["longer", "2"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "NAME    N\nété\nlonger  2\n");
    }

    #[test]
    fn terminals_are_not_driven() {
        assert_eq!(plain(" a\u{1b}[31m\nb "), "a\\u{1b}[31m\\nb");
    }

    #[test]
    fn sizes_and_moments_are_for_people() {
        assert_eq!(
            (bytes(999).as_str(), bytes(1_400_000).as_str()),
            ("999 bytes", "1.4 MB")
        );
        assert_eq!(bytes(u64::MAX), "18446744.1 TB");
        assert_eq!(moment(1_767_225_600_500), "2026-01-01T00:00:00Z");
    }
}
