//! What the parts of the page are made of.

use super::*;

#[test]
fn the_whole_page_is_small() {
    let bytes: usize = PARTS.iter().map(|part| part.text.len()).sum();
    assert!(bytes <= 60 << 10, "{bytes} bytes");
}

#[test]
fn no_part_is_longer_than_a_source_file() {
    for part in PARTS {
        assert!(part.text.lines().count() <= 500, "{}", part.path);
    }
}

#[test]
fn nothing_comes_from_elsewhere_and_no_script_or_style_stands_in_the_page() {
    for part in PARTS {
        for other in [
            "src=\"http",
            "href=\"http",
            " url(",
            "@import",
            "eval(",
            "innerHTML",
        ] {
            assert!(!part.text.contains(other), "{}: {other}", part.path);
        }
    }
    let page = PARTS[0].text;
    assert!(!page.contains("style=") && !page.contains("<style") && !page.contains(" on"));
    assert_eq!(
        page.matches("<script").count(),
        page.matches("<script type=\"module\" src=\"/assets/").count()
    );
}

#[test]
fn every_part_that_is_named_is_there() {
    let there = |path: &str| PARTS.iter().any(|part| part.path == path);
    for part in PARTS {
        for (at, _) in part.text.match_indices("/assets/") {
            let rest = &part.text[at..];
            let path = rest.split(['"', '\'', ')']).next().unwrap();
            assert!(there(path), "{} names {path}", part.path);
        }
        for (at, start) in part.text.match_indices("from \"./") {
            let rest = &part.text[at + start.len()..];
            let name = rest.split('"').next().unwrap();
            assert!(there(&format!("/assets/{name}")), "{} imports {name}", part.path);
        }
    }
}

#[test]
fn a_tag_that_the_client_knows_is_found_in_any_form() {
    let tag = HeaderValue::from_static("W/\"ab\"");
    let knows = |text: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, HeaderValue::from_static(text));
        known(&headers, &tag)
    };
    assert!(knows("W/\"ab\"") && knows("\"ab\"") && knows("\"x\", W/\"ab\"") && knows("*"));
    assert!(!knows("\"abc\"") && !knows(""));
    assert!(!known(&HeaderMap::new(), &tag));
}
