//! Tests of tokens and of the file that lists them.

use proptest::prelude::*;

use super::*;

fn problems(text: &str) -> Vec<String> {
    match parse(text) {
        Err(Error::Lines(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_token_is_found_by_its_line_and_others_are_not() {
    let limit = Some("10:20".parse().unwrap());
    let (token, line) = mint(Role::Predict, "ci", limit).unwrap();
    assert_eq!(token.len(), PREFIX.len() + 43);
    assert_ne!(mint(Role::Predict, "ci", limit).unwrap().0, token);
    let text = format!("# who\n\n{line} # the builds\n");
    assert!(!text.contains(&token), "{text}");
    let lines = parse(&text).unwrap();
    assert_eq!(lines, vec![line]);
    let tokens = Tokens::new(&lines, None, &Tokens::default(), Instant::now());
    let found = tokens.find(&token).unwrap();
    assert_eq!((&*found.name, found.role), ("ci", Role::Predict));
    let mut other = token.clone();
    other.pop();
    assert!(tokens.find(&other).is_none());
    assert!(tokens.find("").is_none());
    assert!(tokens.find(&"x".repeat(MAX_TOKEN_BYTES + 1)).is_none());
}

#[test]
fn every_mistake_is_told_with_its_line_and_without_what_stands_there() {
    let (secret, line) = mint(Role::Read, "a", None).unwrap();
    let text = format!(
        "{line}\nread b {secret}\nroot c {line}\n{line}\nread\nread d/e sha256:00\nread f {} rate=no\n{line} rate=1 x\n",
        Digest::of("f").hex()
    );
    let found = problems(&text);
    let starts: Vec<&str> = found
        .iter()
        .map(|problem| problem.split(':').next().unwrap())
        .collect();
    assert_eq!(
        starts,
        [
            "line 2", "line 3", "line 4", "line 4", "line 5", "line 6", "line 7", "line 8"
        ],
        "{found:?}"
    );
    assert!(!found.join(" ").contains(&secret), "{found:?}");
    assert!(problems("# nobody\n").join("").contains("no token"));
}

#[test]
fn a_list_is_bounded() {
    let many: String = (0..=MAX_TOKENS)
        .map(|number| format!("read n{number} {}\n", Digest::of(&number.to_string()).hex()))
        .collect();
    assert!(problems(&many).join("").contains("more than"), "{}", many.len());
    let bad = "x\n".repeat(1000);
    assert_eq!(problems(&bad).len(), MAX_PROBLEMS);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    std::fs::write(&path, "#".repeat(MAX_FILE_BYTES as usize + 1)).unwrap();
    assert!(matches!(read(&path), Err(Error::NoText)));
    std::fs::write(&path, [0xff]).unwrap();
    assert!(matches!(read(&path), Err(Error::NoText)));
    assert!(matches!(read(folder.path()), Err(Error::Io(_))));
}

#[test]
fn reading_again_gives_nobody_a_new_burst() {
    let now = Instant::now();
    let (token, line) = mint(Role::Read, "a", Some("1:1".parse().unwrap())).unwrap();
    let take = |tokens: &Tokens| {
        tokens
            .find(&token)
            .unwrap()
            .bucket
            .as_ref()
            .unwrap()
            .take(now)
            .is_ok()
    };
    let first = Tokens::new(std::slice::from_ref(&line), None, &Tokens::default(), now);
    assert!(take(&first));
    let again = Tokens::new(std::slice::from_ref(&line), None, &first, now);
    assert!(!take(&again));
    let wider = Line {
        limit: Some("1:2".parse().unwrap()),
        ..line
    };
    assert!(take(&Tokens::new(&[wider], None, &again, now)));
}

#[test]
fn digests_are_in_no_debug_text() {
    let (_, line) = mint(Role::Read, "a", None).unwrap();
    let hex = line.digest.hex();
    assert!(!format!("{line:?}").contains(hex.strip_prefix(SCHEME).unwrap()));
}

impl Digest {
    fn hex(&self) -> String {
        let line = Line {
            role: Role::Read,
            name: "n".to_owned(),
            digest: *self,
            limit: None,
        };
        line.to_string().split(' ').nth(2).unwrap().to_owned()
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn near_lines_are_read_or_refused(
        words in proptest::collection::vec(
            prop_oneof![
                Just("read".to_owned()), Just("admin".to_owned()), Just("#".to_owned()), Just("\n".to_owned()),
                Just(format!("sha256:{}", "ab".repeat(32))), Just("rate=1:2".to_owned()), "[a-z:=0-9é]{0,70}",
            ],
            0..12,
        )
    ) {
        if let Ok(lines) = parse(&words.join(" ")) {
            let written: Vec<String> = lines.iter().map(ToString::to_string).collect();
            prop_assert_eq!(parse(&written.join("\n")).unwrap(), lines);
        }
    }

    #[test]
    fn what_is_written_is_read(
        role in 0usize..3, name in "[A-Za-z0-9._@-]{1,64}", token in any::<[u8; 16]>(),
        limit in proptest::option::of((1u32..1000, 1u32..1000)),
    ) {
        let line = Line {
            role: Role::ALL[role],
            name,
            digest: Digest::of(&format!("{token:?}")),
            limit: limit.map(|(rate, burst)| Limit { rate: f64::from(rate) / 4.0, burst }),
        };
        prop_assert_eq!(parse(&line.to_string()).unwrap(), vec![line]);
    }
}
