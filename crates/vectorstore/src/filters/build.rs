use std::ops::{BitAnd, BitOr, Not};

use raw_json::PyString;

use super::{Filter, FilterCondition, FilterOperator, FilterValue, MetadataFilter, MetadataFilters};

/// Starts a filter on a key of the metadata; [`Field`] has a method for each operator.
///
/// Filters combine with `&`, `|` and `!`:
///
/// ```
/// use vectorstore::field;
///
/// let filter = field("year").ge(2023) & (field("tags").contains("rust") | !field("lang").eq("de"));
/// ```
pub fn field(key: impl Into<PyString>) -> Field {
    Field(key.into())
}

/// A key of the metadata, about to be compared with something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field(PyString);

macro_rules! operators {
    ($($(#[$doc:meta])* $name:ident $operator:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(self, value: impl Into<FilterValue>) -> Filter {
            self.filter(FilterOperator::$operator, value.into())
        })*
    };
}

impl Field {
    operators! {
        /// The metadata equals the value.
        eq Eq;
        /// The metadata does not equal the value, or is missing.
        ne Ne;
        /// The metadata is greater than the value.
        gt Gt;
        /// The metadata is less than the value.
        lt Lt;
        /// The metadata is greater than the value, or equals it.
        ge Gte;
        /// The metadata is less than the value, or equals it.
        le Lte;
        /// The metadata is one of a list's items, or a part of a string.
        is_in In;
        /// The metadata is none of a list's items, or no part of a string, or is missing.
        not_in Nin;
        /// The metadata contains one of a list's items.
        contains_any Any;
        /// The metadata contains every one of a list's items.
        contains_all All;
        /// The metadata is a list with this item, a string with this part, or an object with this key.
        contains Contains;
        /// The metadata is a string with this part.
        text_match TextMatch;
        /// The metadata is a string with this part, upper and lower case being the same.
        text_match_insensitive TextMatchInsensitive;
    }

    /// The metadata is missing, `null`, an empty string or an empty list.
    pub fn is_empty(self) -> Filter {
        self.filter(FilterOperator::IsEmpty, FilterValue::NULL)
    }

    fn filter(self, operator: FilterOperator, value: FilterValue) -> Filter {
        Filter::Field(MetadataFilter { key: self.0, value, operator })
    }
}

impl Filter {
    /// Both together in one group, which is the left one's if that is of the same condition.
    fn join(self, condition: FilterCondition, other: Self) -> Self {
        let mut group = match self {
            Self::Group(group) if group.condition == condition && !group.filters.is_empty() => group,
            first => MetadataFilters { filters: vec![first], condition },
        };
        group.filters.push(other);
        Self::Group(group)
    }
}

/// Both must match.
impl BitAnd for Filter {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        self.join(FilterCondition::And, other)
    }
}

/// One must match.
impl BitOr for Filter {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.join(FilterCondition::Or, other)
    }
}

/// It may not match. Two of them cancel each other.
impl Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Group(MetadataFilters { mut filters, condition: FilterCondition::Not }) if filters.len() == 1 => {
                filters.remove(0)
            }
            other => Self::Group(MetadataFilters { filters: vec![other], condition: FilterCondition::Not }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: Filter, expected: &str) {
        assert_eq!(MetadataFilters::from(filter).to_string(), expected);
    }

    #[test]
    fn filters_combine_as_they_are_written() {
        let [a, b, c] = ["a", "b", "c"].map(|key| field(key).eq(1));
        check(a.clone(), "a == 1");
        check(a.clone() & b.clone() & c.clone(), "a == 1 and b == 1 and c == 1");
        check(a.clone() | b.clone() & c.clone(), "a == 1 or (b == 1 and c == 1)");
        check((a.clone() | b.clone()) & c, "(a == 1 or b == 1) and c == 1");
        check(!a.clone() & !b.clone(), "not a == 1 and not b == 1");
        check(!(a.clone() | b.clone()), "not (a == 1 or b == 1)");
        check(!!a.clone(), "a == 1");
        check(!(a & !b), "not (a == 1 and not b == 1)");
        check(field("x").is_in(["p", "q"]), r#"x in ["p", "q"]"#);
        check(field("x").is_empty(), "x is_empty");
        assert_eq!(MetadataFilters::default().to_string(), "anything");
    }

    #[test]
    fn a_group_that_was_given_stays_one() {
        let group = field("a").eq(1) | field("b").eq(2);
        let MetadataFilters { filters, condition } = group.into();
        assert_eq!((filters.len(), condition), (2, FilterCondition::Or));
    }
}
