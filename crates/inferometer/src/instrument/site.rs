//! Macro call sites whose names or labels are known at run time only.

use super::{Instrument, Local};
use crate::label::cache::{self, Texts};
use crate::registry::{Registry, new_tag};
use std::borrow::Borrow;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// One call site. Its label values, and whatever else of it is not a literal, are the key in the thread's cache.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct DynamicSite {
    /// Its place in the caches; 0 until the first call.
    tag: AtomicU32,
}

impl DynamicSite {
    /// For the macros.
    pub const fn new() -> Self {
        DynamicSite { tag: AtomicU32::new(0) }
    }

    /// The instrument for these labels in the global registry. `literal` says that the name and the label names are the
    /// same at each call, so that only the values need comparing.
    #[inline(always)]
    pub fn get<I: Instrument>(&self, literal: bool, name: &str, names: &[&str], values: &[&str]) -> Local<'static, I> {
        if cfg!(inferometer_off) {
            return Local::detached();
        }
        let texts = SiteTexts { variable: if literal { None } else { Some((name, names)) }, values };
        let loan = cache::look_up(self.tag.load(Relaxed), &texts, || {
            if self.tag.load(Relaxed) == 0 {
                // Two threads may do so at once: then the first one's entries are found by nobody.
                self.tag.store(new_tag(), Relaxed);
            }
            match Registry::global().series::<I>(name, names, values, None) {
                Ok(series) => Some(series),
                Err(error) => {
                    log::warn!("a record is dropped: {error}");
                    None
                }
            }
        });
        Local::of_loan(loan, 0)
    }

    /// The same for labels that come as a slice of pairs.
    pub fn get_pairs<I: Instrument, K: Borrow<str>, V: Borrow<str>>(
        &self,
        name: &str,
        labels: &[(K, V)],
    ) -> Local<'static, I> {
        // As many labels as a key can have. More go another way, which allocates.
        const MOST: usize = 8;
        let (mut names, mut values) = ([""; MOST], [""; MOST]);
        if labels.len() <= MOST {
            for (i, (name, value)) in labels.iter().enumerate() {
                names[i] = name.borrow();
                values[i] = value.borrow();
            }
            self.get(false, name, &names[..labels.len()], &values[..labels.len()])
        } else {
            let names: Vec<&str> = labels.iter().map(|(name, _)| name.borrow()).collect();
            let values: Vec<&str> = labels.iter().map(|(_, value)| value.borrow()).collect();
            self.get(false, name, &names, &values)
        }
    }
}

struct SiteTexts<'a> {
    variable: Option<(&'a str, &'a [&'a str])>,
    values: &'a [&'a str],
}

impl Texts for SiteTexts<'_> {
    #[inline(always)]
    fn each<'s>(&'s self, mut visit: impl FnMut(&'s str)) {
        if let Some((name, names)) = self.variable {
            visit(name);
            names.iter().copied().for_each(&mut visit);
        }
        self.values.iter().copied().for_each(visit);
    }
}
