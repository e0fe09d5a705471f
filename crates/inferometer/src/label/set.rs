//! Label sets: structs whose fields are the labels of a family.

/// A set of labels, derived for a struct with named fields.
///
/// Each field is either open text (`&str`, `String`, `Cow<str>`) or a closed set of values: an enum with
/// `#[derive(LabelValue)]`, or `bool`. Closed labels cost an index computation, open ones a look-up in a thread-local
/// cache that is keyed by their content.
///
/// ```
/// use inferometer::{LabelSet, LabelValue};
///
/// #[derive(LabelSet)]
/// struct Outcome<'a> {
///     model_name: &'a str,
///     status: Status,
/// }
///
/// #[derive(LabelValue)]
/// enum Status { Ok, Error, Cancelled }
///
/// assert_eq!(Outcome::NAMES, ["model_name", "status"]);
/// assert_eq!(Outcome::WIDTH, 3);
/// ```
///
/// A set with borrowed text stands for the same series as one with owned text: the type parameter of a family is the
/// `Owner`, and every set with that owner can be looked up in it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a label set",
    note = "derive it for a struct whose fields are the labels: #[derive(LabelSet)]"
)]
pub trait LabelSet {
    /// The same set with a `'static` lifetime, which names the family's type.
    type Owner: LabelSet;

    /// The names of the labels, in the order of the fields.
    const NAMES: &'static [&'static str];

    /// The sizes of the fields' closed sets; 0 for open text.
    const SIZES: &'static [usize];

    /// How many combinations the closed labels have.
    const WIDTH: usize = {
        let (mut width, mut i) = (1, 0);
        while i < Self::SIZES.len() {
            width *= if Self::SIZES[i] == 0 { 1 } else { Self::SIZES[i] };
            i += 1;
        }
        width
    };

    /// How many labels are open text.
    const OPEN: usize = {
        let (mut open, mut i) = (0, 0);
        while i < Self::SIZES.len() {
            open += (Self::SIZES[i] == 0) as usize;
            i += 1;
        }
        open
    };

    /// The number of this set's combination of closed labels, below [`LabelSet::WIDTH`]. The last field varies fastest.
    fn member(&self) -> usize;

    /// Calls `visit` with the text of each open label, in the order of the fields.
    fn visit_open<'s>(&'s self, visit: impl FnMut(&'s str));

    /// The text of value `index` of the closed label in field `field`; empty for an open one.
    fn closed_text(field: usize, index: usize) -> &'static str;
}

/// The set without labels.
impl LabelSet for () {
    type Owner = ();
    const NAMES: &'static [&'static str] = &[];
    const SIZES: &'static [usize] = &[];

    fn member(&self) -> usize {
        0
    }

    fn visit_open<'s>(&'s self, _: impl FnMut(&'s str)) {}

    fn closed_text(_: usize, _: usize) -> &'static str {
        ""
    }
}

/// A type whose values can be a label's: open text, or a closed set (derive it for an enum without fields).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a label's value",
    note = "use &str, String, Cow<str>, bool, or an enum with #[derive(LabelValue)]"
)]
pub trait LabelValue {
    /// The texts of the closed set, by index; empty for open text.
    const VALUES: &'static [&'static str];

    /// The index of this value in the closed set; 0 for open text.
    fn index(&self) -> usize;

    /// The value where it is open text.
    fn open_text(&self) -> Option<&str>;
}

macro_rules! open_text {
    ($($type:ty),*) => {$(
        impl LabelValue for $type {
            const VALUES: &'static [&'static str] = &[];

            #[inline(always)]
            fn index(&self) -> usize {
                0
            }

            #[inline(always)]
            fn open_text(&self) -> Option<&str> {
                Some(self)
            }
        }
    )*};
}

open_text!(&str, String, std::borrow::Cow<'_, str>, Box<str>, std::sync::Arc<str>);

impl LabelValue for bool {
    const VALUES: &'static [&'static str] = &["false", "true"];

    #[inline(always)]
    fn index(&self) -> usize {
        usize::from(*self)
    }

    #[inline(always)]
    fn open_text(&self) -> Option<&str> {
        None
    }
}
