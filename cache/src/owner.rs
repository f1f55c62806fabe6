//! Which database has the word in a namespace, and whose records still serve although another one has it now.
//!
//! A database that is new under a namespace, or that has gone back behind what was told of it, knows less than the records that
//! are there. Until a person agrees, they go on to serve. That is kept in Redis, beside the records: processes come and go, and
//! whatever stood in the database may have been lost with it.
//!
//! As with records, the rule is written twice: as the script that Redis runs, and in Rust, held against it by a test.

use std::fmt;
use std::str::FromStr;

use entitlement::record::DatabaseId;
use redis::{Cmd, RedisResult, Script};

use crate::{Link, Refusal, Task};

/// The form in which an owner is written.
const FORM: &str = "1";

/// Most databases whose records are held at once: of those that were followed by another before a person had agreed.
pub const HELD_MAX: usize = 4;

/// Meets what stands under the key. Whose database it is notes how far that is, and that it lives; one that follows it takes its
/// place, and holds its records; of nobody's namespace whoever comes first becomes the owner. Everybody else only looks.
///
/// Gives what it came to, and what stands there now.
pub const MEET: &str = r"
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'table' then
  -- Something else lies there; any other refusal is no word on what does.
  if string.find(stored.err, 'WRONGTYPE', 1, true) then return {'unreadable', ''} end
  return stored
end
local me, former, mark, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local function set(text) redis.call('SET', KEYS[1], text) return text end
if not stored then return {'mine', set('1:' .. me .. ':-:0:' .. mark .. ':1')} end
local owner, held, since, known, beat = string.match(stored, '^1:(%x+):([%x,-]+):(%d+):(%d+):(%d+)$')
if not owner then return {'unreadable', ''} end
if owner == me then
  if tonumber(known) > tonumber(mark) then return {'behind', stored} end
  local next = string.format('%d', (tonumber(beat) + 1) % 1000000)
  return {'mine', set('1:' .. me .. ':' .. held .. ':' .. since .. ':' .. mark .. ':' .. next)}
end
if owner ~= former then return {'theirs', stored} end
local all, count = former, 1
for one in string.gmatch(held, '%x+') do
  if count < tonumber(ARGV[5]) then all, count = all .. ',' .. one, count + 1 end
end
return {'mine', set('1:' .. me .. ':' .. all .. ':' .. now .. ':' .. mark .. ':1')}
";

/// Longest owner that is read.
const OWNER_BYTES_MAX: usize = 1024;

/// The content of the owner's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub database: DatabaseId,
    /// The databases before it whose records serve until a person agrees, the newest first.
    pub held: Vec<DatabaseId>,
    /// Since when they are held, in milliseconds since 1970; 0 when none is.
    pub since_ms: u64,
    /// How far the database had come when it was last heard of.
    pub mark: u64,
    /// Changes while its processes live.
    pub beat: u64,
}

/// The text is no owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what stands under the owner's key cannot be read")]
pub struct NoOwner;

impl FromStr for Owner {
    type Err = NoOwner;

    fn from_str(text: &str) -> Result<Self, NoOwner> {
        let parts: Vec<&str> = text.split(':').collect();
        let &[FORM, database, held, since, mark, beat] = parts.as_slice() else { return Err(NoOwner) };
        let id = |text: &str| text.parse().map_err(|_| NoOwner);
        let number = |text: &str| text.parse().map_err(|_| NoOwner);
        let held = if held == "-" { Vec::new() } else { held.split(',').map(id).collect::<Result<_, _>>()? };
        Ok(Self { database: id(database)?, held, since_ms: number(since)?, mark: number(mark)?, beat: number(beat)? })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held: Vec<String> = self.held.iter().map(DatabaseId::to_string).collect();
        let held = if held.is_empty() { "-".to_owned() } else { held.join(",") };
        write!(f, "{FORM}:{}:{held}:{}:{}:{}", self.database, self.since_ms, self.mark, self.beat)
    }
}

/// A database that meets what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newcomer {
    pub database: DatabaseId,
    /// The id that it had before it was found to have gone back.
    pub former: Option<DatabaseId>,
    /// How far it has come; below 2^53, which Lua counts exactly.
    pub mark: u64,
    pub now_ms: u64,
}

/// The outcome of a meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met {
    /// The database has the word.
    Mine(Owner),
    /// It has the word, and was further when it was last heard of.
    Behind(Owner),
    /// Another one has the word.
    Theirs(Owner),
    /// The key cannot be read.
    Unreadable,
}

/// The outcome of a meeting where `stored` stands. The owner in it is what stands there afterwards.
#[must_use]
pub fn meet(stored: Option<&str>, me: Newcomer) -> Met {
    let Newcomer { database, former, mark, now_ms } = me;
    let Some(stored) = stored else {
        return Met::Mine(Owner { database, held: Vec::new(), since_ms: 0, mark, beat: 1 });
    };
    match stored.parse::<Owner>() {
        Err(NoOwner) => Met::Unreadable,
        Ok(owner) if owner.database == database && owner.mark > mark => Met::Behind(owner),
        Ok(owner) if owner.database == database => {
            Met::Mine(Owner { mark, beat: (owner.beat + 1) % 1_000_000, ..owner })
        }
        Ok(owner) if former == Some(owner.database) => {
            let held = [owner.database].into_iter().chain(owner.held).take(HELD_MAX).collect();
            Met::Mine(Owner { database, held, since_ms: now_ms, mark, beat: 1 })
        }
        Ok(owner) => Met::Theirs(owner),
    }
}

fn reading(key: &str) -> Cmd {
    let mut get = redis::cmd("GETRANGE");
    get.arg(key).arg(0).arg(OWNER_BYTES_MAX);
    get
}

fn read(text: &[u8]) -> Option<Owner> {
    str::from_utf8(text).ok()?.parse().ok()
}

impl Link {
    /// Lets a database meet who has the word under `key`.
    ///
    /// # Errors
    /// When Redis cannot be reached, or refuses.
    pub async fn meet(&self, script: &Script, key: &str, me: Newcomer) -> RedisResult<Met> {
        let former = me.former.map_or("-".to_owned(), |id| id.to_string());
        let mut invocation = script.prepare_invoke();
        invocation.key(key).arg(me.database.to_string()).arg(former).arg(me.mark).arg(me.now_ms).arg(HELD_MAX);
        let (came_to, text): (String, String) = self.invoke(&invocation, Task::Meet).await?;
        Ok(match (came_to.as_str(), text.parse()) {
            ("mine", Ok(owner)) => Met::Mine(owner),
            ("behind", Ok(owner)) => Met::Behind(owner),
            ("theirs", Ok(owner)) => Met::Theirs(owner),
            _ => Met::Unreadable,
        })
    }

    /// Looks who has the word under `key`, and changes nothing; `None` when nobody has, or it cannot be read.
    ///
    /// # Errors
    /// When Redis cannot be reached, or refuses.
    pub async fn owner(&self, key: &str) -> RedisResult<Option<Owner>> {
        let text: Vec<u8> = self.query(&reading(key)).await?;
        Ok(read(&text))
    }

    /// As [`Link::owner`], where another installation may have the word: what the user may not read is none of this one's.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn owner_elsewhere(&self, key: &str) -> RedisResult<Option<Owner>> {
        let answer: RedisResult<Vec<u8>> = self.query_unnoted(&reading(key)).await;
        match answer {
            Err(error) if matches!(Refusal::of(&error), Some(Refusal::Right(_))) => Ok(None),
            answer => Ok(read(&answer?)),
        }
    }

    /// The outcome of a meeting, without noting it: for a Redis that takes nothing in for a while.
    ///
    /// # Errors
    /// When Redis cannot be reached, or refuses that as well.
    pub async fn overlook(&self, key: &str, me: Newcomer) -> RedisResult<Met> {
        let text: Vec<u8> = self.query(&reading(key)).await?;
        let text = String::from_utf8_lossy(&text);
        Ok(meet((!text.is_empty()).then_some(&*text), me))
    }

    /// Gives a database the word, whatever stands there: the records of no other one are held.
    ///
    /// # Errors
    /// When Redis cannot be reached, or refuses.
    pub async fn own(&self, key: &str, me: Newcomer) -> RedisResult<()> {
        let owner = Owner { database: me.database, held: Vec::new(), since_ms: 0, mark: me.mark, beat: 1 };
        self.query(redis::cmd("SET").arg(key).arg(owner.to_string())).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

    use super::*;
    use crate::{Patience, Place};

    fn id(number: u128) -> DatabaseId {
        DatabaseId::new(number)
    }

    fn owner(database: u128, held: &[u128], mark: u64) -> Owner {
        let held: Vec<_> = held.iter().copied().map(id).collect();
        Owner { database: id(database), since_ms: if held.is_empty() { 0 } else { 5 }, held, mark, beat: 1 }
    }

    fn newcomer(database: u128, former: Option<u128>, mark: u64) -> Newcomer {
        Newcomer { database: id(database), former: former.map(id), mark, now_ms: 9 }
    }

    #[test]
    fn an_owner_is_read_back_as_it_is_written() {
        for owner in [owner(1, &[], 0), owner(2, &[1], 7), owner(3, &[2, 1], 1 << 52)] {
            assert_eq!(owner.to_string().parse(), Ok(owner));
        }
        for text in ["", "1:2:3", "garbage", "2:00000000000000000000000000000001:-:0:0:1"] {
            assert_eq!(text.parse::<Owner>(), Err(NoOwner), "{text}");
        }
    }

    #[test]
    fn another_database_takes_the_word_only_when_it_follows_the_one_that_has_it() {
        let stored = owner(1, &[], 7).to_string();
        let met = |me| meet(Some(&stored), me);
        assert!(matches!(met(newcomer(1, None, 7)), Met::Mine(_)));
        assert!(matches!(met(newcomer(1, None, 8)), Met::Mine(_)));
        assert_eq!(met(newcomer(1, None, 6)), Met::Behind(owner(1, &[], 7)));
        assert_eq!(met(newcomer(2, None, 100)), Met::Theirs(owner(1, &[], 7)), "however far it is");
        assert_eq!(met(newcomer(2, Some(3), 100)), Met::Theirs(owner(1, &[], 7)));
        let taken = Owner { since_ms: 9, ..owner(2, &[1], 6) };
        assert_eq!(met(newcomer(2, Some(1), 6)), Met::Mine(taken.clone()));
        // The one before it does not come back by itself.
        assert_eq!(meet(Some(&taken.to_string()), newcomer(1, None, 100)), Met::Theirs(taken));
        assert_eq!(meet(None, newcomer(4, None, 3)), Met::Mine(owner(4, &[], 3)));
        assert_eq!(meet(Some("garbage"), newcomer(4, None, 3)), Met::Unreadable);
    }

    #[test]
    fn what_was_held_is_held_on_up_to_a_bound() {
        let stored = owner(5, &[4, 3, 2, 1], 7).to_string();
        let Met::Mine(taken) = meet(Some(&stored), newcomer(6, Some(5), 7)) else { panic!("it follows") };
        assert_eq!(taken.held, [5, 4, 3, 2].map(id));
    }

    /// Possible contents of the key.
    fn any_stored() -> impl Strategy<Value = Option<String>> {
        let held = prop::collection::vec(1..5_u128, 0..=HELD_MAX);
        prop_oneof![
            Just(None),
            (1..5_u128, held, 0..4_u64)
                .prop_map(|(database, held, mark)| Some(owner(database, &held, mark).to_string())),
            "[0-9a-f:,-]{0,60}".prop_map(Some),
            Just(Some("1:12:-:0:0:1".to_owned())),
        ]
    }

    #[tokio::test]
    async fn the_script_does_what_the_rule_says() {
        let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:56379".to_owned());
        let place = Place::parse(&url).expect("a place");
        let key = format!("tollgate-test:owner:{}", std::process::id());
        let patience = Patience { connect: Duration::from_secs(5), answer: Duration::from_secs(5) };
        let link = Link::open(place, patience, Default::default());
        let script = Script::new(MEET);
        let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), seed);
        for _ in 0..500 {
            let tree = (any_stored(), 1..5_u128, prop::option::of(1..5_u128), 0..4_u64);
            let tree = tree.new_tree(&mut runner).expect("a case");
            let (stored, database, former, mark) = proptest::strategy::ValueTree::current(&tree);
            let () = link.query(redis::cmd("DEL").arg(&key)).await.expect("it is gone");
            if let Some(stored) = &stored {
                let () = link.query(redis::cmd("SET").arg(&key).arg(stored)).await.expect("it is stored");
            }
            let me = newcomer(database, former, mark);
            let expected = meet(stored.as_deref(), me);
            let met = link.meet(&script, &key, me).await.expect("it runs");
            // An id of another length is one for the script, which only compares it.
            let is_odd = stored.as_deref().is_some_and(|stored| stored.parse::<Owner>().is_err());
            assert!(met == expected || (is_odd && met == Met::Unreadable), "{me:?} meets {stored:?}: {met:?}");
            let left: Option<String> = link.query(redis::cmd("GET").arg(&key)).await.expect("an answer");
            match expected {
                Met::Mine(owner) => assert_eq!(left, Some(owner.to_string())),
                _ => assert_eq!(left, stored, "nothing has changed"),
            }
        }
        let _: i64 = link.query(redis::cmd("DEL").arg(&key)).await.expect("it is gone");
        let _: i64 = link.query(redis::cmd("RPUSH").arg(&key).arg("x")).await.expect("a list");
        assert_eq!(link.meet(&script, &key, newcomer(1, None, 1)).await.expect("it runs"), Met::Unreadable);
        let () = link.own(&key, newcomer(1, None, 1)).await.expect("whatever stands there");
        assert_eq!(link.owner(&key).await.expect("an answer"), Some(owner(1, &[], 1)));
        let _: i64 = link.query(redis::cmd("DEL").arg(&key)).await.expect("it is gone");
    }
}
