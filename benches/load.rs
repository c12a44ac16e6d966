//! Closed-loop load over loopback at 1 and 64 connections: modelsd beside a bare axum handler with a fixed reply of the
//! same size, both in processes of their own, pinned to one core where `taskset` is at hand, the load on the other.
//!
//! `cargo bench --bench load [-- SECONDS]` prints a table; compare rows of one run only.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Connection, Served, complete, request, serve_fixed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BODY: &str = r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#;

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    if let Some(at) = words.iter().position(|word| word == "--fixed-reply") {
        return fixed_reply(words[at + 1].clone());
    }
    let seconds = words.iter().find_map(|word| word.parse().ok()).unwrap_or(5.0);
    let pinned = Command::new("taskset")
        .args(["-c", "0", "true"])
        .status()
        .is_ok_and(|status| status.success());
    let wrapper: &[&str] = if pinned { &["taskset", "-c", "0"] } else { &[] };
    let served = Served::start("models:/iris/1", wrapper);
    let request = request(BODY);
    let answer = Connection::open(&served.address).exchange(&request);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let reply = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    let (mut fixed, fixed_address) = start_fixed(reply, wrapper);
    println!("iris 1, one row, {seconds} s a line, server pinned to one core: {pinned}");
    println!(
        "{:<14} {:>11} {:>10} {:>9} {:>9} {:>9}",
        "server", "connections", "req/s", "p50 us", "p99 us", "p99.9 us"
    );
    for connections in [1, 64] {
        for (name, address) in [("fixed reply", &fixed_address), ("modelsd", &served.address)] {
            let times = drive(address, &request, connections, Duration::from_secs_f64(seconds));
            let at = |quantile: f64| times[((times.len() - 1) as f64 * quantile) as usize] as f64 / 1e3;
            let rate = times.len() as f64 / seconds;
            println!(
                "{name:<14} {connections:>11} {rate:>10.0} {:>9.1} {:>9.1} {:>9.1}",
                at(0.5),
                at(0.99),
                at(0.999)
            );
        }
    }
    let _ = fixed.kill();
    let _ = fixed.wait();
}

/// This program again, as the server to compare with.
fn fixed_reply(reply: String) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        serve_fixed(listener, reply).await;
    });
}

fn start_fixed(reply: &str, wrapper: &[&str]) -> (std::process::Child, String) {
    let program = std::env::current_exe().unwrap();
    let program = program.to_str().unwrap();
    let words: Vec<&str> = wrapper
        .iter()
        .copied()
        .chain([program, "--fixed-reply", reply])
        .collect();
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (child, line.trim().to_string())
}

/// Keeps `connections` requests under way; the time of each in nanoseconds, sorted.
fn drive(address: &str, request: &[u8], connections: usize, time: Duration) -> Vec<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut times: Vec<u64> = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        let warm_up = Instant::now() + Duration::from_millis(300);
        let end = warm_up + time;
        for _ in 0..connections {
            let (address, request) = (address.to_string(), request.to_vec());
            tasks.spawn(async move {
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut buffer, mut times) = (vec![0; 64 << 10], Vec::with_capacity(1 << 16));
                loop {
                    let start = Instant::now();
                    if start >= end {
                        return times;
                    }
                    stream.write_all(&request).await.unwrap();
                    let mut length = 0;
                    while !complete(&buffer[..length]) {
                        let read = stream.read(&mut buffer[length..]).await.unwrap();
                        assert!(read > 0, "the server closed the connection");
                        length += read;
                    }
                    if start >= warm_up {
                        times.push(start.elapsed().as_nanos() as u64);
                    }
                }
            });
        }
        tasks.join_all().await.into_iter().flatten().collect()
    });
    times.sort_unstable();
    times
}
