//! Shares as people write them.

use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// A share: 0.01 is written `1%`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub(crate) struct Percent(pub(crate) f64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Without the sign, `1` could be one hundredth or all.
        let number = text.strip_suffix('%').ok_or("a share is written with its sign, as in 1%")?;
        match number.trim().parse::<f64>() {
            Ok(value) if value > 0.0 && value <= 1_000.0 => Ok(Percent(value / 100.0)),
            Ok(_) => Err("it has to be above 0% and not above 1000%".to_owned()),
            Err(_) => Err(format!("`{number}` is not a number")),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded first: a hundred times 0.07 is 7.000000000000001.
        write!(f, "{} %", (self.0 * 1e8).round() / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_written_with_its_sign() {
        assert_eq!("1%".parse(), Ok(Percent(0.01)));
        assert_eq!("0.25 %".parse(), Ok(Percent(0.0025)));
        for wrong in ["1", "0.01", "%", "x%", "0%", "-1%", "NaN%", "inf%", "2000%"] {
            assert!(wrong.parse::<Percent>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_is_what_was_written() {
        for text in ["1%", "0.1%", "7%", "0.05%", "2.5%"] {
            let share: Percent = text.parse().expect("a share");
            assert_eq!(share.to_string().replace(' ', ""), text);
        }
    }
}
