//! What a swap costs the requests that go on meanwhile: a steady open-loop load on one slot, in turns alone, while that
//! slot is swapped again and again, and while another slot swaps a model of 200 MB; at last, as the control, while the
//! server is restarted instead, which is how versions change without swaps. A fourth window has a busy loop with the
//! priority of a load beside it: what any work costs on this machine, whatever it is. What this program itself does for a
//! swap (it writes to a registry, and asks until the version is there) it does in all windows, in those without swaps to a
//! registry that nobody follows, so that it weighs on all of them alike.
//!
//! `cargo bench --bench swap [-- --rounds 20 --rate 4000 --unpinned]`; quote ratios of one run. Each round has a window of
//! a second for each of the three, so that whatever else the machine does meets them alike, and the ratio is that of the
//! median window: virtual machines stand still for tens of milliseconds now and then, which is all that a tail over the
//! whole run would show (the last line says how much that was). Server and load are pinned to one core each where `taskset` is
//! at hand, so that loading competes with serving.

mod support;
#[path = "swap/table.rs"]
mod table;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use modelsd::model::stage::Stage;
use modelsd::registry::embedded;
use support::{Connection, Served, request};

const BODY: &str = r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#;
const CONNECTIONS: u64 = 8;
/// Bytes of the large model.
const LARGE: usize = 200 << 20;
/// A window without swaps, or with many small ones.
const WINDOW: Duration = Duration::from_secs(1);
/// Between two swaps of the small model, and what each takes, about.
const PAUSE: Duration = Duration::from_millis(10);
const SWAP: Duration = Duration::from_millis(55);
/// Between two questions whether a version is there.
const ASK: Duration = Duration::from_millis(5);
/// After a swap the old version ends; that belongs to the swap.
const TAIL: Duration = Duration::from_millis(50);

/// One request.
struct Sample {
    at: Instant,
    took: Duration,
    what: What,
}

#[derive(PartialEq)]
enum What {
    Good,
    Failed,
    Mixed,
}

/// What was going on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Window {
    Steady,
    /// A busy loop with the priority of a load, and nothing else.
    Busy,
    Small,
    Large,
}

/// What a load showed.
#[derive(Default)]
struct Phase {
    samples: Vec<Sample>,
    windows: Vec<(Instant, Instant, Window)>,
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if words.iter().any(|word| word == "--spin") {
        let began = Instant::now();
        while began.elapsed() < WINDOW {}
        return;
    }
    let number = |flag: &str, default: u64| {
        let at = words.iter().position(|word| word == flag);
        at.and_then(|at| words.get(at + 1)?.parse().ok())
            .unwrap_or(default)
    };
    let (rounds, rate) = (number("--rounds", 20), number("--rate", 4000));
    let pinned = !words.iter().any(|word| word == "--unpinned")
        && Command::new("taskset")
            .args(["-c", "0", "true"])
            .status()
            .is_ok_and(|status| status.success());
    let wrapper: &[&str] = if pinned { &["taskset", "-c", "0"] } else { &[] };
    if pinned {
        let own = std::process::id().to_string();
        let _ = Command::new("taskset").args(["-apc", "1", &own]).output();
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("models");
    make_registry(&root);
    let registry = embedded(&root);
    let other = folder.path().join("unwatched");
    make_registry(&other);
    let unwatched = embedded(&other);
    let root_text = root.to_str().unwrap();
    let flags = [
        "--registry",
        root_text,
        "-m",
        "large=models:/large/Production",
        "--predictors",
        "2",
    ];
    let server = Served::start_with(
        "models:/iris/Production",
        wrapper,
        &flags,
        &folder.path().join("cache"),
    );
    let first = answer_of(&server.address);
    transition(&registry, "iris", 2, &server, "iris");
    let second = answer_of(&server.address);
    assert_ne!(first, second);
    let bodies = [first, second];
    println!(
        "{rate} requests/s on {CONNECTIONS} connections, open loop; pinned: {pinned}; times in microseconds"
    );
    println!(
        "{:<18} {:>9} {:>7} {:>7} {:>6} {:>8} {:>8} {:>8} {:>9}   {:>10} {:>10}",
        "window",
        "requests",
        "failed",
        "mixed",
        "swaps",
        "p50",
        "p99",
        "p99.9",
        "longest",
        "median p50",
        "median p99"
    );
    let before = server.resident_megabytes();
    let (mut small, mut large) = (0, 0);
    let phase = load(
        &server.address,
        rate,
        &bodies,
        |windows: &mut Vec<(Instant, Instant, Window)>| {
            for round in 0..rounds {
                let began = Instant::now();
                pretend(&unwatched, &server, WINDOW);
                windows.push((began, Instant::now(), Window::Steady));
                let began = Instant::now();
                let program = std::env::current_exe().unwrap();
                let mut busy = Command::new("nice");
                busy.args(["-n", "10"]).args(wrapper).arg(program).arg("--spin");
                let busy = busy.spawn();
                pretend(&unwatched, &server, WINDOW);
                let _ = busy.map(|mut busy| busy.wait());
                windows.push((began, Instant::now(), Window::Busy));
                let began = Instant::now();
                while began.elapsed() < WINDOW {
                    transition(&registry, "iris", 1 + small % 2, &server, "iris");
                    small += 1;
                    std::thread::sleep(PAUSE);
                }
                windows.push((began, Instant::now() + TAIL, Window::Small));
                std::thread::sleep(TAIL);
                let began = Instant::now();
                transition(&registry, "large", 2 - round % 2, &server, "large");
                large += 1;
                windows.push((began, Instant::now() + TAIL, Window::Large));
                std::thread::sleep(TAIL);
            }
        },
    );
    let steady = phase.show("steady", Window::Steady, 0);
    let busy = phase.show("busy loop", Window::Busy, 0);
    let within_small = phase.show("small model swaps", Window::Small, small);
    let within_large = phase.show("200 MB swaps", Window::Large, large);
    println!(
        "all: {} requests, {} failed, {} mixed, {} swaps; resident memory {before} MB before, {} MB after",
        phase.samples.len(),
        phase.count(What::Failed),
        phase.count(What::Mixed),
        small + large,
        server.resident_megabytes()
    );
    println!(
        "p99 of the median window over the steady one: busy loop {:.2}, small {:.2}, 200 MB {:.2}",
        busy / steady,
        within_small / steady,
        within_large / steady
    );
    drop(server);
    control(wrapper, rate, &bodies, &flags, folder.path());
    println!("{}", stalls());
}

/// What the machine itself takes away: gaps in a loop that only looks at the clock.
fn stalls() -> String {
    let began = Instant::now();
    let (mut last, mut gaps) = (began, Vec::new());
    while began.elapsed() < Duration::from_secs(5) {
        let now = Instant::now();
        if now - last > Duration::from_millis(3) {
            gaps.push(now - last);
        }
        last = now;
    }
    let longest = gaps.iter().max().copied().unwrap_or_default();
    let all: Duration = gaps.iter().sum();
    format!(
        "the idle machine stood still {} times for more than 3 ms in 5 s: {all:?} in all, {longest:?} at the longest",
        gaps.len()
    )
}

/// The same load while the server is ended and started anew for each version.
fn control(wrapper: &[&str], rate: u64, bodies: &[String; 2], flags: &[&str], folder: &Path) {
    let start = |version: u64, port: &str| {
        let flags = [flags, &["--port", port]].concat();
        Served::start_with(
            &format!("models:/iris/{version}"),
            wrapper,
            &flags,
            &folder.join("cache"),
        )
    };
    let server = Mutex::new(Some(start(1, "0")));
    let address = server
        .lock()
        .unwrap()
        .as_ref()
        .map(|server| server.address.clone())
        .unwrap();
    let port = address.rsplit(':').next().unwrap().to_owned();
    let phase = load(
        &address,
        rate,
        bodies,
        |_: &mut Vec<(Instant, Instant, Window)>| {
            for round in 0..5 {
                let mut server = server.lock().unwrap();
                drop(server.take());
                *server = Some(start(2 - round % 2, &port));
                std::thread::sleep(Duration::from_millis(300));
            }
        },
    );
    drop(server);
    println!(
        "control: restarts instead of 5 swaps: {} requests, {} failed",
        phase.samples.len(),
        phase.count(What::Failed)
    );
}

/// Copies the small model and makes the large one: a table of numbers, of which a request reads one row.
fn make_registry(root: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/iris");
    for version in ["1", "2"] {
        let target = root.join("iris").join(version);
        fs::create_dir_all(&target).unwrap();
        for file in ["MLmodel", "model.onnx"] {
            fs::copy(source.join(version).join(file), target.join(file)).unwrap();
        }
        let target = root.join("large").join(version);
        fs::create_dir_all(&target).unwrap();
        fs::write(target.join("MLmodel"), "flavors:\n  onnx: {data: model.onnx}\n").unwrap();
        fs::write(
            target.join("model.onnx"),
            table::graph(LARGE, version.as_bytes()[0]),
        )
        .unwrap();
    }
    let registry = embedded(root);
    for name in ["iris", "large"] {
        registry
            .transition(name, 1, Stage::Production, true, now_ms())
            .unwrap();
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Moves a version to Production and waits until it is served.
fn transition(
    registry: &modelsd::registry::DirRegistry,
    model: &str,
    version: u64,
    server: &Served,
    slot: &str,
) {
    registry
        .transition(model, version, Stage::Production, true, now_ms())
        .unwrap();
    let wanted = format!("\"serving\":{{\"name\":\"{model}\",\"version\":\"{version}\"");
    let mut connection = Connection::open(&server.address);
    let question = format!("GET /api/models/{slot} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let began = Instant::now();
    loop {
        let answer = connection.exchange(question.as_bytes());
        if answer.contains(&wanted) {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "never served: {answer}"
        );
        std::thread::sleep(ASK);
    }
}

/// Does what [`transition`] does, again and again, to a registry that nobody follows.
fn pretend(registry: &modelsd::registry::DirRegistry, server: &Served, time: Duration) {
    let mut connection = Connection::open(&server.address);
    let question = "GET /api/models/iris HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let began = Instant::now();
    for round in 0.. {
        let version = 1 + round % 2;
        registry
            .transition("iris", version, Stage::Production, true, now_ms())
            .unwrap();
        let swap = Instant::now();
        while swap.elapsed() < SWAP {
            connection.exchange(question.as_bytes());
            std::thread::sleep(ASK);
        }
        std::thread::sleep(PAUSE);
        if began.elapsed() >= time {
            return;
        }
    }
}

fn answer_of(address: &str) -> String {
    let answer = Connection::open(address).exchange(&request(BODY));
    answer.split("\r\n\r\n").nth(1).unwrap().to_owned()
}

/// Keeps the load up while `work` runs.
fn load(
    address: &str,
    rate: u64,
    bodies: &[String; 2],
    work: impl FnOnce(&mut Vec<(Instant, Instant, Window)>),
) -> Phase {
    let stop = AtomicBool::new(false);
    let mut phase = Phase::default();
    let samples = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|client| {
                let stop = &stop;
                scope.spawn(move || drive(address, rate, client, bodies, stop))
            })
            .collect();
        work(&mut phase.windows);
        stop.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });
    phase.samples = samples;
    phase
}

/// One connection of the load. A request that could not be sent in time, because the one before was late, counts from
/// when it should have been sent.
fn drive(address: &str, rate: u64, client: u64, bodies: &[String; 2], stop: &AtomicBool) -> Vec<Sample> {
    let request = request(BODY);
    let pause = Duration::from_nanos(1_000_000_000 * CONNECTIONS / rate);
    let mut due = Instant::now() + pause / CONNECTIONS as u32 * client as u32;
    let mut samples = Vec::with_capacity(1 << 18);
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) {
        let free = Instant::now();
        if free < due {
            std::thread::sleep(due - free);
        }
        let at = if free < due { Instant::now() } else { due };
        let what = exchange(&mut connection, address, &request, bodies);
        samples.push(Sample {
            at,
            took: at.elapsed(),
            what,
        });
        due += pause;
    }
    samples
}

/// Sends a request on the kept connection, or a new one, and looks at the answer.
fn exchange(
    connection: &mut Option<Connection>,
    address: &str,
    request: &[u8],
    bodies: &[String; 2],
) -> What {
    if connection.is_none() {
        *connection = Connection::try_open(address);
    }
    let answer = connection
        .as_mut()
        .and_then(|connection| connection.try_exchange(request));
    let Some(answer) = answer else {
        *connection = None;
        return What::Failed;
    };
    if !answer.starts_with("HTTP/1.1 200") {
        return What::Failed;
    }
    let version = usize::from(answer.contains("x-model-version: 2\r\n"));
    if answer.ends_with(&bodies[version]) {
        What::Good
    } else {
        What::Mixed
    }
}

impl Phase {
    fn count(&self, what: What) -> usize {
        self.samples.iter().filter(|sample| sample.what == what).count()
    }

    /// Prints what went on in the windows of one kind; gives the p99 of the median one, in microseconds.
    fn show(&self, name: &str, kind: Window, swaps: u64) -> f64 {
        let windows = self.windows.iter().filter(|(_, _, window)| *window == kind);
        let each: Vec<Vec<&Sample>> = windows
            .map(|(from, to, _)| {
                let inside = |sample: &&Sample| (*from..*to).contains(&sample.at);
                self.samples.iter().filter(inside).collect()
            })
            .collect();
        let all: Vec<&Sample> = each.iter().flatten().copied().collect();
        let count = |what: What| all.iter().filter(|sample| sample.what == what).count();
        let [p50, p99, p999, longest] = quantiles(&all);
        let median = |at: usize| {
            let mut values: Vec<f64> = each.iter().map(|samples| quantiles(samples)[at]).collect();
            values.sort_unstable_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        println!(
            "{name:<18} {:>9} {:>7} {:>7} {swaps:>6} {p50:>8.0} {p99:>8.0} {p999:>8.0} {longest:>9.0}   {:>10.0} {:>10.0}",
            all.len(),
            count(What::Failed),
            count(What::Mixed),
            median(0),
            median(1)
        );
        median(1)
    }
}

/// p50, p99, p99.9 and the longest, in microseconds.
fn quantiles(samples: &[&Sample]) -> [f64; 4] {
    let mut times: Vec<f64> = samples
        .iter()
        .map(|sample| sample.took.as_secs_f64() * 1e6)
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    [0.5, 0.99, 0.999, 1.0].map(|quantile| {
        let at = (times.len().saturating_sub(1) as f64 * quantile) as usize;
        times.get(at).copied().unwrap_or(f64::NAN)
    })
}
