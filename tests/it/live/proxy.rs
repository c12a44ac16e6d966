//! The network between modelsd and a server, as bad as it is told to be.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What it does to connections, those that are open included.
#[derive(Clone, Copy, PartialEq)]
pub enum Mood {
    /// Lets everything pass.
    Clear,
    /// Closes a connection once so many bytes of one answer came through.
    CutsAfter(usize),
    /// Closes every connection at once.
    Refuses,
    /// Takes every connection and lets nothing pass.
    Silent,
}

/// A proxy in front of one server, until the process ends.
pub struct Proxy {
    /// `http://127.0.0.1:port`.
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    mood: Mutex<Mood>,
    cuts: AtomicUsize,
    bytes: AtomicUsize,
}

impl Proxy {
    /// In front of the server at this address.
    pub fn start(url: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: url.strip_prefix("http://").unwrap().to_owned(),
            mood: Mutex::new(Mood::Clear),
            cuts: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&own);
                std::thread::spawn(move || drop(shared.connect(&client)));
            }
        });
        Proxy {
            url: format!("http://{address}"),
            shared,
        }
    }

    /// Changes its mood.
    pub fn becomes(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// Answers cut, and bytes let through to the client, both since the last call.
    pub fn counts(&self) -> (usize, usize) {
        (
            self.shared.cuts.swap(0, SeqCst),
            self.shared.bytes.swap(0, SeqCst),
        )
    }
}

impl Shared {
    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    fn connect(&self, client: &TcpStream) -> std::io::Result<()> {
        self.hold();
        if self.mood() == Mood::Refuses {
            return Ok(());
        }
        let server = TcpStream::connect(&self.server)?;
        // Bytes of the answer to the last request.
        let answered = Arc::new(AtomicUsize::new(0));
        let (mut from, mut to, zero) = (client.try_clone()?, server.try_clone()?, Arc::clone(&answered));
        std::thread::spawn(move || {
            let mut piece = [0; 16 << 10];
            while let Ok(length @ 1..) = from.read(&mut piece) {
                zero.store(0, SeqCst);
                if to.write_all(&piece[..length]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
        let passed = self.pass(&server, client, &answered);
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
        passed
    }

    fn pass(
        &self,
        mut server: &TcpStream,
        mut client: &TcpStream,
        answered: &AtomicUsize,
    ) -> std::io::Result<()> {
        let mut piece = [0; 16 << 10];
        loop {
            let length = server.read(&mut piece)?;
            self.hold();
            match self.mood() {
                _ if length == 0 => return Ok(()),
                Mood::Refuses => return Ok(()),
                Mood::CutsAfter(bytes) if answered.load(SeqCst) + length > bytes => {
                    self.cuts.fetch_add(1, SeqCst);
                    return Ok(());
                }
                _ => {}
            }
            answered.fetch_add(length, SeqCst);
            self.bytes.fetch_add(length, SeqCst);
            client.write_all(&piece[..length])?;
        }
    }

    /// Waits as long as it is silent.
    fn hold(&self) {
        while self.mood() == Mood::Silent {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
