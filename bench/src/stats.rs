//! Medians and percentiles of small samples.

/// The value below which the share `q` (0 to 1) of a sorted sample lies; 0 for an empty one.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * q).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

/// Sorts a sample in ascending order.
pub fn sorted(mut sample: Vec<f64>) -> Vec<f64> {
    sample.sort_by(f64::total_cmp);
    sample
}

/// The middle value of a sample.
pub fn median(sample: impl IntoIterator<Item = f64>) -> f64 {
    quantile(&sorted(sample.into_iter().collect()), 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_sample() {
        let sample = sorted((1..=101).rev().map(f64::from).collect());
        assert_eq!(quantile(&sample, 0.5), 51.0);
        assert_eq!(quantile(&sample, 0.99), 100.0);
        assert_eq!(quantile(&sample, 1.0), 101.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
    }
}
