use std::fmt;

/// How similar two embeddings are. Greater is closer, under each of them.
///
/// An embedding of zeros has no direction: under none of them does it come before others, nor does one that cannot be
/// compared because its numbers are not finite or too large.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SimilarityMode {
    /// The cosine of the angle between them, from -1 to 1.
    #[default]
    Cosine,
    /// Their scalar product.
    DotProduct,
    /// The distance between them, with a minus.
    Euclidean,
}

impl SimilarityMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Cosine, Self::DotProduct, Self::Euclidean];

    /// LlamaIndex's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::DotProduct => "dot_product",
            Self::Euclidean => "euclidean",
        }
    }
}

/// LlamaIndex's name.
impl fmt::Display for SimilarityMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
