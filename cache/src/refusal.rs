//! Why Redis refuses, in words that say what to do: the cause stands in an error of its protocol, where a log seldom shows it.

use std::fmt;

use parking_lot::Mutex;
use redis::{Arg, Cmd, ErrorKind, RedisError};
use tracing::{info, warn};

/// Longest part of an answer that is kept, in bytes.
const SAID_BYTES_MAX: usize = 200;

/// Why Redis does not do what it is asked for, although it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The user or the password is wrong.
    Password,
    /// It asks for a password, and none was given.
    NoPassword,
    /// A right of the user is missing; the text is what Redis says of it.
    Right(String),
    /// A right is missing to one of the steps of a script; Redis does not name it.
    RightOfScript,
    /// `maxmemory` is reached, and its policy evicts nothing.
    Full,
    /// It is a replica.
    ReadOnly,
    /// It cannot write to its disk, and takes nothing in until it can.
    CannotSave,
    /// It takes nothing in while too few replicas follow.
    FewReplicas,
    /// All of its connections are taken.
    Connections,
    /// It serves the machine that it runs on alone.
    Protected,
    /// It does not have the database whose number the URL names.
    Database,
}

impl Refusal {
    /// What an error says; `None` when it is no refusal, such as a connection that broke.
    #[must_use]
    pub fn of(error: &RedisError) -> Option<Self> {
        if error.kind() == ErrorKind::AuthenticationFailed {
            return Some(Self::Password);
        }
        let said = error.detail().unwrap_or_default();
        match error.code() {
            Some("WRONGPASS") => Some(Self::Password),
            Some("NOAUTH") => Some(Self::NoPassword),
            Some("NOPERM") => Some(Self::Right(bounded(said))),
            Some("OOM") => Some(Self::Full),
            Some("READONLY") => Some(Self::ReadOnly),
            Some("MISCONF") => Some(Self::CannotSave),
            Some("NOREPLICAS") => Some(Self::FewReplicas),
            Some("DENIED") => Some(Self::Protected),
            // What a script may not do has no code of its own before Redis 7.2.
            _ if said.contains("The user executing the script can't") || said.contains("ACL failure in script") => {
                Some(Self::RightOfScript)
            }
            // Of what a connection is made with, the client keeps no code.
            _ if said.contains("has no permissions to") => Some(Self::Right(bounded(said))),
            _ if said.contains("max number of clients reached") => Some(Self::Connections),
            _ if said.contains("DB index is out of range") => Some(Self::Database),
            _ => None,
        }
    }

    /// Whether it stays until a person does something about it: no server comes back from this by itself.
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Password | Self::NoPassword | Self::Right(_) | Self::RightOfScript | Self::Protected | Self::Database
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password => f.write_str("Redis refuses the user or the password of REDIS_URL"),
            Self::NoPassword => f.write_str(
                "Redis asks for a password, and REDIS_URL has none: redis://user:password@host:6379, percent-encoded",
            ),
            Self::Right(said) => write!(
                f,
                "the user of REDIS_URL lacks a right in Redis (\"{said}\"): docs/redis.md lists those that are needed"
            ),
            Self::RightOfScript => f.write_str(
                "the user of REDIS_URL lacks a right in Redis that a script needs: docs/redis.md lists those that are needed",
            ),
            Self::Full => f.write_str(
                "Redis is full: raise its maxmemory, or set maxmemory-policy to allkeys-lru, as all that lies there can be computed again",
            ),
            Self::ReadOnly => {
                f.write_str("REDIS_URL leads to a replica, which takes nothing in: name the master, or use redis+sentinel://")
            }
            Self::CannotSave => f.write_str("Redis takes nothing in, as it cannot save to its disk (MISCONF): its log says why"),
            Self::FewReplicas => f.write_str("Redis takes nothing in, as too few replicas follow it (min-replicas-to-write)"),
            Self::Connections => f.write_str("Redis has no connection left: raise its maxclients"),
            Self::Protected => {
                f.write_str("Redis is in protected mode and serves its own machine alone: give it a password, or set protected-mode no")
            }
            Self::Database => f.write_str("Redis does not have the database whose number REDIS_URL names"),
        }
    }
}

fn bounded(said: &str) -> String {
    said[..said.floor_char_boundary(SAID_BYTES_MAX)].trim_end_matches('.').to_owned()
}

/// The work on a server that is refused. Each needs other rights, and is noted by itself: one may go well while another does
/// not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Connect,
    /// A whole value.
    Get,
    /// A part of one.
    Read,
    /// How long something is kept.
    Expire,
    /// Another command.
    Command,
    /// A record, without telling anybody.
    Store,
    /// A record that is told as well.
    Push,
    /// The owner: which database has the word.
    Meet,
    Scan,
    Subscribe,
}

/// How many tasks there are.
const TASKS: usize = Task::Subscribe as usize + 1;

impl Task {
    /// The task of a command.
    pub(crate) fn of(cmd: &Cmd) -> Self {
        match cmd.args_iter().next() {
            Some(Arg::Simple(b"GET")) => Self::Get,
            Some(Arg::Simple(b"GETRANGE")) => Self::Read,
            Some(Arg::Simple(b"EXPIRE")) => Self::Expire,
            _ => Self::Command,
        }
    }
}

/// The refusals of this moment. A cause is told in the log once, however often Redis is tried, and for whatever.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<[Option<Refusal>; TASKS]>);

impl Refusals {
    /// Notes how a task ended: `None` is success. An error that is no refusal changes nothing.
    pub fn note(&self, task: Task, error: Option<&RedisError>) {
        let now = match error {
            None => None,
            Some(error) => match Refusal::of(error) {
                Some(refusal) => Some(refusal),
                None => return,
            },
        };
        let mut all = self.0.lock();
        let Some(kept) = all.get_mut(task as usize) else { return };
        // The name of a right, once found, is not lost to answers that do not name it.
        let is_named = matches!((&*kept, &now), (Some(Refusal::Right(_)), Some(Refusal::RightOfScript)));
        if *kept == now || is_named {
            return;
        }
        let before = std::mem::replace(kept, now.clone());
        let others = |cause: &Refusal| all.iter().flatten().filter(|other| *other == cause).count();
        match (before, now) {
            (_, Some(refusal)) if others(&refusal) == 1 => warn!(?task, cause = %refusal, "Redis refuses"),
            (Some(refusal), None) if others(&refusal) == 0 => {
                info!(?task, cause = %refusal, "Redis refuses no longer");
            }
            _ => {}
        }
    }

    /// The refusals that stand, each once.
    #[must_use]
    pub fn all(&self) -> Vec<Refusal> {
        let mut all: Vec<Refusal> = Vec::new();
        for refusal in self.0.lock().iter().flatten() {
            if !all.contains(refusal) {
                all.push(refusal.clone());
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use redis::ServerErrorKind;

    use super::*;

    fn server(kind: ServerErrorKind, said: &str) -> RedisError {
        RedisError::from((ErrorKind::Server(kind), "an error", said.to_owned()))
    }

    #[test]
    fn an_error_of_the_protocol_has_a_cause_in_words() {
        let script =
            "The user executing the script can't run this command or subcommand script: a7034f, on @user_script:1.";
        for (error, refusal) in [
            (
                RedisError::from((ErrorKind::AuthenticationFailed, "Password authentication failed")),
                Some(Refusal::Password),
            ),
            (
                server(ServerErrorKind::NoPerm, "this user has no permissions to run the 'set' command"),
                Some(Refusal::Right("this user has no permissions to run the 'set' command".into())),
            ),
            (server(ServerErrorKind::ResponseError, script), Some(Refusal::RightOfScript)),
            (
                server(ServerErrorKind::ResponseError, "this user has no permissions to run the 'select' command"),
                Some(Refusal::Right("this user has no permissions to run the 'select' command".into())),
            ),
            (
                server(ServerErrorKind::ReadOnly, "You can't write against a read only replica."),
                Some(Refusal::ReadOnly),
            ),
            (server(ServerErrorKind::ResponseError, "max number of clients reached"), Some(Refusal::Connections)),
            (server(ServerErrorKind::ResponseError, "unknown command"), None),
            (server(ServerErrorKind::BusyLoading, "Redis is loading the dataset in memory"), None),
            (RedisError::from((ErrorKind::Io, "there is no connection to Redis")), None),
        ] {
            assert_eq!(Refusal::of(&error), refusal, "{error}");
        }
    }

    #[test]
    fn what_redis_says_is_kept_up_to_a_bound() {
        let error = server(ServerErrorKind::NoPerm, &"ä".repeat(SAID_BYTES_MAX));
        let Some(Refusal::Right(said)) = Refusal::of(&error) else { panic!("it is a refusal") };
        assert!(said.len() <= SAID_BYTES_MAX, "{}", said.len());
    }

    #[test]
    fn a_refusal_stands_until_the_same_task_goes_well() {
        let (refusals, refused) = (Refusals::default(), server(ServerErrorKind::ReadOnly, ""));
        refusals.note(Task::Store, Some(&refused));
        refusals.note(Task::Read, None);
        refusals.note(Task::Store, Some(&RedisError::from((ErrorKind::Io, "broken"))));
        assert_eq!(refusals.all(), [Refusal::ReadOnly]);
        refusals.note(Task::Store, None);
        let (named, unnamed) = (server(ServerErrorKind::NoPerm, "no"), "The user executing the script can't");
        refusals.note(Task::Store, Some(&named));
        refusals.note(Task::Store, Some(&server(ServerErrorKind::ResponseError, unnamed)));
        assert_eq!(refusals.all(), [Refusal::Right("no".into())], "its name is kept");
        refusals.note(Task::Store, None);
        assert!(refusals.all().is_empty());
    }

    #[test]
    fn tasks_are_noted_by_themselves_and_one_cause_stands_once() {
        let (refusals, refused) = (Refusals::default(), server(ServerErrorKind::NoPerm, "no"));
        refusals.note(Task::Push, Some(&refused));
        refusals.note(Task::Meet, None);
        refusals.note(Task::Store, None);
        assert_eq!(refusals.all(), [Refusal::Right("no".into())], "what goes well beside it takes nothing away");
        refusals.note(Task::Scan, Some(&refused));
        assert_eq!(refusals.all().len(), 1);
        refusals.note(Task::Push, None);
        assert_eq!(refusals.all().len(), 1);
        refusals.note(Task::Scan, None);
        assert!(refusals.all().is_empty());
        let tasks = ["GET", "GETRANGE", "SET"].map(|name| Task::of(&redis::cmd(name)));
        assert_eq!(tasks, [Task::Get, Task::Read, Task::Command]);
    }
}
