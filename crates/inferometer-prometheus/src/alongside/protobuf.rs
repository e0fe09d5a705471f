//! Taking protobuf messages apart into families: each `MetricFamily` stands after its length.

use super::family::{Family, Shape};

/// The fields of a family that matter here.
const NAME: u64 = 1;
const TYPE: u64 = 3;

/// The types that have several samples.
const SUMMARY: u64 = 2;
const HISTOGRAM: u64 = 4;

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Takes the first family off; nothing where no whole one is left.
pub(super) fn take_family<'a>(messages: &mut &'a [u8]) -> Option<Family<'a>> {
    let whole = *messages;
    let length = take_number(messages)?;
    let mut message = take(messages, length)?;
    let bytes = &whole[..whole.len() - messages.len()];
    let (mut name, mut shape) = ("", Shape::Single);
    while !message.is_empty() {
        match take_field(&mut message)? {
            (NAME, Value::Bytes(text)) => name = std::str::from_utf8(text).ok()?,
            (TYPE, Value::Number(SUMMARY)) => shape = Shape::Summary,
            (TYPE, Value::Number(HISTOGRAM)) => shape = Shape::Histogram,
            _ => {}
        }
    }
    Some(Family { name, shape, bytes })
}

/// A field's number and its value.
fn take_field<'a>(message: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let tag = take_number(message)?;
    let value = match tag & 7 {
        0 => Value::Number(take_number(message)?),
        1 => Value::Bytes(take(message, 8)?),
        2 => {
            let length = take_number(message)?;
            Value::Bytes(take(message, length)?)
        }
        5 => Value::Bytes(take(message, 4)?),
        _ => return None,
    };
    Some((tag >> 3, value))
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    bytes.split_off(..usize::try_from(length).ok()?)
}

/// Seven bits a byte, the lowest first.
fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Encoder, Names, Protobuf};
    use inferometer::Registry;

    /// What our own encoder writes of three families.
    fn messages() -> Vec<u8> {
        let registry = Registry::new();
        registry.counter("requests_total", &[("a", &"x".repeat(1_000))]).unwrap().increment(1);
        registry.gauge("depth", &[]).unwrap().set(f64::MAX);
        registry.histogram::<f64>("wait_seconds", &[]).unwrap().record(0.5);
        let mut out = Vec::new();
        assert!(Encoder::new(Protobuf, &[None]).encode(&registry, &Names::default(), &mut out, usize::MAX).is_ok());
        out
    }

    #[test]
    fn families_are_whole_messages_with_their_names_and_shapes() {
        let messages = messages();
        let mut rest = messages.as_slice();
        let families: Vec<_> = std::iter::from_fn(|| take_family(&mut rest)).collect();
        let seen: Vec<_> = families.iter().map(|family| (family.name, family.shape)).collect();
        assert_eq!(
            seen,
            [("requests_total", Shape::Single), ("depth", Shape::Single), ("wait_seconds", Shape::Histogram),]
        );
        assert_eq!(families.iter().map(|family| family.bytes).collect::<Vec<_>>().concat(), messages);
    }

    #[test]
    fn what_is_cut_or_broken_anywhere_is_no_family_and_no_panic() {
        let messages = messages();
        for end in 0..messages.len() {
            let mut rest = &messages[..end];
            assert!(std::iter::from_fn(|| take_family(&mut rest)).count() < 3);
        }
        for at in 0..messages.len() {
            for byte in [0, 0x7f, 0x80, 0xff] {
                let mut broken = messages.clone();
                broken[at] = byte;
                let mut rest = broken.as_slice();
                while take_family(&mut rest).is_some() {}
            }
        }
    }
}
