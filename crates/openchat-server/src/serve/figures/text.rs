//! The figures in Prometheus's text format 0.0.4.

use crate::{metrics::METRICS, serve::admin::Operator};
use openchat_wire::admin::Status;
use std::fmt::{Display, Write as _};

/// All figures, or `None` if the store can't be read.
pub(crate) async fn figures(operator: &Operator) -> Option<String> {
    let status = operator.status().await.ok()?;
    let mut page = Page::default();
    page.info(&status);
    page.now(&status);
    page.since_start();
    page.flushes();
    Some(page.0)
}

#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.line(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "counter", help);
        self.line(name, "", value);
    }

    fn info(&mut self, status: &Status) {
        self.head("openchat_build_info", "gauge", "Version of the program.");
        self.line("openchat_build_info", &format!("{{version=\"{}\"}}", status.version), 1);
        let started = status.started.seconds();
        self.gauge("process_start_time_seconds", "Start of the server.", started);
        let name = "openchat_certificate_not_after_seconds";
        self.head(name, "gauge", "End of a certificate.");
        self.line(name, "{certificate=\"ca\"}", status.ca_not_after.seconds());
        self.line(name, "{certificate=\"server\"}", status.certificate_not_after.seconds());
    }

    fn now(&mut self, status: &Status) {
        self.gauge("openchat_people_online", "People with a connection.", status.online);
        self.gauge("openchat_sessions", "Connections of members.", status.sessions);
        self.gauge("openchat_handshakes", "Connections not proved yet.", status.handshakes);
        self.gauge("openchat_registered_keys", "Registered keys.", status.registered);
        self.gauge("openchat_logs", "Logs.", status.logs);
        self.gauge("openchat_log_entries", "Entries of all logs.", status.entries);
        self.gauge("openchat_kept_bytes", "Entries whose bodies are kept.", status.kept_bytes);
        if let Some(oldest) = status.oldest {
            let name = "openchat_oldest_message_seconds";
            self.gauge(name, "When the oldest message came.", oldest.seconds());
        }
        self.gauge("openchat_transparency_entries", "Transparency log.", status.recorded);
        self.gauge("openchat_database_bytes", "Database.", status.database_bytes);
        self.gauge("openchat_disk_free_bytes", "Left on its disk.", status.free_bytes);
    }

    fn since_start(&mut self) {
        let all = &METRICS;
        for (name, help, counter) in [
            ("openchat_accepted_total", "TCP connections accepted.", &all.accepted),
            ("openchat_sessions_total", "Sessions begun.", &all.sessions),
            ("openchat_enrolled_total", "Enrollments done.", &all.enrolled),
            ("openchat_requests_total", "Requests decided.", &all.requests),
            ("openchat_appended_total", "Entries appended.", &all.appended),
            ("openchat_dropped_total", "Old messages dropped.", &all.dropped),
            ("openchat_batches_total", "Batches made durable.", &all.batches),
            ("openchat_failed_batches_total", "Batches not stored.", &all.failed_batches),
            ("openchat_suppressed_lines_total", "Lines not written.", &all.suppressed),
            ("openchat_paced_total", "Requests refused for being too many.", &all.paced),
            ("openchat_too_slow_total", "Receivers cut for taking nothing.", &all.too_slow),
            ("openchat_reloads_total", "Reloads done.", &all.reloads),
            ("openchat_refused_reloads_total", "Reloads refused.", &all.refused_reloads),
        ] {
            self.counter(name, help, counter.get());
        }
        self.head("openchat_refused_total", "counter", "Connections refused.");
        for (reason, count) in all.refusals() {
            self.line("openchat_refused_total", &format!("{{reason=\"{reason}\"}}"), count);
        }
        self.head("openchat_held_back_total", "counter", "Waits of members who want too much.");
        for (limit, count) in all.held_back() {
            self.line("openchat_held_back_total", &format!("{{limit=\"{limit}\"}}"), count);
        }
    }

    fn flushes(&mut self) {
        let name = "openchat_flush_seconds";
        self.head(name, "histogram", "Time until a batch is on the disk.");
        let (classes, count, micros) = METRICS.flushes.cumulative();
        let bucket = format!("{name}_bucket");
        for (bound, below) in classes {
            self.line(&bucket, &format!("{{le=\"{}\"}}", seconds(bound)), below);
        }
        self.line(&bucket, "{le=\"+Inf\"}", count);
        self.line(&format!("{name}_sum"), "", seconds(micros));
        self.line(&format!("{name}_count"), "", count);
    }
}

/// Microseconds as decimal seconds.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact() {
        let shown = [0, 250, 1_000, 500_000, 2_500_000, 10_000_000].map(seconds);
        assert_eq!(shown, ["0", "0.00025", "0.001", "0.5", "2.5", "10"]);
    }

    #[test]
    fn every_line_is_of_the_format() {
        let mut page = Page::default();
        page.info(&Status { version: "1.0".to_owned(), ..Status::default() });
        page.now(&Status::default());
        page.since_start();
        page.flushes();
        let name = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        for line in page.0.lines().filter(|line| !line.starts_with("# ")) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let (base, labels) = series.split_once('{').unwrap_or((series, "}"));
            assert!(name(base) && labels.ends_with('}'), "{line}");
            let family = base.trim_end_matches("_bucket").trim_end_matches("_sum");
            let family = family.trim_end_matches("_count");
            assert!(page.0.contains(&format!("# TYPE {family} ")), "{line}");
        }
    }
}
