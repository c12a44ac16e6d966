//! The `modelsd` command.

use std::io::Write;

use clap::Parser;
use modelsd::config::{Args, Problems, ProcessEnv};

/// The system's allocator asks the kernel for more of the process's memory map now and then, and then waits for whoever
/// maps or unmaps a large model at that time: requests were seen to stand still for tens of milliseconds during swaps.
///
/// Compared in one sitting, serving a small model (`iris`): resident memory, instructions of a request (callgrind), and
/// memory half a minute after 9,990 HTTP/2 connections have left. Requests a second differed by less than runs of one.
///
/// | allocator | MB | instructions | MB after the connections |
/// | --- | --- | --- | --- |
/// | mimalloc 3.3 | 40.2 | 56,900 | 131 |
/// | mimalloc 2.3 | 40.9 | 56,400 | 92 |
/// | jemalloc 5.3 | 41.0 | 56,100 | 150 |
/// | glibc 2.36 | 38.7 | 57,800 | 244 |
///
/// mimalloc's options (delay of purging, size and commitment of arenas) change nothing beyond the noise. The 8 MB that
/// ONNX Runtime itself allocates, mostly its table of operators, take no less from another allocator than from glibc's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the shell is told: all went well, it failed, or bad usage or configuration (as `sysexits.h` numbers it).
const SUCCESS: i32 = 0;
const FAILURE: i32 = 1;
const EX_USAGE: i32 = 64;

/// ONNX Runtime decides on telemetry as its library is loaded, before it can be told through its interface; this is the
/// other of its two switches. Set here because no thread runs yet, and by a crate because we write no unsafe code.
const NO_TELEMETRY: &[u8] = b"ORT_DISABLE_TELEMETRY=1";

fn main() {
    let status = command();
    // As the end of `main` would: it is not run.
    let _ = std::io::stdout().flush();
    // Without what is registered for the end of a process: ONNX Runtime would tear its tables down under a thread that is
    // still loading a model, one that took too long or that a signal met half-way, and the process would die of it.
    signal_hook::low_level::exit(status)
}

/// What the arguments ask for, and the status to end with.
fn command() -> i32 {
    if let Err(error) = dotenvy::from_read(NO_TELEMETRY) {
        eprintln!("modelsd: cannot turn the telemetry of ONNX Runtime off: {error}");
        return FAILURE;
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no mistakes; a reader that closed its pipe is none of ours.
            let _ = error.print();
            return if error.use_stderr() { EX_USAGE } else { SUCCESS };
        }
    };
    match modelsd::app::run(args, &ProcessEnv) {
        Ok(()) => SUCCESS,
        Err(error) => {
            eprintln!("modelsd: {}", chain(&error));
            if error.is::<Problems>() { EX_USAGE } else { FAILURE }
        }
    }
}

/// The error and its causes, each on its own line.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        text.push_str("\n  because ");
        text.push_str(&cause.to_string());
    }
    text
}
