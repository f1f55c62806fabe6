//! A process on a machine whose wall clock is wrong: libfaketime shifts what it reads, and leaves alone the clock that counts
//! how long something takes.

use chrono::DateTime;

use super::clock::in_seconds;
use super::tollgate::Tollgate;

/// The loader puts the directory of the machine's libraries in the place of `$LIB`.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// How far from ours a shifted clock may be found, in seconds: its seconds are whole, and asking takes a moment.
const TOLERANCE: i64 = 5;

/// What a killed process would leave behind, by its id; a later one of the same id could not start.
const LEFT_BEHIND: [&str; 2] = ["/dev/shm/faketime_shm_", "/dev/shm/sem.faketime_sem_"];

impl Tollgate {
    /// Starts it again where the wall clock is so many seconds ahead of ours, or behind, and waits until it is ready.
    ///
    /// # Panics
    /// When its clock is not shifted by that.
    pub async fn restart_ahead(&mut self, seconds: i64) {
        self.set("LD_PRELOAD", LIBRARY);
        self.set("FAKETIME", &format!("{seconds:+}s"));
        self.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        self.restart();
        self.ready().await;
        for name in LEFT_BEHIND {
            // It has them open, and needs no name for them any more.
            let _ = std::fs::remove_file(format!("{name}{}", self.process.id()));
        }
        let date = self.admin("/livez").await.header("date").to_owned();
        let date = DateTime::parse_from_rfc2822(&date).expect("every answer has a date").timestamp();
        let ahead = date - in_seconds(0);
        assert!((ahead - seconds).abs() <= TOLERANCE, "{ahead} s ahead: is libfaketime installed?");
    }
}
