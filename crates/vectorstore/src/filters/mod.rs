//! Which metadata nodes must have: LlamaIndex's filters, and groups of them to any depth.

mod build;
mod json;
mod matching;
mod value;

use std::fmt;

use raw_json::PyString;

pub use build::{Field, field};
pub use matching::Mismatch;
pub use value::FilterValue;

/// A group of filters and how they combine.
///
/// Groups nest; LlamaIndex's own stores refuse groups in groups. A group without filters lets every node pass, whatever
/// its condition. [`field`] builds filters in Rust, [`from_value`](Self::from_value) reads LlamaIndex's JSON.
///
/// What each filter does with each kind of metadata is written down in a table, `docs/filters.md`, which every store is
/// tested with.
///
/// ```
/// use raw_json::RawJson;
/// use vectorstore::{MetadataFilters, field};
///
/// let built = MetadataFilters::from(field("year").ge(2023) & !field("lang").eq("de"));
/// assert_eq!(built.to_string(), r#"year >= 2023 and not lang == "de""#);
///
/// let json: RawJson = r#"{
///     "filters": [
///         {"key": "year", "value": 2023, "operator": ">="},
///         {"filters": [{"key": "lang", "value": "de"}], "condition": "not"}
///     ],
///     "condition": "and"
/// }"#.parse()?;
/// assert_eq!(MetadataFilters::from_value(&json.value())?, built);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetadataFilters {
    /// The filters.
    pub filters: Vec<Filter>,
    /// How they combine.
    pub condition: FilterCondition,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// A condition on one key of the metadata.
    Field(MetadataFilter),
    /// A group of its own.
    Group(MetadataFilters),
}

/// A condition on one key of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataFilter {
    /// The key, at the top level of the metadata. Dots in it have no meaning.
    pub key: PyString,
    /// What the metadata is compared with. [`FilterOperator::IsEmpty`] has no use for it.
    pub value: FilterValue,
    /// How it is compared.
    pub operator: FilterOperator,
}

/// How the filters of a group combine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FilterCondition {
    /// All must match.
    #[default]
    And,
    /// One must match.
    Or,
    /// None may match.
    Not,
}

/// How metadata is compared with a filter's value. `m` stands for the metadata below, `v` for the value.
///
/// Where the metadata is missing or `null`, only [`Ne`](Self::Ne), [`Nin`](Self::Nin) and [`IsEmpty`](Self::IsEmpty)
/// match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FilterOperator {
    /// `==`: `m` equals `v`, as Python compares: `1`, `1.0` and `true` are equal, strings and numbers never.
    #[default]
    Eq,
    /// `>`: `m` is greater. Both are numbers, or both strings (by code point), or both lists.
    Gt,
    /// `<`: `m` is less.
    Lt,
    /// `!=`: `m` does not equal `v`, or is missing.
    Ne,
    /// `>=`: `m` is greater or equal.
    Gte,
    /// `<=`: `m` is less or equal.
    Lte,
    /// `in`: `v` is a list with `m` in it, or a string with `m` as a part.
    In,
    /// `nin`: the opposite, or `m` is missing.
    Nin,
    /// `any`: one item of the list `v` is in `m`, as [`Contains`](Self::Contains) would tell.
    Any,
    /// `all`: every item of the list `v` is in `m`.
    All,
    /// `text_match`: `m` is a string with the string `v` as a part.
    TextMatch,
    /// `text_match_insensitive`: the same in lower case.
    TextMatchInsensitive,
    /// `contains`: `m` is a list with `v` in it, a string with `v` as a part, or an object with `v` as a key.
    Contains,
    /// `is_empty`: `m` is missing, `null`, `""` or `[]`.
    IsEmpty,
}

impl MetadataFilters {
    /// Filters that must all match.
    pub fn all(filters: impl IntoIterator<Item = Filter>) -> Self {
        Self { filters: filters.into_iter().collect(), condition: FilterCondition::And }
    }

    /// Whether it holds no filter, in no group either, and so lets every node pass.
    pub fn is_empty(&self) -> bool {
        self.fields().next().is_none()
    }

    /// The conditions in it and in its groups, in order.
    pub fn fields(&self) -> impl Iterator<Item = &MetadataFilter> {
        let mut todo = vec![self.filters.iter()];
        std::iter::from_fn(move || {
            loop {
                match todo.last_mut()?.next() {
                    None => drop(todo.pop()),
                    Some(Filter::Field(filter)) => return Some(filter),
                    Some(Filter::Group(group)) => todo.push(group.filters.iter()),
                }
            }
        })
    }
}

impl FilterCondition {
    /// Every condition.
    pub const ALL: [Self; 3] = [Self::And, Self::Or, Self::Not];

    /// LlamaIndex's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
            Self::Not => "not",
        }
    }
}

impl FilterOperator {
    /// Every operator.
    pub const ALL: [Self; 14] = [
        Self::Eq,
        Self::Gt,
        Self::Lt,
        Self::Ne,
        Self::Gte,
        Self::Lte,
        Self::In,
        Self::Nin,
        Self::Any,
        Self::All,
        Self::TextMatch,
        Self::TextMatchInsensitive,
        Self::Contains,
        Self::IsEmpty,
    ];

    /// LlamaIndex's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Gt => ">",
            Self::Lt => "<",
            Self::Ne => "!=",
            Self::Gte => ">=",
            Self::Lte => "<=",
            Self::In => "in",
            Self::Nin => "nin",
            Self::Any => "any",
            Self::All => "all",
            Self::TextMatch => "text_match",
            Self::TextMatchInsensitive => "text_match_insensitive",
            Self::Contains => "contains",
            Self::IsEmpty => "is_empty",
        }
    }
}

/// As one would write it down: `year >= 2023 and not lang == "de"`.
impl fmt::Display for MetadataFilters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.filters.is_empty() {
            return f.write_str("anything");
        }
        let negated = self.condition == FilterCondition::Not;
        let brackets = negated && self.filters.len() > 1;
        f.write_str(if negated { "not " } else { "" })?;
        f.write_str(if brackets { "(" } else { "" })?;
        for (i, filter) in self.filters.iter().enumerate() {
            if i > 0 {
                f.write_str(if self.condition == FilterCondition::And { " and " } else { " or " })?;
            }
            match filter {
                Filter::Group(group) if group.filters.len() > 1 && group.condition != FilterCondition::Not => {
                    write!(f, "({group})")?;
                }
                Filter::Group(group) => write!(f, "{group}")?,
                Filter::Field(filter) => write!(f, "{filter}")?,
            }
        }
        f.write_str(if brackets { ")" } else { "" })
    }
}

/// As one would write it down: `year >= 2023`.
impl fmt::Display for MetadataFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.operator.name())?;
        if self.operator == FilterOperator::IsEmpty { Ok(()) } else { write!(f, " {}", self.value) }
    }
}

impl From<MetadataFilter> for Filter {
    fn from(filter: MetadataFilter) -> Self {
        Self::Field(filter)
    }
}

impl From<MetadataFilters> for Filter {
    fn from(group: MetadataFilters) -> Self {
        Self::Group(group)
    }
}

impl From<Filter> for MetadataFilters {
    fn from(filter: Filter) -> Self {
        match filter {
            Filter::Group(group) => group,
            field => Self::all([field]),
        }
    }
}
