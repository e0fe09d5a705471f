//! The page, and the sections in it that are written by this program.

use super::{Proof, Section};
use std::path::PathBuf;
use std::{fmt, fs, io};

/// A Markdown file with marks around what is generated.
#[derive(Debug)]
pub struct Page {
    path: PathBuf,
    text: String,
}

/// Why a page is not as it must be.
#[derive(Debug)]
pub enum PageError {
    /// It cannot be read or written.
    Io(PathBuf, io::Error),
    /// A section has no marks.
    NoSection(&'static str),
    /// A section does not show a case.
    NoCase(&'static str, &'static str),
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PageError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            PageError::NoSection(section) => write!(f, "the page has no section `{section}`"),
            PageError::NoCase(section, case) => write!(f, "the page's section `{section}` does not show `{case}`"),
        }
    }
}

impl std::error::Error for PageError {}

fn marks(section: &str) -> [String; 2] {
    [format!("<!-- measured: {section} -->"), format!("<!-- end of {section} -->")]
}

impl Page {
    /// Reads it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, PageError> {
        let path = path.into();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Page { path, text }),
            Err(error) => Err(PageError::Io(path, error)),
        }
    }

    /// Where what is generated of a section begins and ends.
    fn place(&self, section: &'static str) -> Result<(usize, usize), PageError> {
        let [begin, end] = marks(section);
        let found = self.text.find(&begin).map(|at| at + begin.len());
        let found = found.and_then(|from| Some((from, from + self.text[from..].find(&end)?)));
        found.ok_or(PageError::NoSection(section))
    }

    /// Puts a new measurement in place of the old one.
    ///
    /// # Errors
    /// When the page has no such section, or cannot be written.
    pub fn replace(&mut self, name: &'static str, section: &Section) -> Result<(), PageError> {
        let (from, to) = self.place(name)?;
        self.text.replace_range(from..to, &format!("\n\n{}\n\n", section.text.trim()));
        fs::write(&self.path, &self.text).map_err(|error| PageError::Io(self.path.clone(), error))
    }

    /// Whether the page shows each case of a section.
    ///
    /// # Errors
    /// When one is missing.
    pub fn check(&self, proof: &Proof) -> Result<(), PageError> {
        let (from, to) = self.place(proof.name)?;
        let shown = &self.text[from..to];
        match (proof.cases)().into_iter().find(|case| !shown.contains(&format!("| {case} |"))) {
            Some(case) => Err(PageError::NoCase(proof.name, case)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::{ALL, Length};

    fn page(text: &str) -> Page {
        let path = std::env::temp_dir().join(format!("page-{}-{:p}.md", std::process::id(), text));
        Page { path, text: text.to_owned() }
    }

    fn proof() -> Proof {
        fn run(_: Length) -> Section {
            Section { text: "| b | 2 |".to_owned(), failures: Vec::new() }
        }
        Proof { name: "x", run, cases: || vec!["b"] }
    }

    #[test]
    fn a_section_is_replaced_and_the_rest_stays() {
        let mut page = page("# Title\n<!-- measured: x -->\n| a | 1 |\n<!-- end of x -->\nThe rest.\n");
        assert!(matches!(page.check(&proof()), Err(PageError::NoCase("x", "b"))));
        page.replace("x", &(proof().run)(Length::Short)).unwrap();
        page.check(&proof()).unwrap();
        let written = fs::read_to_string(&page.path).unwrap();
        fs::remove_file(&page.path).unwrap();
        assert_eq!(written, "# Title\n<!-- measured: x -->\n\n| b | 2 |\n\n<!-- end of x -->\nThe rest.\n");
    }

    #[test]
    fn a_page_without_the_section_is_an_error() {
        assert!(matches!(page("# Title\n").check(&proof()), Err(PageError::NoSection("x"))));
    }

    #[test]
    fn the_page_of_the_project_shows_all_cases() {
        let page = Page::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/overhead.md")).unwrap();
        for proof in &ALL {
            page.check(proof).unwrap();
        }
    }
}
