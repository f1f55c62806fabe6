//! Variables that are set under a name that nothing reads: misspelt, or as other programs call the same secret.

use super::misplaced::NAMES;
use super::nearest::nearest;

/// How other programs, platforms and providers' own examples call a secret.
const OTHERS: [(&str, &[&str]); 8] = [
    (
        "DATABASE_URL",
        &[
            "DB_URL",
            "DB_URI",
            "DATABASE_URI",
            "DATABASE_DSN",
            "POSTGRES_URL",
            "POSTGRES_URI",
            "POSTGRESQL_URL",
            "PG_URL",
        ],
    ),
    ("REDIS_URL", &["REDIS_URI", "REDIS_DSN", "REDIS_TLS_URL", "REDISCLOUD_URL", "VALKEY_URL"]),
    (
        "STRIPE_API_KEY",
        &[
            "STRIPE_SECRET_KEY",
            "STRIPE_KEY",
            "STRIPE_SECRET",
            "STRIPE_API_SECRET",
            "STRIPE_PRIVATE_KEY",
            "STRIPE_TOKEN",
        ],
    ),
    (
        "STRIPE_WEBHOOK_SECRET",
        &["STRIPE_SIGNING_SECRET", "STRIPE_ENDPOINT_SECRET", "STRIPE_WEBHOOK_SIGNING_SECRET", "STRIPE_WEBHOOK_KEY"],
    ),
    ("POLAR_ACCESS_TOKEN", &["POLAR_TOKEN", "POLAR_API_KEY", "POLAR_API_TOKEN", "POLAR_KEY", "POLAR_ACCESS_KEY"]),
    ("POLAR_WEBHOOK_SECRET", &["POLAR_SECRET", "POLAR_SIGNING_SECRET", "POLAR_WEBHOOK_KEY"]),
    ("TOLLGATE_JWT_SECRET", &["TOLLGATE_JWT_KEY", "TOLLGATE_SECRET", "TOLLGATE_TOKEN_SECRET"]),
    ("TOLLGATE_ADMIN_TOKEN", &["TOLLGATE_ADMIN_KEY", "TOLLGATE_ADMIN_SECRET"]),
];

/// Letters that a misspelt name may differ by.
const SLIPS_MAX: usize = 2;

/// A variable of ours or of a provider's that is nearly called like one that is read: it cannot be meant otherwise.
pub fn misspelt(names: &[String]) -> Option<String> {
    let ours = |name: &str| ["STRIPE_", "POLAR_", "TOLLGATE_"].iter().any(|start| name.starts_with(start));
    names.iter().filter(|name| ours(name) && !is_read(name)).find_map(|name| {
        slipped(name).map(|meant| format!("{name} is set and nothing reads it: did you mean {meant}?"))
    })
}

/// Variables that are set and not read, and the names under which they would be. A site has variables of its own, such as
/// STRIPE_SECRET_KEY: one is told only where the name that is read is not set; one that is misspelt always.
pub fn misnamed(names: &[String]) -> Vec<String> {
    let is_set = |meant: &str| names.iter().any(|name| is_read(name) && stem(name) == meant);
    let told = |name: &String| {
        let upper = name.to_ascii_uppercase();
        let bare = stem(&upper);
        let own = bare.strip_prefix("TOLLGATE_").unwrap_or(bare);
        let known = NAMES.into_iter().find(|known| *known == bare || *known == own);
        let other = || OTHERS.into_iter().find(|(_, others)| others.contains(&bare)).map(|(meant, _)| meant);
        let meant = known.or_else(other).filter(|meant| !is_set(meant)).or_else(|| slipped(bare))?;
        Some(format!("{name} is set and nothing reads it: Tollgate reads {meant}"))
    };
    names.iter().filter(|name| !is_read(name)).filter_map(told).collect()
}

/// The variable for a secret that a file names, by its key and the table that this stands in.
pub fn of_key(parent: &str, key: &str) -> Option<&'static str> {
    let is_it = |known: &str, name: &str| known == name || known.strip_prefix("TOLLGATE_") == Some(name);
    [format!("{parent}_{key}"), key.to_owned()].iter().find_map(|name| {
        let name = name.to_ascii_uppercase();
        let known = NAMES.into_iter().find(|known| is_it(known, &name));
        known.or_else(|| Some(OTHERS.into_iter().find(|(_, others)| others.contains(&name.as_str()))?.0))
    })
}

fn is_read(name: &str) -> bool {
    NAMES.contains(&name.strip_suffix("_FILE").unwrap_or(name))
}

/// The name without the ending that says that a file holds the secret, also where that is misspelt.
fn stem(name: &str) -> &str {
    let is_ending = |ending: &str| ending.len() == 4 && strsim::osa_distance(ending, "FILE") <= 1;
    name.rsplit_once('_').filter(|(_, ending)| is_ending(ending)).map_or(name, |(stem, _)| stem)
}

/// The known name from which one differs by some letters.
fn slipped(name: &str) -> Option<&'static str> {
    let meant = nearest(name, NAMES.into_iter()).filter(|meant| *meant != name)?;
    (strsim::osa_distance(name, meant) <= SLIPS_MAX).then_some(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_variable_that_is_nearly_called_like_one_that_is_read_is_refused() {
        let told = |name: &str| misspelt(&names(name));
        assert!(told("STRIPE_WEBHOOK_SECRETS").is_some_and(|told| told.contains("STRIPE_WEBHOOK_SECRET?")));
        assert!(told("TOLLGATE_ASERTION_KEY").is_some());
        for name in ["STRIPE_PUBLISHABLE_KEY", "STRIPE_API_KEY_FILE", "TOLLGATE_HOME", "PATH", "DATABSE_URL"] {
            assert_eq!(told(name), None, "{name}");
        }
    }

    #[test]
    fn b17_a_secret_under_the_name_of_another_program_is_told_by_its_own() {
        for (name, meant) in [
            ("STRIPE_SECRET_KEY", "STRIPE_API_KEY"),
            ("DATABSE_URL", "DATABASE_URL"),
            ("DATABASEURL", "DATABASE_URL"),
            ("REDIS_URI", "REDIS_URL"),
            ("POLAR_TOKEN", "POLAR_ACCESS_TOKEN"),
            ("STRIPE_ENDPOINT_SECRET", "STRIPE_WEBHOOK_SECRET"),
            ("TOLLGATE_DATABASE_URL", "DATABASE_URL"),
            ("TOLLGATE_STRIPE_API_KEY", "STRIPE_API_KEY"),
            ("TOLLGATE_JWT_KEY_FILE", "TOLLGATE_JWT_SECRET"),
            ("stripe_api_key", "STRIPE_API_KEY"),
            ("STRIPE_API_KEY_FIEL", "STRIPE_API_KEY"),
        ] {
            let told = misnamed(&names(name));
            assert!(told.len() == 1 && told[0].ends_with(&format!("reads {meant}")), "{name}: {told:?}");
            let is_slip = slipped(stem(name)).is_some();
            assert_eq!(
                misnamed(&names(&format!("{name} {meant}"))).len(),
                usize::from(is_slip),
                "{name} beside {meant}"
            );
        }
        let others = "PATH HOME TOLLGATE_HOME TOLLGATE_PORT TOLLGATE_SERVICE_HOST STRIPE_PUBLISHABLE_KEY JWT_SECRET PGHOST DATABASE_URL \
                      REDIS_URL_FILE STRIPE_API_KEY DATABASE_HOST DATABASE_NAME";
        assert!(misnamed(&names(others)).is_empty(), "{:?}", misnamed(&names(others)));
    }
}
