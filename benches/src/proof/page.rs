//! The page, and the sections in it that are written by this program.

use super::{Measured, Proof, plot};
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
    /// A section does not say how it was measured.
    NoCommand(&'static str),
    /// The picture of a section does not show a case, or there is none.
    NotDrawn(&'static str, &'static str),
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PageError::Io(path, error) => write!(f, "{}: {error}", path.display()),
            PageError::NoSection(section) => write!(f, "the page has no section `{section}`"),
            PageError::NoCase(section, case) => write!(f, "the page's section `{section}` does not show `{case}`"),
            PageError::NoCommand(section) => {
                write!(f, "the page's section `{section}` does not say how it is measured")
            }
            PageError::NotDrawn(section, case) => write!(f, "the plot of `{section}` does not show `{case}`"),
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

    /// Puts a new measurement in place of the old one, and its pictures beside the page.
    ///
    /// # Errors
    /// When the page has no such section, or something cannot be written.
    pub fn replace(&mut self, name: &'static str, measured: &Measured) -> Result<(), PageError> {
        let (from, to) = self.place(name)?;
        self.text.replace_range(from..to, &format!("\n\n{}\n\n", measured.section.text.trim()));
        for plot in &measured.plots {
            let path = self.beside(&plot.path());
            let directory = path.parent().map_or(Ok(()), fs::create_dir_all);
            directory.and_then(|()| fs::write(&path, plot.svg())).map_err(|error| PageError::Io(path, error))?;
        }
        fs::write(&self.path, &self.text).map_err(|error| PageError::Io(self.path.clone(), error))
    }

    fn beside(&self, path: &str) -> PathBuf {
        self.path.with_file_name(path)
    }

    /// Whether the page shows each case of a section, how it was measured, and its picture, if it has one.
    ///
    /// # Errors
    /// When one is missing.
    pub fn check(&self, proof: &Proof) -> Result<(), PageError> {
        let (from, to) = self.place(proof.name)?;
        let shown = &self.text[from..to];
        if !shown.contains(&proof.shown_command()) {
            return Err(PageError::NoCommand(proof.name));
        }
        let path = plot::path(proof.name);
        let plot = if proof.has_plot && shown.contains(&format!("]({path})")) {
            fs::read_to_string(self.beside(&path)).unwrap_or_default()
        } else {
            String::new()
        };
        for case in (proof.cases)() {
            if !shown.contains(&format!("| {case} |")) {
                return Err(PageError::NoCase(proof.name, case));
            }
            if proof.has_plot && !plot::shows(&plot, case) {
                return Err(PageError::NotDrawn(proof.name, case));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::{ALL, Length, Section};

    fn page(text: &str) -> Page {
        let path = std::env::temp_dir().join(format!("page-{}-{:p}.md", std::process::id(), text));
        Page { path, text: text.to_owned() }
    }

    fn proof() -> Proof {
        fn run(_: Length) -> Measured {
            Section { text: "| b | 2 |\n\n`cargo xtask overhead x`".to_owned(), failures: Vec::new() }.into()
        }
        Proof { command: "overhead", name: "x", run, cases: || vec!["b"], has_plot: false }
    }

    #[test]
    fn a_section_is_replaced_and_the_rest_stays() {
        let mut page = page("# Title\n<!-- measured: x -->\n`cargo xtask overhead x`\n<!-- end of x -->\nThe rest.\n");
        assert!(matches!(page.check(&proof()), Err(PageError::NoCase("x", "b"))));
        page.replace("x", &(proof().run)(Length::Short)).unwrap();
        page.check(&proof()).unwrap();
        let written = fs::read_to_string(&page.path).unwrap();
        fs::remove_file(&page.path).unwrap();
        assert_eq!(
            written,
            "# Title\n<!-- measured: x -->\n\n| b | 2 |\n\n`cargo xtask overhead x`\n\n<!-- end of x -->\nThe rest.\n"
        );
    }

    #[test]
    fn a_page_without_the_section_is_an_error() {
        assert!(matches!(page("# Title\n").check(&proof()), Err(PageError::NoSection("x"))));
    }

    #[test]
    fn a_section_that_does_not_say_how_it_was_measured_is_an_error() {
        let page = page("<!-- measured: x -->\n| b | 2 |\n<!-- end of x -->\n");
        assert!(matches!(page.check(&proof()), Err(PageError::NoCommand("x"))));
    }

    #[test]
    fn a_section_without_its_plot_is_an_error() {
        let page = page(
            "<!-- measured: x -->\n| b | 2 |\n`cargo xtask overhead x`\n![X](overhead/x.svg)\n<!-- end of x -->\n",
        );
        page.check(&proof()).unwrap();
        let with_plot = Proof { has_plot: true, ..proof() };
        assert!(matches!(page.check(&with_plot), Err(PageError::NotDrawn("x", "b"))));
    }

    #[test]
    fn the_pages_of_the_project_show_all_cases() {
        for (name, sections) in [("overhead", &ALL[..]), ("compare", &crate::compare::ALL[..])] {
            let page = Page::open(format!("{}/../docs/{name}.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
            for proof in sections {
                page.check(proof).unwrap();
            }
        }
    }
}
