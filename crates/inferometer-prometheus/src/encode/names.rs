//! Which families a scrape wants.

/// A choice of families by name; all of them unless some are named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Names(Option<Vec<String>>);

impl Names {
    /// These families and no others.
    pub(crate) fn only(mut names: Vec<String>) -> Self {
        names.sort_unstable();
        names.dedup();
        Names(Some(names))
    }

    /// Whether the family is wanted. A counter also answers to its name without `_total`, as OpenMetrics calls it.
    pub(crate) fn want(&self, family: &str) -> bool {
        let named =
            |name: &str| self.0.as_ref().is_none_or(|names| names.binary_search_by(|n| (**n).cmp(name)).is_ok());
        named(family) || family.strip_suffix("_total").is_some_and(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_name_all_are_wanted_and_with_one_no_other() {
        assert!(Names::default().want("a"));
        let names = Names::only(vec!["b_total".to_owned(), "a".to_owned(), "a".to_owned()]);
        assert!(names.want("a") && names.want("a_total") && names.want("b_total"));
        assert!(!names.want("b") && !names.want("") && !names.want("aa"));
        assert!(!Names::only(Vec::new()).want("a"));
    }
}
