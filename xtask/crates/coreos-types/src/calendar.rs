//! Formatting of Unix seconds as UTC dates.

/// RFC 3339 with seconds: `2016-04-28T17:05:09Z`.
pub fn rfc3339(seconds: u64) -> String {
    let clock = seconds % DAY;
    format!("{}T{:02}:{:02}:{:02}Z", date(seconds), clock / 3600, clock / 60 % 60, clock % 60)
}

/// The date without the time: `2016-04-28`.
pub fn date(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / DAY);
    format!("{year:04}-{month:02}-{day:02}")
}

const DAY: u64 = 24 * 60 * 60;

/// The Gregorian date of a day counted from 1970-01-01: whole years, then whole months, are subtracted in turn.
fn civil(mut days: u64) -> (u64, usize, u64) {
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let mut month = 0;
    for length in [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        month += 1;
        if days < length {
            break;
        }
        days -= length;
    }
    (year, month, days + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_clock_agree_with_date() {
        // The right column is the output of `date -u --date=@N`.
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_461_863_109, "2016-04-28T17:05:09Z"),
            (1_514_764_800, "2018-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (4_294_967_295, "2106-02-07T06:28:15Z"),
        ];
        for (seconds, text) in table {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}
