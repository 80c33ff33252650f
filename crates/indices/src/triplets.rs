use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use graphstore::Triplet;
use raw_json::is_space;

use crate::capitalize::capitalize;
use crate::{Llm, ModelError, summarize};

/// How many triplets are found in a node if nothing else is said.
pub(crate) const TRIPLETS_PER_NODE: usize = 10;

/// A longer name is taken for a misunderstanding; in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Finds in a text who is related to whom, and how.
#[async_trait]
pub trait TripletExtractor: fmt::Debug + Send + Sync + 'static {
    /// The triplets in what language models see of a node.
    ///
    /// # Errors
    /// If it fails, for whatever reason.
    async fn extract(&self, text: &str) -> Result<Vec<Triplet>, ModelError>;
}

/// A function that finds triplets.
///
/// ```
/// use graphstore::Triplet;
/// use indices::{TripletExtractor, TripletFn};
///
/// let carries = TripletFn(|text: &str| match text.split_once(" carry ") {
///     Some((who, what)) => vec![Triplet::new(who, "carry", what)],
///     None => Vec::new(),
/// });
/// # pollster::block_on(async {
/// let found = carries.extract("Llamas carry maize").await?;
/// assert_eq!(found[0].to_string(), "Llamas -> carry -> maize");
/// # Ok::<(), indices::ModelError>(())
/// # }).unwrap();
/// ```
pub struct TripletFn<F>(pub F);

impl<F> fmt::Debug for TripletFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TripletFn")
    }
}

#[async_trait]
impl<F: Fn(&str) -> Vec<Triplet> + Send + Sync + 'static> TripletExtractor for TripletFn<F> {
    async fn extract(&self, text: &str) -> Result<Vec<Triplet>, ModelError> {
        Ok((self.0)(text))
    }
}

/// Asks a language model for triplets.
///
/// Of its answer each line counts that has three names in parentheses, `(subject, relation, object)`, none of them
/// empty or longer than 128 bytes. As in LlamaIndex names begin with a capital letter and have no others, so that one
/// thing has one name, and lose the quotes around them. Of a text that is too long for the model each piece is asked about.
#[derive(Debug, Clone)]
pub struct LlmTripletExtractor {
    llm: Arc<dyn Llm>,
    max: usize,
}

impl LlmTripletExtractor {
    /// Asks this model, for 10 triplets a node.
    pub fn new(llm: impl Llm) -> Self {
        Self { llm: Arc::new(llm), max: TRIPLETS_PER_NODE }
    }

    /// How many triplets the model is asked for. What it answers beyond counts too.
    #[must_use]
    pub fn max_triplets(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    fn prompt(&self, text: &str) -> String {
        format!(
            "Say what the text below states, as at most {max} facts. Write each fact on a line of its own, as three \
             names in parentheses: (subject, relation, object). Leave out words such as 'the', and facts that need more \
             than three names.\n\n\
             Text: Llamas are kept by Rosa, who lives in Cusco.\n\
             (Rosa, keeps, llamas)\n\
             (Rosa, lives in, Cusco)\n\n\
             Text: {text}\n",
            max = self.max
        )
    }
}

#[async_trait]
impl TripletExtractor for LlmTripletExtractor {
    async fn extract(&self, text: &str) -> Result<Vec<Triplet>, ModelError> {
        let mut found = Vec::new();
        for piece in summarize::pieces(&*self.llm, &self.prompt(""), text)? {
            found.extend(parse(&self.llm.complete(&self.prompt(piece)).await?));
        }
        Ok(found)
    }
}

/// The triplets in an answer, by LlamaIndex's rules.
fn parse(answer: &str) -> Vec<Triplet> {
    answer.split('\n').filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Triplet> {
    let (open, close) = (line.find('(')?, line.find(')')?);
    let names: Vec<&str> = line.get(open + 1..close)?.split(',').collect();
    let [subject, relation, object] = <[&str; 3]>::try_from(names).ok()?;
    let name = |name: &str| {
        let stripped = name.trim_matches(|c| is_space(u32::from(c)));
        let fits = name.len() <= NAME_BYTES_MAX && !stripped.is_empty();
        fits.then(|| capitalize(stripped.trim_matches('"')))
    };
    Some(Triplet::new(name(subject)?, name(relation)?, name(object)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expected: &[&str]) {
        let found: Vec<String> = parse(answer).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{answer}");
    }

    #[test]
    fn lines_with_three_names_are_triplets() {
        check(
            "(rosa, LIVES in, Cusco)\n1. (\"Llama\", \"eats\", \"ichu\" ) indeed",
            &["Rosa -> Lives in -> Cusco", "Llama -> Eats -> Ichu"],
        );
        check("(a,b,c)(d,e,f)", &["A -> B -> C"]);
        check("((a,b,c)", &["(a -> B -> C"]);
        check("(\u{1f}a\u{a0}, b ,c\r)", &["A -> B -> C"]);
        check("(\"\", b, c)", &[" -> B -> C"]);
    }

    #[test]
    fn other_lines_are_none() {
        for answer in ["", "a, b, c", ")a, b, c(", "(a, b", "(a, b)", "(a, b, c, d)", "(a, , c)", "()", "(a,\nb, c)"] {
            check(answer, &[]);
        }
        check(&format!("({}, b, c)", "x".repeat(128)), &[&format!("X{} -> B -> C", "x".repeat(127))]);
        check(&format!("({}, b, c)", "x".repeat(129)), &[]);
        check(&format!("({}, b, c)", "\u{e9}".repeat(65)), &[]);
    }
}
