//! A server that is run again whenever its disk has ended it.

use crate::shim::{Cache, Fault, Faults};
use openchat_sim::{Person, Server, run};
use openchat_wire::invitation::Invitation;
use std::{
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Between two looks at whether it still runs.
const LOOK: Duration = Duration::from_millis(2);

/// What is to happen, one after the other: the write point since the last start, what there, and
/// what the disk has afterwards.
pub(crate) type Plan = Vec<(u64, Fault, Cache)>;

/// The server, and what is yet to befall it.
pub(crate) struct Watched {
    server: Mutex<Server>,
    faults: Faults,
    plan: Mutex<Plan>,
}

impl Watched {
    /// Runs a server that the first of `plan` befalls.
    pub(crate) fn start(plan: Plan) -> Self {
        let mut server = Server::prepare(&[]);
        let faults = Faults::new(&server.data(), server.place()).with_power_cuts(server.place());
        server.set_environment(faults.environment());
        let watched = Self { server: Mutex::new(server), faults, plan: Mutex::default() };
        watched.then(plan);
        watched.run();
        watched
    }

    /// What befalls it from now on.
    pub(crate) fn then(&self, mut plan: Plan) {
        plan.reverse();
        if let Some((point, fault, _)) = plan.last() {
            self.faults.plan(*point, *fault);
        }
        *self.plan.lock().unwrap() = plan;
    }

    /// Does something while the server is looked after; gives what that gave.
    pub(crate) fn during<T>(&self, act: impl FnOnce() -> T) -> T {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let watch = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let ended = self.server.lock().unwrap().ended();
                    if let Some(status) = ended {
                        self.ended(status);
                    }
                    thread::sleep(LOOK);
                }
            });
            let _end = End(&done);
            let acted = act();
            done.store(true, Ordering::Relaxed);
            watch.join().unwrap();
            acted
        })
    }

    /// Somebody with a certificate, however often that has to be tried.
    pub(crate) fn enroll(&self, name: &str) -> Person {
        let person = Person::new(name, &self.server.lock().unwrap());
        let deadline = Instant::now() + openchat_sim::PATIENCE;
        loop {
            let (code, said) = person.try_to(&["enroll", "--name", name]);
            if code == Some(0) {
                return person;
            }
            assert!(Instant::now() < deadline, "{said:?}\n{}", self.console());
        }
    }

    /// The same by an invitation that names another way to the server; nothing may befall it.
    pub(crate) fn enroll_by(&self, name: &str, way: &str) -> Person {
        let server = self.server.lock().unwrap();
        let printed = run(server.command().args(["invite", "new", name])).stdout;
        let invitation: Invitation = String::from_utf8(printed).unwrap().parse().unwrap();
        let invitation = Invitation { address: way.to_owned(), ..invitation }.to_string();
        let person = Person::new(name, &server);
        person.run(&["enroll", "--name", name, "--invite", &invitation]);
        person
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        self.server.lock().unwrap().address().to_owned()
    }

    /// How much of the plan is left; what has begun is not.
    pub(crate) fn left(&self) -> usize {
        self.plan.lock().unwrap().len()
    }

    /// Write points since the last start.
    pub(crate) fn points(&self) -> u64 {
        self.faults.points()
    }

    /// The server itself, once nothing befalls it any more.
    pub(crate) fn into_server(self) -> Server {
        self.server.into_inner().unwrap()
    }

    fn console(&self) -> String {
        self.server.lock().unwrap().console()
    }

    /// Runs it until it is ready, with the next of the plan.
    fn run(&self) {
        loop {
            let next = self.plan.lock().unwrap().last().copied();
            match next {
                Some((point, fault, _)) => self.faults.plan(point, fault),
                None => self.faults.plan_nothing(),
            }
            let started = self.server.lock().unwrap().try_run();
            match started {
                Ok(()) => return,
                Err(status) => self.befallen(status),
            }
        }
    }

    fn ended(&self, status: ExitStatus) {
        self.befallen(status);
        self.run();
    }

    /// Makes the disk what it is after this end.
    fn befallen(&self, status: ExitStatus) {
        let planned = self.plan.lock().unwrap().pop();
        let killed = status.signal() == Some(9);
        let Some((_, fault, cache)) = planned.filter(|_| killed) else {
            panic!("the server ended by itself: {status}\n{}", self.console());
        };
        assert_ne!(fault, Fault::FailSync);
        self.faults.cut_power(cache);
    }
}

/// The watch ends also when what it is for panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
