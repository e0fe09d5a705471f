//! Which names an exporter offers, and which it exposes without being asked.

use crate::builder::BuildError;
use crate::profile::Profile;

/// The namings that can be asked for. The first is what is exposed without a query.
#[derive(Clone, Debug)]
pub(crate) struct Namings {
    choices: Vec<Choice>,
}

/// Names that are exposed together; `None` are the registry's own.
#[derive(Clone, Debug)]
struct Choice {
    /// What asks for it.
    name: Option<String>,
    namings: Vec<Option<Profile>>,
}

impl Namings {
    pub(crate) fn new(profiles: Vec<Profile>, exposed: &[String]) -> Result<Self, BuildError> {
        let of_name = |name: &String| match profiles.iter().find(|profile| profile.name() == name) {
            Some(profile) => Ok(Some(profile.clone())),
            None if name == Profile::CANONICAL => Ok(None),
            None => Err(BuildError::NoSuchProfile { name: name.clone() }),
        };
        let exposed: Vec<_> = exposed.iter().map(of_name).collect::<Result<_, _>>()?;
        let exposed = if exposed.is_empty() { vec![None] } else { exposed };
        let mut choices = vec![
            Choice { name: None, namings: exposed },
            Choice { name: Some(Profile::CANONICAL.to_owned()), namings: vec![None] },
        ];
        for profile in profiles {
            let name = profile.name().to_owned();
            if choices.iter().any(|choice| choice.name.as_ref() == Some(&name)) {
                return Err(BuildError::DuplicateProfile { name });
            }
            choices.push(Choice { name: Some(name), namings: vec![Some(profile)] });
        }
        Ok(Namings { choices })
    }

    /// The place of what was asked for; `None` if there is no such profile.
    pub(crate) fn place(&self, profile: Option<&str>) -> Option<usize> {
        self.choices.iter().position(|choice| choice.name.as_deref() == profile)
    }

    /// What is exposed together, by place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[Option<Profile>]> {
        self.choices.iter().map(|choice| choice.namings.as_slice())
    }
}
