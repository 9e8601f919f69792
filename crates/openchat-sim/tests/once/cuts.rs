//! A way to the server that is cut now and then, in the middle of whatever is under way.

use crate::shim::Coins;
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Listens on this machine and passes on what comes, until it has cut as often as it was told to.
pub(crate) struct Cuts {
    address: SocketAddr,
    left: Arc<AtomicUsize>,
}

impl Cuts {
    /// Passes on to `server`, and cuts `count` connections, each after some thousand bytes.
    pub(crate) fn start(server: String, count: usize, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let left = Arc::new(AtomicUsize::new(count));
        let cuts = Arc::clone(&left);
        // It ends with the test program: nobody can wait for a listener.
        thread::spawn(move || {
            let mut coins = Coins(seed);
            for client in listener.incoming().map_while(Result::ok) {
                // Nobody listens while the server is down; the client tries again.
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let bytes = 4_000 + usize::try_from(coins.next() % 30_000).unwrap();
                Way { cuts: Arc::clone(&cuts), bytes: Mutex::new(bytes) }.open(&client, &server);
            }
        });
        Self { address, left }
    }

    /// `ADDRESS:PORT` for clients.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Cuts yet to come.
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}

/// One connection, in both directions.
struct Way {
    cuts: Arc<AtomicUsize>,
    /// What may still pass before the cut.
    bytes: Mutex<usize>,
}

impl Way {
    fn open(self, client: &TcpStream, server: &TcpStream) {
        let way = Arc::new(self);
        for (from, to) in [(client, server), (server, client)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let way = Arc::clone(&way);
            thread::spawn(move || way.pass(from, to));
        }
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = [0; 1_500];
        while let Ok(got) = from.read(&mut bytes) {
            let passes = self.take(got);
            if got == 0 || to.write_all(&bytes[..passes]).is_err() || passes < got {
                break;
            }
        }
        // It may be closed already.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// How much of this passes.
    fn take(&self, bytes: usize) -> usize {
        let mut left = self.bytes.lock().unwrap();
        if bytes < *left {
            *left -= bytes;
            return bytes;
        }
        let cut = |cuts: usize| cuts.checked_sub(1);
        if self.cuts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, cut).is_ok() {
            return std::mem::take(&mut *left) / 2;
        }
        // Enough were cut: this one lives on.
        *left = usize::MAX;
        bytes
    }
}
