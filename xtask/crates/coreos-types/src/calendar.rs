//! Unix seconds as UTC dates, and back.

/// RFC 3339 with seconds: `2016-04-28T17:05:09Z`.
pub fn rfc3339(seconds: u64) -> String {
    let clock = seconds % DAY;
    format!("{}T{:02}:{:02}:{:02}Z", date(seconds), clock / 3600, clock / 60 % 60, clock % 60)
}

/// The date without the time: `2016-04-28`.
pub fn date(seconds: u64) -> String {
    // The calendar repeats, so that the loop is short for any number.
    let cycles = seconds / DAY / DAYS_OF_400_YEARS;
    let (mut year, mut month) = (1970 + 400 * cycles, 1);
    let mut days = seconds / DAY % DAYS_OF_400_YEARS;
    while days >= year_length(year) {
        days -= year_length(year);
        year += 1;
    }
    for length in month_lengths(year) {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", days + 1)
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7; the obsolete forms are not read).
pub fn parse_http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_once(", ")?.1.split([' ', ':']).collect();
    let [day, month, year, hour, minute, second, "GMT"] = words.as_slice() else { return None };
    let number = |text: &str, max: u64| text.parse::<u64>().ok().filter(|number| *number <= max);
    let (day, year) = (number(day, 31)?.checked_sub(1)?, number(year, 9999)?);
    let month = MONTHS.iter().position(|name| name == month)?;
    let years: u64 = (1970..year).map(year_length).sum();
    let days = years + month_lengths(year)[..month].iter().sum::<u64>() + day;
    Some(days * DAY + number(hour, 23)? * 3600 + number(minute, 59)? * 60 + number(second, 60)?)
}

const DAY: u64 = 24 * 60 * 60;
const DAYS_OF_400_YEARS: u64 = 146_097;

fn month_lengths(year: u64) -> [u64; 12] {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

fn year_length(year: u64) -> u64 {
    month_lengths(year).iter().sum()
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
            (67_768_036_191_676_799, "2147485547-12-31T23:59:59Z"),
            (u64::MAX, "584554051223-11-09T07:00:15Z"),
        ];
        for (seconds, text) in table {
            assert_eq!(rfc3339(seconds), text);
        }
    }

    #[test]
    fn http_dates_are_parsed() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Tue, 29 Feb 2000 12:00:00 GMT", Some(951_825_600)),
            ("Mon, 23 Nov 2026 01:00:00 GMT", Some(1_795_395_600)),
            ("soon", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 99999 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
        ] {
            assert_eq!(parse_http_date(text), seconds, "{text}");
        }
    }
}
