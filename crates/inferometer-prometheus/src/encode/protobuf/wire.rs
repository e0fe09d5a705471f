//! The encoding of protobuf's fields.
//!
//! Written by hand: the messages are few and fixed, and a library would build each of them in memory first.

/// The tag of a field: its number and the way in which its value stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field(u32);

impl Field {
    const VARINT: u32 = 0;
    const FIXED64: u32 = 1;
    const LENGTH: u32 = 2;

    pub(super) const fn new(number: u32) -> Self {
        Field(number << 3)
    }

    fn tag(self, out: &mut Vec<u8>, way: u32) {
        varint(out, u64::from(self.0 | way));
    }

    /// A whole number. A zero is left out, as proto3 wants it.
    pub(super) fn unsigned(self, out: &mut Vec<u8>, value: u64) {
        if value != 0 {
            self.tag(out, Self::VARINT);
            varint(out, value);
        }
    }

    /// A `sint32` or `sint64`.
    pub(super) fn signed(self, out: &mut Vec<u8>, value: i64) {
        self.unsigned(out, zigzag(value));
    }

    /// A `double`. A zero is left out.
    pub(super) fn double(self, out: &mut Vec<u8>, value: f64) {
        if value.to_bits() != 0 {
            self.tag(out, Self::FIXED64);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Text, bytes, a message or a packed list, given as its bytes. Nothing is left out.
    pub(super) fn bytes(self, out: &mut Vec<u8>, bytes: &[u8]) {
        self.tag(out, Self::LENGTH);
        varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }

    /// A message, a list or a text that `write` appends.
    pub(super) fn nested(self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        self.tag(out, Self::LENGTH);
        let start = open(out);
        write(out);
        close(out, start);
    }
}

/// Leaves room for a length, of what follows up to [`close`].
#[inline]
pub(super) fn open(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len() - 1
}

/// Writes the length where `open` has left room for it. Most messages are shorter than 128 bytes, and their lengths fit;
/// the others move up.
#[inline]
pub(super) fn close(out: &mut Vec<u8>, start: usize) {
    let end = out.len();
    let length = end - start - 1;
    if length < 0x80 {
        out[start] = length as u8;
        return;
    }
    let mut digits = [0; 10];
    let size = digits_of(length as u64, &mut digits);
    out.resize(end + size - 1, 0);
    out.copy_within(start + 1..end, start + size);
    out[start..start + size].copy_from_slice(&digits[..size]);
}

/// Appends a number, seven bits a byte, the lowest first.
#[inline]
pub(super) fn varint(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        return out.push(value as u8);
    }
    let mut digits = [0; 10];
    let size = digits_of(value, &mut digits);
    out.extend_from_slice(&digits[..size]);
}

fn digits_of(mut value: u64, digits: &mut [u8; 10]) -> usize {
    let mut size = 0;
    while value >= 0x80 {
        digits[size] = value as u8 | 0x80;
        value >>= 7;
        size += 1;
    }
    digits[size] = value as u8;
    size + 1
}

/// Signed numbers by their distance from zero, so that small ones are short.
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn numbers_are_as_in_the_encoding_guide() {
        // The examples of protobuf.dev/programming-guides/encoding.
        assert_eq!(bytes(|out| varint(out, 150)), [0x96, 0x01]);
        assert_eq!(bytes(|out| Field::new(1).unsigned(out, 150)), [0x08, 0x96, 0x01]);
        assert_eq!(bytes(|out| Field::new(2).bytes(out, b"testing")), b"\x12\x07testing");
        let pairs = [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::from(i32::MAX), 0xffff_fffe), (i64::MIN, u64::MAX)];
        for (value, want) in pairs {
            assert_eq!(zigzag(value), want);
        }
        assert_eq!(bytes(|out| varint(out, u64::MAX)).len(), 10);
    }

    #[test]
    fn a_length_of_any_size_stands_before_its_message() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let out = bytes(|out| {
                out.push(7);
                let start = open(out);
                out.resize(out.len() + length, 9);
                close(out, start);
                out.push(8);
            });
            let want = bytes(|out| {
                out.push(7);
                varint(out, length as u64);
                out.resize(out.len() + length, 9);
                out.push(8);
            });
            assert!(out == want, "{length}");
        }
    }
}
