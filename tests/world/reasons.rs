//! Why a test failed, at once: what it printed is shown when all others have ended, which whoever stops early never sees.

use std::io::Write;
use std::sync::Once;

/// From here on every panic of this process is told in one line on standard error, whoever keeps the rest for later.
pub fn tell() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let message: String = panic.to_string().replace('\n', " ").chars().take(900).collect();
            let thread = std::thread::current();
            let name = thread.name().unwrap_or_default();
            // Not `eprintln`, which is kept for later.
            let _ = writeln!(std::io::stderr(), "\n{name}: {message}");
            usual(panic);
        }));
    });
}
