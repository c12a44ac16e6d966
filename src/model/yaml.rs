//! YAML that came from elsewhere, read within bounds.
//!
//! PyYAML writes YAML 1.1 and the parser here reads 1.2; the options close the gaps that matter: the last of two
//! equal keys wins, and `.nan` is no error.

use serde::de::DeserializeOwned;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{NonFiniteFloatPolicy, Options};

/// Reads one document, or gives the parser's complaint in one line.
///
/// The caller bounds the length of the text. What the text may unfold to is bounded here: depth, nodes, and copies of
/// aliases, so that a few bytes cannot become gigabytes. Real files have some hundred nodes and few aliases.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let message = error.without_snippet().to_string();
        message.lines().next().unwrap_or_default().to_owned()
    })
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 64,
            flow_nesting_limit: 64,
            max_documents: 1,
            max_events: 200_000,
            max_nodes: 100_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: 100_000,
            max_recorded_anchor_bytes: 8 << 20,
            max_total_scalar_bytes: 8 << 20,
            max_total_comment_bytes: 4 << 20,
            max_merge_keys: 100,
            max_inclusion_depth: 0,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::{Value as Json, json};

    use super::*;

    #[test]
    fn what_pyyaml_writes_is_read() {
        let text = "a: [&id001 {x: .nan}, *id001]\nb: 'a\n\n  b'\n1: ~\nb: !!binary aGk=\nb: 2\n";
        assert_eq!(
            parse::<Json>(text),
            Ok(json!({"a": [{"x": ".nan"}, {"x": ".nan"}], "b": 2, "1": null}))
        );
    }

    #[test]
    fn hostile_text_is_an_error_and_a_quick_one() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            laughs.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        let merges = format!("a: &a {{x: 1}}\nb:\n{}", "  <<: *a\n".repeat(10_000));
        let block = (0..10_000)
            .map(|depth| format!("{}a:\n", " ".repeat(depth)))
            .take(3000)
            .collect::<String>();
        for text in [
            laughs,
            merges,
            block,
            "[".repeat(1 << 20),
            "{a: ".repeat(1 << 19),
            "- ".repeat(1 << 20),
            "a: 1\n".repeat(200_000),
            "--- a\n".repeat(200_000),
            "*a ".repeat(100_000),
            "\u{0}".repeat(1000),
            "a: &a [*a]".to_owned(),
        ] {
            let start = Instant::now();
            let result = parse::<Json>(&text);
            assert!(
                result.is_err(),
                "{}…: {result:?}",
                text.chars().take(40).collect::<String>()
            );
            assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        }
    }

    #[test]
    fn the_complaint_is_one_line_with_its_place() {
        let message = parse::<Json>("a: 1\nb: [").unwrap_err();
        assert!(message.contains("line") && !message.contains('\n'), "{message}");
    }
}
