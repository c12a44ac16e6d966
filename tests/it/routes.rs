//! Several variants behind one name: by header, by key, by weight; other weights and another configuration meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::house::{House, get, serving, wait_for, wait_for_version};
use crate::support::{Answer, Server, modelsd, read_answer};

const ROW: &str = r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#;
const CHAMPION_AND_CHALLENGER: &str = "iris=champion:models:/iris/Production,challenger:models:/iris/Staging";

fn ask(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[("content-type", "application/json")], headers].concat();
    server.call("POST", path, &headers, ROW.as_bytes())
}

/// Who answered: variant and version.
fn who(answer: &Answer) -> (String, String) {
    let header = |name| answer.header(name).unwrap_or("none").to_owned();
    assert_eq!(answer.status, 200, "{}", answer.text());
    (header("x-model-variant"), header("x-model-version"))
}

fn pair(variant: &str, version: &str) -> (String, String) {
    (variant.to_owned(), version.to_owned())
}

#[test]
fn a_header_decides_and_others_go_to_the_first() {
    let house = House::new(&["iris", "wine"]);
    let server = house.serve_any(&["--route", CHAMPION_AND_CHALLENGER, "-m", "models:/wine/1"]);
    let asked = |headers: &[(&str, &str)]| ask(&server, "/models/iris/invocations", headers);
    assert_eq!(who(&asked(&[])), pair("champion", "1"));
    assert_eq!(
        who(&asked(&[("x-model-variant", "challenger")])),
        pair("challenger", "2")
    );
    assert_eq!(
        who(&asked(&[("x-model-variant", "champion")])),
        pair("champion", "1")
    );
    assert_eq!(asked(&[]).header("x-model-name"), Some("iris"));
    // A variant is a model like any other, by its own name.
    let alone = ask(&server, "/models/iris.challenger/invocations", &[]);
    assert_eq!(who(&alone), pair("challenger", "2"));
    for (headers, words) in [
        (
            vec![("x-model-variant", "champ")],
            "Model `iris` has no variant `champ`. It has `champion`, `challenger`.",
        ),
        (
            vec![("x-model-variant", "champion"), ("x-model-variant", "challenger")],
            "Send the header `x-model-variant` once, in ASCII.",
        ),
        (
            vec![("x-model-version", "2")],
            "does not choose by `x-model-version`",
        ),
    ] {
        let refused = asked(&headers);
        assert_eq!(refused.status, 400, "{}", refused.text());
        let error = refused.json();
        assert_eq!(error["error_code"], "INVALID_PARAMETER_VALUE");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    }
    // The model without variants says so; what is not served is told from what is.
    let refused = ask(
        &server,
        "/models/wine/invocations",
        &[("x-model-variant", "champion")],
    );
    assert_eq!(refused.status, 400);
    assert!(
        refused.text().contains("Model `wine` has no variants"),
        "{}",
        refused.text()
    );
    let missing = ask(&server, "/models/nope/invocations", &[]);
    assert_eq!(missing.status, 404);
    assert!(
        missing.text().contains("`iris`") && missing.text().contains("`wine`"),
        "{}",
        missing.text()
    );
    let metrics = server.metrics();
    let labels = r#"{route="iris",variant="challenger",model="iris",version="2",outcome="ok"}"#;
    assert!(
        metrics.contains(&format!("modelsd_requests_total{labels} 2")),
        "{metrics}"
    );
    assert!(
        metrics.contains("modelsd_rejected_total{kind=\"unknown_variant\"} 4"),
        "{metrics}"
    );
}

/// Sends so many requests on one connection, a header of each by its number; gives who answered how often.
fn counts(server: &Server, count: usize, header: impl Fn(usize) -> String) -> BTreeMap<String, u64> {
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    let mut counts = BTreeMap::new();
    for number in 0..count {
        let text = format!(
            "POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{}content-length: {}\r\n\r\n{ROW}",
            header(number),
            ROW.len()
        );
        stream.write_all(text.as_bytes()).unwrap();
        let answer = read_answer(&mut stream).unwrap();
        *counts.entry(who(&answer).0).or_default() += 1;
    }
    counts
}

/// The statistic of Pearson's test of these counts against these shares.
fn chi_square(counts: &BTreeMap<String, u64>, shares: &[(&str, f64)]) -> f64 {
    let all = counts.values().sum::<u64>() as f64;
    let part = |(name, share): &(&str, f64)| {
        let got = counts.get(*name).copied().unwrap_or(0) as f64;
        (got - share * all).powi(2) / (share * all)
    };
    shares.iter().map(part).sum()
}

#[test]
fn keys_and_chance_keep_the_weights_over_a_hundred_thousand_requests() {
    let house = House::new(&["iris"]);
    let route = "iris=champion*85:models:/iris/1,challenger*15:models:/iris/2";
    let server = house.serve_any(&["--route", route]);
    let shares = [("champion", 0.85), ("challenger", 0.15)];
    let by_weight = counts(&server, 50_000, |_| String::new());
    let by_key = counts(&server, 50_000, |number| {
        format!("x-routing-key: user-{number}\r\n")
    });
    // With one degree of freedom, a sample of a million is beyond 23.9.
    for counts in [by_weight, by_key] {
        assert_eq!(counts.values().sum::<u64>(), 50_000);
        assert!(chi_square(&counts, &shares) < 23.9, "{counts:?}");
    }
}

/// The variant of each of 200 keys.
fn by_key(server: &Server) -> Vec<String> {
    let of = |number| {
        let key = format!("customer {number}");
        who(&ask(server, "/invocations", &[("x-routing-key", &key)])).0
    };
    (0..200).map(of).collect()
}

#[test]
fn keys_stay_where_they_are_over_a_restart_and_new_weights_which_are_kept() {
    let house = House::new(&["iris"]);
    let flags = [
        "--route",
        "iris=champion*80:models:/iris/1,challenger*20:models:/iris/2",
    ];
    let set = |server: &Server, body: Value| {
        server.call(
            "PUT",
            "/api/routes/iris/weights",
            &[],
            body.to_string().as_bytes(),
        )
    };
    let (before, after) = {
        let server = house.serve_any(&flags);
        let before = by_key(&server);
        assert_eq!(before, by_key(&server));
        let answer = set(&server, json!({ "challenger": 60 }));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["variants"][1]["weight"], 60);
        let after = by_key(&server);
        for (body, words) in [
            (json!({ "nobody": 1 }), "there is no variant `nobody`"),
            (
                json!({ "champion": 0, "challenger": 0 }),
                "all weights would be 0",
            ),
            (json!({ "champion": -1 }), "a whole number"),
            (json!({}), "a whole number"),
        ] {
            let refused = set(&server, body);
            assert!(
                refused.status == 400 && refused.text().contains(words),
                "{}",
                refused.text()
            );
        }
        let missing = server.call("PUT", "/api/routes/nope/weights", &[], br#"{"a": 1}"#);
        assert_eq!(missing.status, 404, "{}", missing.text());
        (before, after)
    };
    let moved = |from: &str| {
        before
            .iter()
            .zip(&after)
            .filter(|(old, new)| old != new && *old == from)
            .count()
    };
    assert!(moved("champion") > 20, "more weight, more keys");
    assert_eq!(moved("challenger"), 0, "no key goes where there is less weight");
    // Another process, the same weights, the same variant for each key.
    assert_eq!(by_key(&house.serve_any(&flags)), after);
    // Weights that were configured otherwise since count.
    let flags = [
        "--route",
        "iris=champion*1:models:/iris/1,challenger*0:models:/iris/2",
    ];
    assert!(
        by_key(&house.serve_any(&flags))
            .iter()
            .all(|variant| variant == "champion")
    );
}

fn say(house: &House, server: &Server, arguments: &[&str]) -> Output {
    let mut command = modelsd();
    command.current_dir(house.folder.path());
    let address = format!("http://{}", server.address);
    command
        .env("MODELSD_SERVER", address)
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn the_command_line_shows_and_sets_weights() {
    let house = House::new(&["iris"]);
    let server = house.serve_any(&["--route", CHAMPION_AND_CHALLENGER]);
    let set = say(
        &house,
        &server,
        &["route", "set", "iris", "champion=90", "challenger=10"],
    );
    assert!(set.status.success(), "{set:?}");
    let shown = String::from_utf8(say(&house, &server, &["route", "show"]).stdout).unwrap();
    let line = |variant: &str| {
        let line = shown
            .lines()
            .find(|line| line.trim_start().starts_with(variant))
            .unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("champion"), "champion 90 90.0% 1 models:/iris/Production");
    assert_eq!(line("challenger"), "challenger 10 10.0% 2 models:/iris/Staging");
    let refused = say(&house, &server, &["route", "set", "iris", "nobody=1"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && words.contains("there is no variant `nobody`"),
        "{words}"
    );
}

#[test]
fn variants_swap_apart_from_each_other() {
    let house = House::new(&["iris"]);
    let server = house.serve_any(&[
        "--route",
        "iris=champion:models:/iris@champion,challenger:models:/iris@challenger",
    ]);
    assert_eq!(serving(&server, "iris.challenger"), "2");
    house.say("alias iris challenger 1");
    wait_for_version(&server, "iris.challenger", "1");
    assert_eq!(serving(&server, "iris.champion"), "1");
    house.say("alias iris champion 2");
    wait_for_version(&server, "iris.champion", "2");
    assert_eq!(who(&ask(&server, "/invocations", &[])), pair("champion", "2"));
    assert_eq!(
        who(&ask(
            &server,
            "/invocations",
            &[("x-model-variant", "challenger")]
        )),
        pair("challenger", "1")
    );
}

#[test]
fn a_variant_on_trial_that_is_not_there_holds_nobody_up() {
    let house = House::new(&["iris"]);
    house.say("transition iris 2 Archived");
    let route = "iris=champion*50:models:/iris/Production,challenger*50:models:/iris/Staging";
    let server = house.serve_any(&["--route", route]);
    assert_eq!(get(&server, "/health/ready").status, 200);
    for number in 0..50 {
        let key = number.to_string();
        assert_eq!(
            who(&ask(&server, "/invocations", &[("x-routing-key", &key)])),
            pair("champion", "1")
        );
        assert_eq!(who(&ask(&server, "/invocations", &[])), pair("champion", "1"));
    }
    let asked = ask(&server, "/invocations", &[("x-model-variant", "challenger")]);
    assert_eq!(asked.status, 503, "{}", asked.text());
    assert!(
        asked.text().contains("GET /api/models/iris.challenger says why"),
        "{}",
        asked.text()
    );
    house.say("transition iris 2 Staging");
    wait_for_version(&server, "iris.challenger", "2");
    assert_eq!(
        who(&ask(
            &server,
            "/invocations",
            &[("x-model-variant", "challenger")]
        )),
        pair("challenger", "2")
    );
}

const FILE: &str = r#"
[routes.iris]
header = "x-arm"
allow_version = true
allow_stage = true
[routes.iris.variants]
champion = { model = "models:/iris/Production", weight = 100 }
challenger = { model = "models:/iris/Staging", weight = 0 }
"#;

#[test]
fn a_file_has_what_the_flag_has_not() {
    let house = House::new(&["iris"]);
    let file = house.folder.path().join("modelsd.toml");
    fs::write(&file, FILE).unwrap();
    let server = house.serve_any(&["--config", file.to_str().unwrap()]);
    let asked = |headers: &[(&str, &str)]| ask(&server, "/invocations", headers);
    assert_eq!(who(&asked(&[("x-arm", "challenger")])), pair("challenger", "2"));
    assert_eq!(who(&asked(&[("x-model-version", "2")])), pair("challenger", "2"));
    assert_eq!(
        who(&asked(&[("x-model-stage", "staging")])),
        pair("challenger", "2")
    );
    // In this order.
    assert_eq!(
        who(&asked(&[("x-model-version", "2"), ("x-arm", "champion")])),
        pair("champion", "1")
    );
    let refused = asked(&[("x-model-version", "7")]);
    assert_eq!(refused.status, 400);
    let words = "No variant of model `iris` serves version `7` now. It has `champion` (1), `challenger` (2).";
    assert_eq!(refused.json()["message"], words);
    let checked = modelsd().args(["config", "check"]).arg(&file).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    fs::write(&file, FILE.replace("weight = 100", "wait = 100")).unwrap();
    let checked = modelsd().args(["config", "check"]).arg(&file).output().unwrap();
    assert_eq!(checked.status.code(), Some(64));
    assert!(
        String::from_utf8_lossy(&checked.stderr).contains("unknown field `wait`"),
        "{checked:?}"
    );
}

/// Changes the configuration while requests go on; gives how many were answered, and what each was that was not.
#[test]
fn a_new_configuration_drops_no_request_and_a_bad_one_changes_nothing() {
    let house = House::new(&["iris", "wine"]);
    let file = house.folder.path().join("modelsd.toml");
    let write = |text: &str| fs::write(&file, text).unwrap();
    write(FILE);
    let server = house.serve_any(&["--config", file.to_str().unwrap()]);
    let stop = AtomicBool::new(false);
    let answered = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut versions = BTreeMap::<_, usize>::new();
            while !stop.load(Ordering::Relaxed) {
                *versions
                    .entry(who(&ask(&server, "/models/iris/invocations", &[])))
                    .or_default() += 1;
            }
            versions
        });
        let routes = || get(&server, "/api/routes").json();
        let reload = || server.call("POST", "/api/config/reload", &[], b"");
        // Another model for the champion: it goes on with what it has until that is there.
        write(&FILE.replace("models:/iris/Production", "models:/iris/2"));
        let reloaded = reload();
        assert_eq!(reloaded.status, 200, "{}", reloaded.text());
        wait_for_version(&server, "iris.champion", "2");
        // Mistakes change nothing, and are told.
        let before = routes();
        write(&FILE.replace("models:/iris/Staging", "models:/iris/Nowhere"));
        let refused = reload();
        assert_eq!(refused.status, 400);
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(
            message.contains("variant `challenger`") && message.contains("nothing was changed"),
            "{message}"
        );
        fs::remove_file(&file).unwrap();
        assert_eq!(reload().status, 400);
        assert_eq!(routes(), before);
        // By signal: a variant less, a route more.
        let (head, _) = FILE.split_once("challenger =").unwrap();
        write(&format!(
            "{head}\n[routes.wine.variants]\nred = {{ model = \"models:/wine/1\" }}\n"
        ));
        server.hang_up();
        wait_for("the other route", || {
            get(&server, "/api/routes/wine").status == 200
        });
        wait_for_version(&server, "wine.red", "1");
        wait_for("the end of the challenger", || {
            get(&server, "/api/models/iris.challenger").status == 404
        });
        assert_eq!(
            ask(&server, "/invocations", &[("x-arm", "challenger")]).status,
            400
        );
        stop.store(true, Ordering::Relaxed);
        asking.join().unwrap()
    });
    // Version 1 came back with the last file; nobody was refused in between, or `who` had failed.
    assert!(answered.contains_key(&pair("champion", "1")), "{answered:?}");
    assert!(answered.contains_key(&pair("champion", "2")), "{answered:?}");
}
