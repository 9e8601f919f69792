//! SIGHUP: the configuration and the certificate are read again, connections stay. Either all of a
//! configuration is taken or nothing of it.

use crate::{
    cli::{Global, SettingArgs},
    config::{Config, Limits, Located},
    failure::Failure,
    hosts,
    metrics::METRICS,
    output::{Console, Event},
    serve::{Server, renewal::Look},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

/// How long a reload may take before the server listens to other signals again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether a setting takes effect at once, as all limits do.
fn is_reloadable(key: &str) -> bool {
    key == "hosts" || key.starts_with("limits.") || key.starts_with("keep.")
}

/// What a reload compares with and acts on.
#[derive(Debug)]
pub(crate) struct Reloader {
    pub(crate) global: Global,
    pub(crate) flags: SettingArgs,
    pub(crate) located: Located,
    pub(crate) current: Config,
    pub(crate) server: Arc<Server>,
    pub(crate) looks: mpsc::Sender<Look>,
    pub(crate) console: Console,
}

/// What a reload found to be different.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// What took effect: `key old -> new`.
    pub(crate) done: Vec<String>,
    /// Keys that wait for a restart.
    pub(crate) restart: Vec<&'static str>,
}

impl Reloader {
    /// Reads everything again, and says on the console what came of it.
    pub(crate) async fn reload(&mut self) {
        match timeout(PATIENCE, self.try_reload()).await {
            Ok(Ok((changes, certificate))) => {
                METRICS.reloads.one();
                let certificate = &certificate;
                self.console.show(&Event::Reloaded { changes: &changes, certificate });
            }
            Ok(Err(reason)) => self.refuse(&reason),
            Err(_) => self.refuse("it took too long"),
        }
    }

    fn refuse(&self, reason: &str) {
        METRICS.refused_reloads.one();
        tracing::error!(reason, "reload refused; everything stays as it was");
        self.console.show(&Event::ReloadRefused { reason });
    }

    async fn try_reload(&mut self) -> Result<(Changes, String), String> {
        let said = |failure: Failure| failure.message;
        let located = Located::find(&self.global).map_err(said)?;
        let new = located.config(&self.flags).map_err(said)?;
        let first = hosts::load(&self.located.data).map_err(said)?;
        // The certificate first: it is what can still fail.
        let (reply, done) = oneshot::channel();
        let configured = [new.hosts.value.clone(), first].concat();
        let sent = self.looks.send(Look { configured, reply }).await;
        let looked = if sent.is_ok() { done.await.ok() } else { None };
        let certificate = looked.ok_or("the server stops")?.map_err(|why| {
            format!("the certificate in {}: {why}", self.located.data.path().display())
        })?;
        self.server.take(&new.limits);
        replace(&self.server.keep, &new.keep);
        let mut changes = Changes::between(&self.current, &new);
        if located.data.path() != self.located.data.path() {
            changes.restart.push("data");
        }
        self.current.take_reloadable(&new);
        Ok((changes, certificate))
    }
}

/// Who watches wakes up only if it is another one: a run of dropping old messages begins then.
fn replace<T: Clone + PartialEq>(watched: &watch::Sender<T>, new: &T) {
    watched.send_if_modified(|current| {
        let is_new = current != new;
        current.clone_from(new);
        is_new
    });
}

impl Server {
    /// These limits hold from now on; nobody is disconnected.
    fn take(&self, limits: &Limits) {
        self.gate.set_max(limits.handshakes.value, limits.handshakes_an_address.value);
        self.addresses.set_max(limits.connections_an_address.value);
        self.sessions.set_max(limits.sessions_a_person.value);
        self.sessions.set_rates(limits.into());
    }
}

impl Config {
    /// What takes effect at once; the rest stays as the running server has it.
    fn take_reloadable(&mut self, new: &Self) {
        self.hosts = new.hosts.clone();
        self.limits = new.limits.clone();
        self.keep = new.keep.clone();
    }
}

impl Changes {
    fn between(old: &Config, new: &Config) -> Self {
        let mut changes = Self::default();
        for (old, new) in old.entries().into_iter().zip(new.entries()) {
            if old.value == new.value {
                continue;
            }
            if is_reloadable(old.key) {
                changes.done.push(format!("{} {} -> {}", old.key, old.value, new.value));
            } else {
                changes.restart.push(old.key);
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_that_changes_nothing_wakes_nobody() {
        let (sender, mut watcher) = watch::channel(1);
        replace(&sender, &1);
        assert!(!watcher.has_changed().unwrap());
        replace(&sender, &2);
        assert!(watcher.has_changed().unwrap());
        assert_eq!(*watcher.borrow_and_update(), 2);
    }
}
