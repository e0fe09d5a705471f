//! The values of a series' open labels, in one allocation.

use std::fmt;

/// Label values in the order of their family's names, whoever owns them.
pub(crate) trait Labels {
    fn len(&self) -> usize;
    fn get(&self, index: usize) -> &str;
}

impl Labels for [&str] {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn get(&self, index: usize) -> &str {
        self[index]
    }
}

/// Owned label values. A series has one of these, and there may be many series: so all is in one piece, the number of
/// texts and the end of each, four bytes apiece, and the texts. Equal texts are equal bytes.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Packed(Box<[u8]>);

const NUMBER: usize = size_of::<u32>();

impl Packed {
    pub(crate) fn new(labels: &dyn Labels) -> Self {
        if labels.len() == 0 {
            return Packed::default();
        }
        let texts: usize = (0..labels.len()).map(|i| labels.get(i).len()).sum();
        let mut bytes = Vec::with_capacity(NUMBER * (1 + labels.len()) + texts);
        let mut push = |number: usize| {
            // A label of 4 GiB is cut. Nobody can send one through a scrape anyway.
            bytes.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        };
        push(labels.len());
        let mut end = 0;
        for i in 0..labels.len() {
            end += labels.get(i).len();
            push(end);
        }
        for i in 0..labels.len() {
            bytes.extend_from_slice(labels.get(i).as_bytes());
        }
        Packed(bytes.into())
    }

    /// How much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The number in place `index`: how many texts, or the end of text `index - 1`.
    fn number(&self, index: usize) -> usize {
        let bytes = self.0.get(index * NUMBER..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
    }
}

impl Labels for Packed {
    fn len(&self) -> usize {
        self.number(0)
    }

    fn get(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.number(index) };
        let texts = self.0.get(NUMBER * (1 + self.len())..).unwrap_or_default();
        let text = texts.get(start..self.number(index + 1)).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((0..self.len()).map(|i| self.get(i))).finish()
    }
}

impl PartialEq for dyn Labels + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && (0..self.len()).all(|i| self.get(i) == other.get(i))
    }
}

impl Eq for dyn Labels + '_ {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::SliceLabels;

    #[test]
    fn packed_texts_come_out_as_they_went_in() {
        for texts in [&[][..], &[""], &["a"], &["", "", "b"], &["llama", "0", "caf\u{e9}\n", ""]] {
            let packed = Packed::new(&SliceLabels(texts));
            assert_eq!((0..packed.len()).map(|i| packed.get(i)).collect::<Vec<_>>(), texts);
        }
    }
}
