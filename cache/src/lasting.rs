//! A fault that lasts: it is told in the log when it begins and when it is over, and only counted meanwhile.

use parking_lot::Mutex;

/// One kind of work that may fail again and again.
#[derive(Debug, Default)]
pub struct Lasting {
    fault: Mutex<Option<Fault>>,
}

#[derive(Debug)]
struct Fault {
    kind: String,
    failures: u64,
}

impl Lasting {
    /// Counts a failure. Returns whether it is the first of its kind: that one is to be told.
    pub fn begins(&self, kind: &impl ToString) -> bool {
        let kind = kind.to_string();
        let mut fault = self.fault.lock();
        match fault.as_mut().filter(|fault| fault.kind == kind) {
            Some(fault) => {
                fault.failures = fault.failures.saturating_add(1);
                false
            }
            None => {
                *fault = Some(Fault { kind, failures: 1 });
                true
            }
        }
    }

    /// Whether it failed last.
    pub fn lasts(&self) -> bool {
        self.fault.lock().is_some()
    }

    /// Notes that it works. Returns how often it had failed, when it had: that is to be told.
    pub fn ends(&self) -> Option<u64> {
        self.fault.lock().take().map(|fault| fault.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_once_until_it_is_over_or_another_one() {
        let lasting = Lasting::default();
        assert_eq!(lasting.ends(), None);
        assert_eq!([lasting.begins(&"away"), lasting.begins(&"away"), lasting.begins(&"away")], [true, false, false]);
        assert!(lasting.begins(&"full"), "another cause");
        assert!(!lasting.begins(&"full") && lasting.lasts());
        assert_eq!(lasting.ends(), Some(2));
        assert!(lasting.ends().is_none() && !lasting.lasts());
        assert!(lasting.begins(&"full"), "it has begun again");
    }
}
