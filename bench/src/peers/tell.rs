//! The peers in the report: a table, the bars, and the plot's points.

use super::contender::{ALL, Who};
use super::lap::Shown;
use crate::plot::Point;
use crate::report::{Bar, Report, Table};
use crate::stats::median;
use crate::world::Tokens;

/// All laps of one contender, by round.
pub type Laps = Vec<(Who, Vec<Option<Shown>>)>;

const TOLLGATE: Who = Who::Warm(Tokens::Hs256);
/// What a gated request of Tollgate may cost at most, in CPU, against each.
const BARS: [(Who, f64); 10] = [
    (Who::NginxRust, 0.7),
    (Who::Lua, 0.7),
    (Who::LuaCached, 1.2),
    (Who::HaProxy, 1.2),
    (Who::EnvoyJwt, 0.4),
    (Who::EnvoyAuthz, 0.25),
    (Who::Caddy, 0.15),
    (Who::Traefik, 0.15),
    (Who::NginxFastApi, 0.08),
    (Who::FastApi, 0.025),
];
/// Tokens that were seen before cost the same, whatever they are signed with.
const TOKENS_MAX: f64 = 1.1;
const THROUGHPUT_MIN: f64 = 0.95;
const P95_MS_MAX: f64 = 10.0;
const RESIDENT_MIB_MAX: f64 = 60.0;
/// A driver that is this busy holds the contender back.
const DRIVER_BUSY: f64 = 0.97;

/// Writes everything down.
pub fn tell(laps: &Laps, report: &mut Report) {
    report.table(table(laps));
    report.plot(ALL.iter().filter_map(|&(who, name)| point(laps, who, name)).collect());
    for (peer, limit) in BARS {
        if let Some(ratio) = ratio(laps, TOLLGATE, peer, |lap| lap.cpu_us) {
            let what = format!("CPU a request: Tollgate against {}", name(peer));
            report.row(what, format!("{ratio:.3}"), Bar::at_most(ratio, limit, "×"));
        }
    }
    for tokens in [Tokens::Rs256, Tokens::EdDsa] {
        if let Some(ratio) = ratio(laps, Who::Warm(tokens), TOLLGATE, |lap| lap.cpu_us) {
            let what = format!("CPU a request: {tokens:?} tokens seen before against HS256");
            report.row(what, format!("{ratio:.3}"), Bar::at_most(ratio, TOKENS_MAX, "×"));
        }
    }
    if let Some(ratio) = ratio(laps, TOLLGATE, Who::Bare, |lap| lap.per_second) {
        let what = "requests/s on one CPU with all servers: Tollgate against bare Pingora";
        report.row(what, format!("{ratio:.3}"), Bar::at_least(ratio, THROUGHPUT_MIN, "×"));
    }
    if let (Some(p95), Some(resident)) =
        (middle(laps, TOLLGATE, |lap| lap.high_ms[1]), middle(laps, TOLLGATE, |lap| lap.resident_mib))
    {
        report.row("p95, 64 connections: Tollgate", format!("{p95:.2} ms"), Bar::at_most(p95, P95_MS_MAX, "ms"));
        let bar = Bar::at_most(resident, RESIDENT_MIB_MAX, "MiB");
        report.row("memory (RSS): Tollgate's proxy", format!("{resident:.0} MiB"), bar);
    }
}

fn table(laps: &Laps) -> Table {
    let head = [
        "in front of the same site",
        "CPU a request",
        "× bare Pingora",
        "requests/s",
        "p50 / p99, 64 connections",
        "p50 / p99, one connection",
        "RSS",
    ];
    let rows = ALL.iter().filter_map(|&(who, name)| row(laps, who, name)).collect();
    Table { title: "Peers, side by side".into(), head: head.map(str::to_owned).to_vec(), rows }
}

fn row(laps: &Laps, who: Who, name: &str) -> Option<Vec<String>> {
    let of = |value: fn(&Shown) -> f64| middle(laps, who, value);
    let cpu = of(|lap| lap.cpu_us)?;
    let ratio = ratio(laps, who, Who::Bare, |lap| lap.cpu_us);
    let is_held_back = of(|lap| lap.driver)? >= DRIVER_BUSY && of(|lap| lap.used)? < DRIVER_BUSY;
    let low = match (of(|lap| lap.low_us[0])?, of(|lap| lap.low_us[1])?) {
        (0.0, _) => "-".to_owned(),
        (p50, p99) => format!("{p50:.0} / {p99:.0} µs"),
    };
    Some(vec![
        name.to_owned(),
        if who == Who::Direct { "-".to_owned() } else { format!("{cpu:.1} µs") },
        ratio.filter(|_| who != Who::Direct).map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
        format!("{}{:.0}", if is_held_back { "≥ " } else { "" }, of(|lap| lap.per_second)?),
        format!("{:.2} / {:.2} ms", of(|lap| lap.high_ms[0])?, of(|lap| lap.high_ms[2])?),
        low,
        if who == Who::Direct { "-".to_owned() } else { format!("{:.0} MiB", of(|lap| lap.resident_mib)?) },
    ])
}

fn point(laps: &Laps, who: Who, name: &str) -> Option<Point> {
    if who == Who::Direct {
        return None;
    }
    let value = ratio(laps, who, Who::Bare, |lap| lap.cpu_us)?;
    Some(Point { name: name.to_owned(), value, is_ours: who.is_tollgate() })
}

/// The median over rounds of one contender's value against another's of the same round.
fn ratio(laps: &Laps, who: Who, against: Who, value: fn(&Shown) -> f64) -> Option<f64> {
    let [of, by] = [who, against].map(|who| laps.iter().find(|(known, _)| *known == who).map(|(_, rounds)| rounds));
    let rounds = of?.iter().zip(by?).filter_map(|(of, by)| Some(value(of.as_ref()?) / value(by.as_ref()?)));
    let rounds: Vec<f64> = rounds.filter(|ratio| ratio.is_finite()).collect();
    (!rounds.is_empty()).then(|| median(rounds))
}

fn middle(laps: &Laps, who: Who, value: fn(&Shown) -> f64) -> Option<f64> {
    let (_, rounds) = laps.iter().find(|(known, _)| *known == who)?;
    let rounds: Vec<f64> = rounds.iter().flatten().map(value).collect();
    (!rounds.is_empty()).then(|| median(rounds))
}

fn name(who: Who) -> &'static str {
    ALL.iter().find(|(known, _)| *known == who).map_or("?", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lap(cpu_us: f64) -> Option<Shown> {
        let (high_ms, low_us) = ([0.0; 3], [0.0; 2]);
        Some(Shown {
            cpu_us,
            per_second: 1.0,
            high_ms,
            low_us,
            resident_mib: 1.0,
            used: 1.0,
            driver: 0.5,
            foreign: 0.0,
        })
    }

    #[test]
    fn a_ratio_is_between_laps_of_one_round() {
        let laps = vec![(TOLLGATE, vec![lap(2.0), None, lap(30.0)]), (Who::Bare, vec![lap(1.0), lap(9.0), lap(10.0)])];
        assert_eq!(ratio(&laps, TOLLGATE, Who::Bare, |lap| lap.cpu_us), Some(3.0));
        assert_eq!(ratio(&laps, TOLLGATE, Who::Lua, |lap| lap.cpu_us), None);
    }
}
