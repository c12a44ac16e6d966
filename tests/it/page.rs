//! The page at `/`: its parts as they are sent, and the page itself in a real browser, which `scripts/test-chromium.sh`
//! brings.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use crate::house::{House, wait_for_version};
use crate::support::{Server, repository};

/// A browser that drives itself; ended when dropped.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a script of `tests/page` against a server until it says `ok`; `act` is called for each thing it wants done.
fn drive(script: &str, server: &Server, act: impl Fn(&str)) {
    let found = Command::new(repository("scripts/test-chromium.sh"))
        .arg("--find")
        .output()
        .unwrap();
    assert!(
        found.status.success() && repository(".page-test/packages").is_file(),
        "there is no Chromium, or nothing to drive it: run scripts/test-chromium.sh"
    );
    let chromium = String::from_utf8(found.stdout).unwrap();
    let mut child = Command::new("node")
        .arg(repository("tests/page").join(script))
        .args([format!("http://{}/", server.address).as_str(), chromium.trim()])
        .arg(repository(".page-test"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut browser = Browser(child);
    let mut said = Vec::new();
    for line in output.lines().map_while(Result::ok) {
        if let Some(what) = line.strip_prefix("next ") {
            act(what);
            writeln!(input, "done").unwrap();
        }
        said.push(line);
    }
    let status = browser.0.wait().unwrap();
    assert!(
        status.success() && said.last().map(String::as_str) == Some("ok"),
        "{said:#?}"
    );
}

#[test]
fn the_page_predicts_and_shows_a_swap_in_a_browser() {
    let house = House::new(&["iris"]);
    let columns = format!(
        "columns={}",
        repository("tests/golden/models/onnx_cols").display()
    );
    let server = house.serve(&["models:/iris/Production", "-m", &columns, "--poll-interval", "1"]);
    drive("page.mjs", &server, |what| {
        assert_eq!(what, "swap");
        house.say("transition iris 2 Production");
        wait_for_version(&server, "iris", "2");
    });
}

#[test]
fn the_parts_of_the_page_are_sent_with_a_strict_policy_and_a_tag() {
    let house = House::new(&["iris"]);
    let server = house.serve(&["models:/iris/1"]);
    let mut tags = Vec::new();
    for (path, media) in [
        ("/", "text/html; charset=utf-8"),
        ("/assets/style.css", "text/css; charset=utf-8"),
        ("/assets/script.js", "text/javascript; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        let answer = server.call("GET", path, &[], b"");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media)));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'self';") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        let head = server.call("HEAD", path, &[], b"");
        assert_eq!(
            (head.status, head.header("content-length"), head.body.len()),
            (200, answer.header("content-length"), 0)
        );
        let tag = answer.header("etag").unwrap().to_owned();
        let again = server.call("GET", path, &[("if-none-match", &tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert_eq!(again.header("etag"), Some(tag.as_str()));
        let small = server.call("GET", path, &[("accept-encoding", "gzip")], b"");
        // Little is not worth it.
        let worth_it = answer.body.len() >= 4096;
        assert_eq!(
            small.header("content-encoding"),
            worth_it.then_some("gzip"),
            "{path}"
        );
        assert_eq!(small.body.len() < answer.body.len(), worth_it, "{path}");
        tags.push(tag);
        let refused = server.call("POST", path, &[], b"");
        assert_eq!(
            (refused.status, refused.header("allow")),
            (405, Some("GET, HEAD"))
        );
    }
    assert_eq!(server.call("GET", "/assets/nope.js", &[], b"").status, 404);
    assert!(tags.windows(2).all(|pair| pair[0] == pair[1]));
}
