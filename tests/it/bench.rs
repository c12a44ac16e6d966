//! `modelsd bench`: what it counts is what happened, a stall is seen in the open loop and hidden by the closed one, and
//! nothing but 200 is a success.

mod tls;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::house::copy;
use crate::support::{Server, modelsd, repository};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BODY: &str = r#"{"inputs": [[1, 2, 3, 4]]}"#;

/// A server with answers of its own; its threads end with the process.
struct Fake {
    url: String,
    /// When each request came.
    came: Arc<Mutex<Vec<Instant>>>,
}

impl Fake {
    /// `answer` gets the number of the request, from 0, and gives the bytes of the answer; none closes the connection.
    fn start(answer: impl Fn(usize) -> &'static str + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let came = Arc::new(Mutex::new(Vec::new()));
        let (answer, number) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        let times = Arc::clone(&came);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, number) = (Arc::clone(&answer), Arc::clone(&number));
                let times = Arc::clone(&times);
                std::thread::spawn(move || {
                    serve(stream, &times, |()| {
                        answer(number.fetch_add(1, Ordering::Relaxed))
                    })
                });
            }
        });
        Fake { url, came }
    }

    fn requests(&self) -> u64 {
        self.came.lock().unwrap().len() as u64
    }
}

/// Reads requests with [`BODY`] one after another, and answers them.
fn serve(mut stream: TcpStream, came: &Mutex<Vec<Instant>>, answer: impl Fn(()) -> &'static str) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4096];
    let mut filled = 0;
    while let Ok(read) = stream.read(&mut buffer[filled..]) {
        filled += read;
        if read == 0 {
            return;
        }
        if !buffer[..filled].ends_with(BODY.as_bytes()) {
            continue;
        }
        filled = 0;
        came.lock().unwrap().push(Instant::now());
        let answer = answer(());
        if stream.write_all(answer.as_bytes()).is_err() || answer.is_empty() || answer.contains("close") {
            return;
        }
    }
}

/// Sends [`BODY`]; the output, and the report.
fn bench(words: &[&str]) -> (Output, Value) {
    let mut command = command(words);
    command
        .arg("--json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = finish(command);
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output, report)
}

fn command(words: &[&str]) -> Command {
    let mut command = modelsd();
    command.arg("bench").args(words).args(["--body", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn finish(mut command: Command) -> Output {
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(BODY.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn server(report: &Value, step: usize, server: usize) -> &Value {
    &report["steps"][step]["servers"][server]
}

/// The sum of a counter's series that have this outcome.
fn counted(metrics: &str, name: &str, outcome: &str) -> u64 {
    let label = format!("outcome=\"{outcome}\"");
    let series = metrics
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(&label));
    series
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum()
}

#[test]
fn it_counts_what_the_server_counts() {
    let modelsd_server = Server::start("models:/iris/1", &[]);
    let url = format!("http://{}", modelsd_server.address);
    let mut command = modelsd();
    command.args([
        "bench",
        &url,
        "-m",
        "models:/iris/1",
        "--rows",
        "3",
        "--format",
        "dataframe_split",
    ]);
    command.args(["-c", "1,5", "-d", "300ms", "-w", "0", "--threads", "2", "--json"]);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let answered: u64 = (0..2)
        .map(|step| server(&report, step, 0)["requests"].as_u64().unwrap())
        .sum();
    assert!(answered > 10, "{report:#}");
    let metrics = modelsd_server.metrics();
    assert_eq!(counted(&metrics, "modelsd_requests_total", "ok"), answered);
    assert_eq!(counted(&metrics, "modelsd_rows_total", "ok"), 3 * answered);
    assert_eq!(server(&report, 1, 0)["errors"], 0);
    assert_eq!(server(&report, 1, 0)["reconnections"], 0, "connections are kept");
    let latency = &server(&report, 1, 0)["latency_us"];
    let of = |word: &str| latency[word].as_f64().unwrap();
    assert!(
        of("p50") > 0.0 && of("p50") <= of("p99") && of("p99") <= of("max"),
        "{latency}"
    );
}

#[test]
fn a_load_that_spins_stays_awake_and_knows_when_it_has_nothing_to_do() {
    let modelsd_server = Server::start("models:/iris/1", &[]);
    let url = format!("http://{}", modelsd_server.address);
    let measure = |more: &[&str]| {
        let mut command = modelsd();
        command.args(["bench", &url, "-m", "models:/iris/1", "--rate", "10", "--json"]);
        command
            .args(["-c", "1", "-d", "1500ms", "-w", "0", "--threads", "1"])
            .args(more);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut spent = 0;
        while child.try_wait().unwrap().is_none() {
            spent = nanoseconds_of(child.id()).max(spent);
            std::thread::sleep(Duration::from_millis(20));
        }
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (spent, report)
    };
    let ((resting, _), (spinning, report)) = (measure(&[]), measure(&["--spin"]));
    assert!(spinning > 2 * resting, "{spinning} ns beside {resting}");
    assert_eq!(report["spin"], true);
    let busy = server(&report, 0, 0)["load_busy"].as_f64().unwrap();
    assert!(busy < 0.5, "{report:#}");
}

/// What the threads of a process have had of the processors.
fn nanoseconds_of(process: u32) -> u64 {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return 0;
    };
    let of = |path: PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    threads.filter_map(|thread| of(thread.ok()?.path())).sum()
}

#[test]
fn a_socket_is_measured_beside_the_port() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("modelsd.sock");
    let socket = socket.to_str().unwrap();
    let server_of_both = Server::start("models:/iris/1", &["--uds", socket]);
    let (port, unix) = (
        format!("port=http://{}", server_of_both.address),
        format!("unix:{socket}:/models/iris/invocations"),
    );
    let words = ["--compare", &port, "-c", "3", "-d", "200ms", "-w", "0"];
    let (output, report) = bench(&[&[unix.as_str()], &words[..]].concat());
    assert!(output.status.success());
    let (there, here) = (server(&report, 0, 0), server(&report, 0, 1));
    assert_eq!(
        (&there["url"], &there["name"]),
        (&unix.as_str().into(), &format!("unix:{socket}").into())
    );
    for measured in [there, here] {
        assert!(measured["requests"].as_u64() > Some(0), "{report:#}");
        assert_eq!(
            (&measured["errors"], &measured["reconnections"]),
            (&0.into(), &0.into()),
            "{report:#}"
        );
    }
    let sum = there["requests"].as_u64().unwrap() + here["requests"].as_u64().unwrap();
    assert_eq!(
        counted(&server_of_both.metrics(), "modelsd_requests_total", "ok"),
        sum
    );
    let nobody = format!("unix:{socket}.none");
    let (output, report) = bench(&[&nobody, "-c", "1", "-d", "100ms", "-w", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        server(&report, 0, 0)["causes"]["connect"].as_u64() > Some(0),
        "{report:#}"
    );
}

#[test]
fn rows_are_made_from_the_signature_of_a_model_without_example() {
    let served = Server::start("models:/diabetes/1", &[]);
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    copy(&repository("models/diabetes/1"), &model);
    for file in ["input_example.json", "serving_input_example.json"] {
        std::fs::remove_file(model.join(file)).unwrap();
    }
    let url = format!("http://{}", served.address);
    for form in ["inputs", "dataframe_split", "dataframe_records", "instances"] {
        let mut command = modelsd();
        command.args(["bench", &url, "--rows", "7", "--format", form, "-m"]);
        command
            .arg(&model)
            .args(["-c", "1", "-d", "100ms", "-w", "0", "--json"]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{form}: {said}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(server(&report, 0, 0)["errors"], 0, "{form}: {report:#}");
    }
}

/// Serves at once, but for one time at which it stands still.
fn stalling(stall: Duration) -> Fake {
    let (first, stalled) = (Mutex::new(None::<Instant>), AtomicBool::new(false));
    Fake::start(move |_| {
        let begun = *first.lock().unwrap().get_or_insert_with(Instant::now);
        if begun.elapsed() > Duration::from_millis(500) && !stalled.swap(true, Ordering::Relaxed) {
            std::thread::sleep(stall);
        }
        OK
    })
}

#[test]
fn a_stall_shows_in_the_open_loop_and_hides_in_the_closed_one() {
    let stall = Duration::from_millis(200);
    let words = ["-c", "1", "-d", "2s", "-w", "0"];
    let open = stalling(stall);
    let (_, report) = bench(&[&[open.url.as_str(), "--rate", "200"], &words[..]].concat());
    let measured = server(&report, 0, 0);
    let p99 = |measured: &Value| measured["latency_us"]["p99"].as_f64().unwrap();
    // 40 of the 400 requests were due meanwhile.
    assert!(p99(measured) > 150_000.0, "{measured:#}");
    assert_eq!(
        measured["requests"].as_u64().unwrap() + measured["unsent"].as_u64().unwrap(),
        400
    );

    let closed = stalling(stall);
    let (_, report) = bench(&[&[closed.url.as_str()], &words[..]].concat());
    let measured = server(&report, 0, 0);
    assert!(
        measured["latency_us"]["max"].as_f64().unwrap() >= 200_000.0,
        "it did stall: {measured:#}"
    );
    assert!(p99(measured) < 100_000.0, "one of very many: {measured:#}");
}

#[test]
fn an_open_loop_that_a_server_cannot_follow_tells_of_what_was_not_sent() {
    let slow = Fake::start(|_| {
        std::thread::sleep(Duration::from_millis(50));
        OK
    });
    let (_, report) = bench(&[&slow.url, "--rate", "200", "-c", "2", "-d", "1s", "-w", "0"]);
    let measured = server(&report, 0, 0);
    let (sent, unsent) = (
        measured["requests"].as_u64().unwrap(),
        measured["unsent"].as_u64().unwrap(),
    );
    // At most 40 a second, and the two that were on their way at the end.
    assert!(sent <= 42 && sent + unsent == 200, "{measured:#}");
    assert!(
        measured["latency_us"]["p50"].as_f64().unwrap() > 300_000.0,
        "{measured:#}"
    );
}

#[test]
fn only_200_is_a_success_and_errors_are_told_apart() {
    let mixed = Fake::start(|number| match number % 4 {
        0 => "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy",
        1 => "",
        2 => "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        _ => OK,
    });
    let (output, report) = bench(&[&mixed.url, "-c", "3", "-d", "300ms", "-w", "0"]);
    assert!(output.status.success());
    let measured = server(&report, 0, 0);
    let of = |value: &Value| value.as_u64().unwrap();
    let (busy, closed) = (
        of(&measured["statuses"]["503"]),
        of(&measured["causes"]["closed"]),
    );
    assert_eq!(of(&measured["errors"]), busy + closed);
    assert_eq!(of(&measured["requests"]) + busy + closed, mixed.requests());
    assert!(
        busy > 0 && closed > 0 && measured["first_error"] == "503 busy",
        "{measured:#}"
    );
    assert!(of(&measured["reconnections"]) > 0);

    let never = Fake::start(|_| "HTTP/1.1 400 Bad\r\ncontent-length: 3\r\n\r\nbad");
    let (output, report) = bench(&[&never.url, "-c", "1", "-d", "100ms", "-w", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(server(&report, 0, 0)["requests"], 0);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("status 400") && said.contains("bad"), "{said}");
}

#[test]
fn refusals_are_timed_apart_from_what_was_served() {
    let quick = |number: usize| number.is_multiple_of(2);
    let busy = Fake::start(move |number| {
        if quick(number) {
            return "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy";
        }
        std::thread::sleep(Duration::from_millis(30));
        OK
    });
    let words = [busy.url.as_str(), "-c", "1", "-d", "500ms", "-w", "0"];
    let (_, report) = bench(&words);
    let measured = server(&report, 0, 0);
    assert_eq!(measured["refusals"], measured["statuses"]["503"], "{measured:#}");
    let of = |latency: &str, word: &str| measured[latency][word].as_f64().unwrap();
    assert!(of("refusal_latency_us", "p50") < 15_000.0, "{measured:#}");
    assert!(of("latency_us", "p50") >= 29_000.0, "{measured:#}");

    let page = String::from_utf8(finish(command(&words)).stdout).unwrap();
    assert!(page.contains("refused as too much (429, 503), in p50 "), "{page}");
    let never = Fake::start(|_| OK);
    let (_, report) = bench(&[&never.url, "-c", "1", "-d", "100ms", "-w", "0"]);
    assert_eq!(server(&report, 0, 0)["refusals"], 0);
    assert_eq!(server(&report, 0, 0)["refusal_latency_us"]["p99"], Value::Null);
}

#[test]
fn an_answer_that_does_not_come_in_time_is_an_error_with_its_wait() {
    let hanging = Fake::start(|number| {
        if number == 2 {
            std::thread::sleep(Duration::from_secs(5));
        }
        OK
    });
    let (_, report) = bench(&[
        &hanging.url,
        "-c",
        "1",
        "-d",
        "1s",
        "-w",
        "0",
        "--timeout",
        "300ms",
    ]);
    let measured = server(&report, 0, 0);
    assert_eq!(measured["causes"]["timeout"], 1, "{measured:#}");
    assert!(
        measured["latency_us"]["max"].as_f64().unwrap() >= 299_000.0,
        "{measured:#}"
    );
}

#[test]
fn servers_are_compared_in_turns() {
    let (fast, slow) = (
        Fake::start(|_| OK),
        Fake::start(|_| {
            std::thread::sleep(Duration::from_millis(20));
            OK
        }),
    );
    let compare = format!("slow={}", slow.url);
    let words = [&fast.url, "--compare", &compare, "-c", "2", "-d", "2s", "-w", "0"];
    let (_, report) = bench(&words);
    let ratio = &server(&report, 0, 1)["ratio"];
    assert!(ratio["requests_per_second"].as_f64().unwrap() < 0.9, "{report:#}");
    assert!(ratio["p50"].as_f64().unwrap() > 1.1, "{report:#}");
    assert_eq!(server(&report, 0, 0)["ratio"], Value::Null);
    for (number, fake) in [&fast, &slow].into_iter().enumerate() {
        assert_eq!(
            server(&report, 0, number)["requests"].as_u64().unwrap(),
            fake.requests()
        );
    }
    // A, B, A, B: the turn changes three times.
    let times = |fake: &Fake, name| {
        let came = fake.came.lock().unwrap();
        came.iter().map(|at| (*at, name)).collect::<Vec<_>>()
    };
    let mut all = [times(&fast, 'a'), times(&slow, 'b')].concat();
    all.sort();
    let changes = all.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    assert_eq!(changes, 3, "{report:#}");

    let output = finish(command(&words));
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(
        page.contains("req/s x") && page.lines().any(|line| line.contains("  slow ")),
        "{page}"
    );
}

#[test]
fn ctrl_c_prints_what_was_measured_so_far() {
    let fake = Fake::start(|_| OK);
    let mut command = command(&[&fake.url, "-c", "2,4", "-d", "60s", "-w", "0", "--json"]);
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(BODY.as_bytes()).unwrap();
    let start = Instant::now();
    while fake.requests() < 100 {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(50), "it went on");
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["interrupted"], report["steps"].as_array().unwrap().len()),
        (&Value::Bool(true), 1)
    );
    assert!(server(&report, 0, 0)["requests"].as_u64().unwrap() >= 90);
}
