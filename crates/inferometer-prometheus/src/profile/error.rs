//! What can be wrong with a profile.

use std::fmt;

/// Why there cannot be such a profile.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ProfileError {
    /// A profile's name may have letters, digits, hyphens, underscores and dots, and must not be
    /// [`Profile::CANONICAL`](crate::Profile::CANONICAL).
    ProfileName {
        /// The name.
        name: String,
    },
    /// A family's name may have letters, digits, underscores and colons, and must not begin with a digit.
    FamilyName {
        /// The name.
        name: String,
    },
    /// Two mappings have the same name.
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A label's name may have letters, digits and underscores, must not begin with a digit or two underscores, and must
    /// not be `le` or `quantile`.
    LabelName {
        /// The family that would have it.
        family: String,
        /// The name.
        name: String,
    },
    /// The bounds of buckets must be finite and ascending.
    Bounds {
        /// The family that would have them.
        family: String,
    },
    /// A scale must be finite and above zero.
    Scale {
        /// The family that would have it.
        family: String,
        /// The scale.
        scale: f64,
    },
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProfileError::ProfileName { name } => write!(f, "{name:?} cannot be the name of a profile"),
            ProfileError::FamilyName { name } => write!(f, "{name:?} cannot be the name of a metric family"),
            ProfileError::DuplicateName { name } => write!(f, "two mappings of a profile have the name {name}"),
            ProfileError::LabelName { family, name } => write!(f, "{name:?} cannot be a label of {family}"),
            ProfileError::Bounds { family } => write!(f, "the bounds of {family} are not finite and ascending"),
            ProfileError::Scale { family, scale } => write!(f, "{family} cannot be scaled by {scale}"),
        }
    }
}

impl std::error::Error for ProfileError {}
