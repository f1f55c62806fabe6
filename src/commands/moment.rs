//! Moments as a person writes them: a date, a date with a time, or how long ago.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::parts;

/// `2027-01-31`, which is its midnight in UTC, or `2027-01-31T09:30:00Z`.
pub fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(date.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    let moment = text.parse::<DateTime<Utc>>();
    moment.map_err(|_| "write it like 2027-01-31, which is midnight in UTC, or like 2027-01-31T09:30:00Z".to_owned())
}

/// A moment, or so long before now: `90m`, `24h`, `7d`.
pub fn since(text: &str) -> Result<DateTime<Utc>, String> {
    let ago = humantime::parse_duration(text).ok().and_then(|ago| TimeDelta::from_std(ago).ok());
    match ago {
        Some(ago) => parts::now().checked_sub_signed(ago).ok_or_else(|| "that is before all time".to_owned()),
        None => moment(text).map_err(|told| format!("{told}, or how long ago it is, like 24h or 7d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_or_has_a_time() {
        for (text, expected) in [
            ("2027-01-31", "2027-01-31T00:00:00+00:00"),
            ("2027-01-31T09:30:00Z", "2027-01-31T09:30:00+00:00"),
            ("2027-01-31T09:30:00+02:00", "2027-01-31T07:30:00+00:00"),
        ] {
            assert_eq!(moment(text).map(|moment| moment.to_rfc3339()), Ok(expected.to_owned()), "{text}");
        }
        for text in ["", "yesterday", "2027-02-30", "31.01.2027", "7d"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn since_may_say_how_long_ago() {
        let (week, day) = (since("7d").expect("a week"), since("24h").expect("a day"));
        assert_eq!((day - week).num_days(), 6);
        assert_eq!(since("2027-01-31"), moment("2027-01-31"));
        for text in ["", "7 apples", "99999999999999y"] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}
