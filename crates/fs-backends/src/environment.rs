use std::collections::HashMap;
#[cfg(feature = "s3")]
use std::path::PathBuf;

/// The environment variables that settings are taken from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Environment {
    /// Those of this process.
    Process,
    /// These.
    Given(HashMap<String, String>),
}

impl Environment {
    /// No variables.
    pub(crate) fn none() -> Self {
        Self::Given(HashMap::new())
    }

    /// The value of a variable; an empty one counts as unset, as it does for the services' own programs.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = match self {
            Self::Process => std::env::var(name).ok(),
            Self::Given(variables) => variables.get(name).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The value of the first of these variables that is set.
    #[cfg(any(feature = "azblob", feature = "s3"))]
    pub(crate) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// The user's own folder.
    #[cfg(feature = "s3")]
    pub(crate) fn home(&self) -> Option<PathBuf> {
        match self {
            Self::Process => std::env::home_dir(),
            Self::Given(_) => self.get("HOME").map(PathBuf::from),
        }
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self::Given(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
