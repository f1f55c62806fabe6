//! The log of a server is written by a thread of its own: a collector that reads slowly, or not at all, holds no request up.

use std::io::{self, BufWriter, Write};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use prometheus::IntCounter;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Most lines that wait to be written; further ones are dropped and counted. A line is some hundred bytes, a few thousand at
/// most.
const LINES_WAITING_MAX: usize = 8192;

/// How much is written at once, in bytes, when lines come faster than they are taken.
const WRITE_BYTES: usize = 64 * 1024;

/// How long lines are collected after some were written. While the thread sleeps, a line costs no request the system call that
/// would wake it.
const COLLECTING: Duration = Duration::from_millis(10);

/// The thread that writes. Its end waits a second at most for what is not written yet.
pub struct Log {
    _writing: WorkerGuard,
}

impl Log {
    /// Starts to write to `out`.
    ///
    /// # Errors
    /// When the metric of what is dropped cannot be registered.
    pub(super) fn start(out: impl Write + Send + 'static) -> Result<(NonBlocking, Self)> {
        let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_WAITING_MAX);
        let (writer, writing) = builder.thread_name("log").finish(Batches(BufWriter::with_capacity(WRITE_BYTES, out)));
        prometheus::register(Box::new(Dropped::new(writer.error_counter())?))?;
        Ok((writer, Self { _writing: writing }))
    }
}

/// Writes many lines at once, when there are many. It is flushed when no further line waits.
struct Batches<W: Write>(BufWriter<W>);

impl<W: Write> Write for Batches<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        sleep(COLLECTING);
        Ok(())
    }
}

/// How many lines were dropped, as a metric.
struct Dropped {
    lines: ErrorCounter,
    count: IntCounter,
    /// Whoever counts does so alone.
    turn: Mutex<()>,
}

impl Dropped {
    fn new(lines: ErrorCounter) -> Result<Self> {
        let about = "Lines of the log that were dropped, as nobody read them in time";
        let count = IntCounter::new("tollgate_log_lines_dropped_total", about)?;
        Ok(Self { lines, count, turn: Mutex::new(()) })
    }
}

impl Collector for Dropped {
    fn desc(&self) -> Vec<&Desc> {
        self.count.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = u64::try_from(self.lines.dropped_lines()).unwrap_or(u64::MAX);
        self.count.inc_by(dropped.saturating_sub(self.count.get()));
        self.count.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Somebody who reads only when told to.
    struct Reader {
        turns: Receiver<()>,
        read: Sender<usize>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.turns.recv();
            let _ = self.read.send(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_nobody_reads_is_dropped_and_counted_and_the_rest_arrives() {
        let (turn, turns) = channel();
        let (sender, read) = channel();
        let (mut writer, log) = Log::start(Reader { turns, read: sender }).expect("it starts");
        let line = [b'x'; WRITE_BYTES / 64];
        let written = LINES_WAITING_MAX * 2;
        for _ in 0..written {
            writer.write_all(&line).expect("it never fails");
        }
        let dropped = writer.error_counter().dropped_lines();
        // As many as wait, and the few that the thread has in its hands, if it has begun.
        assert!((0..=65).contains(&(written - dropped - LINES_WAITING_MAX)), "{dropped} of {written}");
        let dropped_so = || {
            let families = prometheus::gather();
            let of = families.iter().find(|family| family.name() == "tollgate_log_lines_dropped_total");
            of.map(|family| family.get_metric()[0].get_counter().get_value())
        };
        assert_eq!([dropped_so(), dropped_so()], [Some(dropped as f64); 2]);
        drop(turn);
        drop((writer, log));
        assert_eq!(read.iter().sum::<usize>(), (written - dropped) * line.len());
    }
}
