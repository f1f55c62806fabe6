//! The peers in the report: a table, the bars, and the plot's points.

use super::contender::{ALL, Who};
use super::lap::Shown;
use crate::plot::Point;
use crate::report::{Bar, Report, Table};
use crate::stats::median;
use crate::world::Tokens;

/// What is known of one contender.
pub struct Known {
    pub who: Who,
    /// A lap of Tollgate, and one of this contender beside it.
    pub pairs: Vec<[Shown; 2]>,
    /// Laps without another beside them.
    pub alone: Vec<Shown>,
    /// p50 and p99 with one connection.
    pub low_us: Vec<[f64; 2]>,
    pub resident_mib: f64,
}

impl Known {
    pub const fn new(who: Who) -> Self {
        Self { who, pairs: Vec::new(), alone: Vec::new(), low_us: Vec::new(), resident_mib: 0.0 }
    }
}

/// What stands beside every other.
pub const TOLLGATE: Who = Who::Warm(Tokens::Hs256);
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
pub fn tell(all: &[Known], report: &mut Report) {
    report.table(table(all));
    report.plot(ALL.iter().filter_map(|&(who, name)| point(all, who, name)).collect());
    for (peer, limit) in BARS {
        if let Some(ratio) = ratio(all, peer, |lap| lap.cpu_us) {
            let what = format!("CPU a request: Tollgate against {}", name(peer));
            report.row(what, format!("{ratio:.3}"), Bar::at_most(ratio, limit, "×"));
        }
    }
    for tokens in [Tokens::Rs256, Tokens::EdDsa] {
        if let Some(ratio) = ratio(all, Who::Warm(tokens), |lap| lap.cpu_us).map(f64::recip) {
            let what = format!("CPU a request: {tokens:?} tokens seen before against HS256");
            report.row(what, format!("{ratio:.3}"), Bar::at_most(ratio, TOKENS_MAX, "×"));
        }
    }
    if let Some(ratio) = ratio(all, Who::Bare, |lap| lap.per_second) {
        let what = "requests/s on one CPU with all servers: Tollgate against bare Pingora";
        report.row(what, format!("{ratio:.3}"), Bar::at_least(ratio, THROUGHPUT_MIN, "×"));
    }
    if let Some(p95) = middle(all, TOLLGATE, |lap| lap.latency_ms[1]) {
        report.row("p95, 64 connections: Tollgate", format!("{p95:.2} ms"), Bar::at_most(p95, P95_MS_MAX, "ms"));
    }
    if let Some(resident) = known(all, TOLLGATE).map(|known| known.resident_mib) {
        let bar = Bar::at_most(resident, RESIDENT_MIB_MAX, "MiB");
        report.row("memory (RSS): Tollgate's proxy", format!("{resident:.0} MiB"), bar);
    }
}

fn table(all: &[Known]) -> Table {
    let head = [
        "in front of the same site",
        "CPU a request",
        "× bare Pingora",
        "requests/s",
        "p50 / p99, 64 connections",
        "p50 / p99, one connection",
        "RSS",
    ];
    let rows = ALL.iter().filter_map(|&(who, name)| row(all, who, name)).collect();
    Table { title: "Peers, side by side".into(), head: head.map(str::to_owned).to_vec(), rows }
}

fn row(all: &[Known], who: Who, name: &str) -> Option<Vec<String>> {
    let of = |value: fn(&Shown) -> f64| middle(all, who, value);
    let known = known(all, who)?;
    let cpu = of(|lap| lap.cpu_us)?;
    let is_held_back = of(|lap| lap.driver)? >= DRIVER_BUSY && of(|lap| lap.used)? < DRIVER_BUSY;
    let low = [0, 1].map(|index| median(known.low_us.iter().map(|low| low[index])));
    let is_site = who == Who::Direct;
    let unless_site = |text: String| if is_site { "-".to_owned() } else { text };
    Some(vec![
        name.to_owned(),
        unless_site(format!("{cpu:.1} µs")),
        unless_site(against_bare(all, who).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))),
        format!("{}{:.0}", if is_held_back { "≥ " } else { "" }, of(|lap| lap.per_second)?),
        format!("{:.2} / {:.2} ms", of(|lap| lap.latency_ms[0])?, of(|lap| lap.latency_ms[2])?),
        if known.low_us.is_empty() { "-".to_owned() } else { format!("{:.0} / {:.0} µs", low[0], low[1]) },
        unless_site(format!("{:.0} MiB", known.resident_mib)),
    ])
}

fn point(all: &[Known], who: Who, name: &str) -> Option<Point> {
    if who == Who::Direct {
        return None;
    }
    let value = against_bare(all, who)?;
    Some(Point { name: name.to_owned(), value, is_ours: who.is_tollgate() })
}

/// CPU of a contender in units of bare Pingora's: both are compared with Tollgate, beside which they ran.
fn against_bare(all: &[Known], who: Who) -> Option<f64> {
    let cpu = |lap: &Shown| lap.cpu_us;
    let tollgate = ratio(all, Who::Bare, cpu)?;
    let against = if who == TOLLGATE {
        tollgate
    } else if who == Who::Cold {
        middle(all, who, cpu)? / middle(all, Who::Bare, cpu)?
    } else {
        tollgate / ratio(all, who, cpu)?
    };
    against.is_finite().then_some(against)
}

/// The median over pairs of Tollgate's value against that of the other.
fn ratio(all: &[Known], against: Who, value: fn(&Shown) -> f64) -> Option<f64> {
    let ratios = known(all, against)?.pairs.iter().map(|[tollgate, other]| value(tollgate) / value(other));
    let ratios: Vec<f64> = ratios.filter(|ratio| ratio.is_finite()).collect();
    (!ratios.is_empty()).then(|| median(ratios))
}

/// The median of all laps of one contender; Tollgate's are those beside the others.
fn middle(all: &[Known], who: Who, value: fn(&Shown) -> f64) -> Option<f64> {
    let of_tollgate = all.iter().filter(|_| who == TOLLGATE).flat_map(|known| &known.pairs).map(|pair| &pair[0]);
    let own = known(all, who)?;
    let laps = of_tollgate.chain(own.pairs.iter().map(|pair| &pair[1])).chain(&own.alone);
    let values: Vec<f64> = laps.map(value).collect();
    (!values.is_empty()).then(|| median(values))
}

fn known(all: &[Known], who: Who) -> Option<&Known> {
    all.iter().find(|known| known.who == who)
}

fn name(who: Who) -> &'static str {
    ALL.iter().find(|(known, _)| *known == who).map_or("?", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lap(cpu_us: f64) -> Shown {
        Shown { cpu_us, per_second: 1.0, latency_ms: [0.0; 3], used: 1.0, driver: 0.5 }
    }

    fn beside(who: Who, pairs: &[[f64; 2]]) -> Known {
        Known { pairs: pairs.iter().map(|pair| pair.map(lap)).collect(), ..Known::new(who) }
    }

    #[test]
    fn a_ratio_is_between_laps_that_were_run_beside_one_another() {
        let alone = Known { alone: vec![lap(50.0)], ..Known::new(Who::Cold) };
        let all = [
            beside(Who::Bare, &[[2.0, 1.0], [60.0, 10.0], [30.0, 10.0]]),
            beside(Who::Lua, &[[3.0, 6.0]]),
            Known::new(TOLLGATE),
            alone,
        ];
        let cpu = |lap: &Shown| lap.cpu_us;
        assert_eq!(ratio(&all, Who::Bare, cpu), Some(3.0), "not 30 / 10 of the middle laps");
        assert_eq!(ratio(&all, Who::Caddy, cpu), None);
        let against = [TOLLGATE, Who::Bare, Who::Lua, Who::Cold].map(|who| against_bare(&all, who));
        assert_eq!(against, [Some(3.0), Some(1.0), Some(6.0), Some(5.0)]);
        assert_eq!(middle(&all, TOLLGATE, cpu), Some(30.0));
    }
}
