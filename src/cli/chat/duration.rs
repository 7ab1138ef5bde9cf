//! Time spans as people write them: `90`, `30s`, `10m`, `2h`, `7d`.

use std::time::Duration;

/// Reads a span of at least one second. A number without a unit means seconds.
///
/// # Errors
/// A sentence for the user.
pub(super) fn parse_span(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time span as 30s, 10m, 2h or 7d".to_owned();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    match number.checked_mul(unit) {
        Some(seconds @ 1..=315_360_000) => Ok(Duration::from_secs(seconds.into())),
        _ => Err("a time span is between one second and ten years".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_span;

    #[test]
    fn reads_every_unit_and_refuses_the_rest() {
        let read = ["1", "30s", "10m", "2h", "7d", "3650d"].map(|text| parse_span(text).unwrap().as_secs());
        assert_eq!(read, [1, 30, 600, 7_200, 604_800, 315_360_000]);
        for bad in ["", "0", "0h", "m", "-1", "+1", "1.5h", "2 h", "1w", "3651d", "99999999999s", "４s"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }
}
