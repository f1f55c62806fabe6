//! What a process of Tollgate says of itself on its admin listener.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};

use crate::http::{self, Connection};

/// One reading of all metrics.
pub struct Metrics(String);

impl Metrics {
    pub async fn read(admin: SocketAddr) -> Result<Self> {
        let mut connection = Connection::new(admin);
        let answer = connection.exchange(&http::get("/metrics", None)).await.context("the metrics")?;
        ensure!(answer.status == 200, "/metrics was answered {}", answer.status);
        Ok(Self(String::from_utf8_lossy(answer.body).into_owned()))
    }

    /// The sum of a counter over all its labels that contain `label`.
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        let lines = self.0.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Questions to one layer below this process, whatever came of them. Those that were not asked, as too many were, are
    /// none.
    pub fn lookups(&self, layer: &str) -> f64 {
        let of_layer = |outcome: &str| self.sum("tollgate_lookups_total{", &format!("layer=\"{layer}\"{outcome}"));
        of_layer("") - of_layer(",outcome=\"busy\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_layer_that_is_asked_for_is_counted() {
        let text = "# HELP tollgate_lookups_total Lookups\n\
            tollgate_lookups_total{layer=\"billing\",outcome=\"busy\"} 7\n\
            tollgate_lookups_total{layer=\"billing\",outcome=\"hit\"} 3\ntollgate_lookups_total{layer=\"billing\",outcome=\"miss\"} 2\n\
            tollgate_lookups_total{layer=\"redis\",outcome=\"hit\"} 9\n";
        assert_eq!(Metrics(text.into()).lookups("billing"), 5.0);
        assert_eq!(Metrics(text.into()).lookups("l1"), 0.0);
    }
}
