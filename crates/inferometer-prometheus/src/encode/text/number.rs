//! Numbers, without allocation.

const NANOS: u128 = 1_000_000_000;

/// Appends a whole number.
#[inline]
pub(super) fn integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a float so that it parses to the same bits.
pub(super) fn float(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        let text: &[u8] = match (value.is_nan(), value > 0.0) {
            (true, _) => b"NaN",
            (false, true) => b"+Inf",
            (false, false) => b"-Inf",
        };
        return out.extend_from_slice(text);
    }
    // Most gauges hold whole numbers, which print ten times as fast as such. The comparison of bits keeps -0.0 out, and
    // up to 2^53 the shortest decimal is the number itself.
    let whole = value as i64;
    if (whole as f64).to_bits() == value.to_bits() && whole.unsigned_abs() < 1 << 53 {
        return integer(out, whole);
    }
    out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
}

/// Appends nanoseconds in seconds: exactly, which a float of the sum would not be after 104 days.
pub(super) fn seconds(out: &mut Vec<u8>, nanos: u128) {
    let below = match u64::try_from(nanos) {
        // Twenty times as fast as the division of 128 bits.
        Ok(nanos) => {
            integer(out, nanos / NANOS as u64);
            (nanos % NANOS as u64) as u32
        }
        Err(_) => {
            integer(out, nanos / NANOS);
            (nanos % NANOS) as u32
        }
    };
    if below > 0 {
        fraction(out, below);
    }
}

/// Appends a point and nine decimals, without the zeros at their end.
fn fraction(out: &mut Vec<u8>, mut below: u32) {
    let mut digits = *b".000000000";
    for digit in digits[1..].iter_mut().rev() {
        *digit = b'0' + (below % 10) as u8;
        below /= 10;
    }
    let last = digits.iter().rposition(|&digit| digit != b'0').unwrap_or(0);
    out.extend_from_slice(&digits[..=last]);
}

/// Appends a bucket's bound in the canonical form of OpenMetrics, which is Go's `%g` with a fraction: `0.5`, `1.0`,
/// `1e-05`, `1.048576e+06`.
///
/// `le="1"` and `le="1.0"` are two series to Prometheus 2, so a bound must look the same in all formats and from all
/// libraries.
pub(super) fn bound(out: &mut Vec<u8>, value: f64) {
    if value == f64::INFINITY {
        return out.extend_from_slice(b"+Inf");
    }
    if value == 0.0 {
        return out.extend_from_slice(b"0.0");
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // The significant digits, and the power of ten of the first of them.
    let digits = || whole.bytes().chain(fraction.bytes()).skip_while(|&digit| digit == b'0');
    let leading_zeros = (whole.len() + fraction.len() - digits().count()) as i32;
    let exponent = exponent.parse::<i32>().unwrap_or(0) + whole.len() as i32 - 1 - leading_zeros;
    let significant = {
        let trailing_zeros = whole.bytes().chain(fraction.bytes()).rev().take_while(|&digit| digit == b'0').count();
        digits().count() - trailing_zeros
    };
    let mut digits = digits().take(significant);
    if (-4..6).contains(&exponent) {
        // The plain form: digits stand from 10^exponent, or from the first place if that is lower, to the last of them.
        let lowest = (exponent + 1 - significant as i32).min(-1);
        for place in (lowest..=exponent.max(0)).rev() {
            if place == -1 {
                out.push(b'.');
            }
            out.push(if place > exponent { b'0' } else { digits.next().unwrap_or(b'0') });
        }
        return;
    }
    out.extend(digits.next());
    if significant > 1 {
        out.push(b'.');
        out.extend(digits);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    if exponent.unsigned_abs() < 10 {
        out.push(b'0');
    }
    integer(out, exponent.unsigned_abs());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_as_prometheus_reads_them() {
        for (value, want) in [
            (f64::NAN, "NaN"),
            (-f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (0.0, "0"),
            (-0.0, "-0.0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (9_007_199_254_740_991.0, "9007199254740991"),
        ] {
            assert_eq!(text(|out| float(out, value)), want);
        }
    }

    #[test]
    fn bounds_are_canonical() {
        for (value, want) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (10.0, "10.0"),
            (2560.0, "2560.0"),
            (0.0001, "0.0001"),
            (0.00025, "0.00025"),
            (0.00001, "1e-05"),
            (0.000015, "1.5e-05"),
            (100_000.0, "100000.0"),
            (123_456.75, "123456.75"),
            (1_000_000.0, "1e+06"),
            (1_048_576.0, "1.048576e+06"),
            (1e100, "1e+100"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(text(|out| bound(out, value)), want);
        }
    }

    #[test]
    fn sums_are_exact_seconds() {
        for (nanos, want) in [
            (0, "0"),
            (1, "0.000000001"),
            (1_500_000_000, "1.5"),
            (2_000_000_000, "2"),
            (10_000_000, "0.01"),
            (u128::from(u64::MAX), "18446744073.709551615"),
            (u128::from(u64::MAX) + 1, "18446744073.709551616"),
            (u128::MAX, "340282366920938463463374607431.768211455"),
        ] {
            assert_eq!(text(|out| seconds(out, nanos)), want);
        }
    }

    proptest! {
        #[test]
        fn a_float_parses_to_the_same_bits(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let text = text(|out| float(out, value));
            if !value.is_nan() {
                prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits);
            }
        }

        #[test]
        fn a_bound_parses_to_the_same_number_and_shows_that_it_is_a_float(bits in 1_u64..0x7FF0_0000_0000_0000) {
            let value = f64::from_bits(bits);
            let text = text(|out| bound(out, value));
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits);
            prop_assert!(text.contains(['.', 'e']), "{}", text);
        }

        #[test]
        fn a_bound_of_everyday_size_is_canonical(value in 0.0001_f64..1e6) {
            prop_assert_eq!(text(|out| bound(out, value)), format!("{value:?}"));
        }

        #[test]
        fn a_sum_has_every_nanosecond(nanos in any::<u128>()) {
            let text = text(|out| seconds(out, nanos));
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            prop_assert!(!fraction.ends_with('0'));
            prop_assert_eq!(format!("{whole}{fraction:0<9}").parse::<u128>().unwrap(), nanos);
        }
    }
}
