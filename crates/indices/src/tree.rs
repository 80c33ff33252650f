use std::collections::{HashMap, HashSet};

use indexmap::{IndexMap, IndexSet};
use indexstore::{IndexGraph, IndexStructData};
use raw_json::PyString;
use schema::{MetadataMode, Node, NodeContent, TextContent};

use crate::graph_change::GraphChange;
use crate::insertion::{Insertion, ids};
use crate::tree_graph::{Edit, TreeGraph};
use crate::{Error, IndexBuilder, IndexHandle, Llm, Result, TreeIndex, summarize};

/// What the language model is asked of each group of nodes.
const QUESTION: &str = "Summarize this, with as many of its key details as possible.";

/// How much of each summary the language model is shown when it is asked which is the fitting one.
const EXCERPT: usize = 1_000;

/// How trees are built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TreeSettings {
    num_children: usize,
    build_tree: bool,
}

impl Default for TreeSettings {
    fn default() -> Self {
        Self { num_children: 10, build_tree: true }
    }
}

impl IndexBuilder<TreeIndex> {
    /// How many nodes a summary stands for at most, and how many there are at the top; 10 by default, and at least 2.
    #[must_use]
    pub fn num_children(mut self, n: usize) -> Self {
        self.settings.tree.num_children = n.max(2);
        self
    }

    /// Whether nodes are summarized at all; they are by default. A tree that is not built finds all its leaves only.
    #[must_use]
    pub fn build_tree(mut self, build: bool) -> Self {
        self.settings.tree.build_tree = build;
        self
    }
}

impl TreeIndex {
    /// Says how many nodes are inserted under a summary at most; 10 by default, and at least 2.
    #[must_use]
    pub fn with_num_children(self, n: usize) -> Self {
        let mut handle = (*self).clone();
        handle.settings.tree.num_children = n.max(2);
        crate::IndexKind::from_handle(handle)
    }
}

/// A tree as it will be after what is planned so far.
#[derive(Debug)]
pub(crate) struct Planting {
    tree: TreeGraph,
    /// Nodes that are not stored so far, or not so.
    nodes: HashMap<PyString, Node>,
}

/// What one plan adds to a tree.
#[derive(Debug, Default)]
struct Growth {
    edits: Vec<Edit>,
    summaries: IndexMap<PyString, Node>,
    /// The nodes whose summaries no longer say what is below them.
    stale: IndexSet<PyString>,
}

impl Planting {
    pub(crate) fn new(data: &IndexStructData) -> Self {
        let graph = if let IndexStructData::Tree(graph) = data { graph.clone() } else { IndexGraph::default() };
        Self { tree: TreeGraph::new(graph), nodes: HashMap::new() }
    }

    /// The nodes are the leaves. As long as there are too many at the top, groups of them get a summary by the language
    /// model, which takes their place.
    pub(crate) async fn build(&mut self, index: &IndexHandle, leaves: &[Node]) -> Result<Insertion> {
        let mut growth = Growth::default();
        let mut level = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            if !self.tree.contains(&leaf.id) {
                level.push(leaf.id.clone());
                self.grow(&mut growth, Edit::Put { id: leaf.id.clone(), below: None });
            }
            self.nodes.insert(leaf.id.clone(), leaf.clone());
        }
        let TreeSettings { num_children, build_tree } = index.settings.tree;
        while build_tree && level.len() > num_children {
            let groups = level.chunks(num_children).map(<[PyString]>::to_vec).collect();
            level = self.gather(index, &mut growth, groups, None).await?;
        }
        finish(index, leaves, growth, build_tree)
    }

    /// Nodes go to the leaves under the summaries that the language model takes for the fitting ones. Where there are
    /// too many then, two summaries take their place. What is gone is gone before, and all summaries above what has
    /// changed are made anew. (LlamaIndex makes them too, and does not store them.)
    pub(crate) async fn insert(
        &mut self,
        index: &IndexHandle,
        leaves: &[Node],
        gone: &HashSet<PyString>,
    ) -> Result<Insertion> {
        let mut growth = Growth::default();
        for id in gone {
            growth.stale.extend(self.tree.ancestors(id));
        }
        self.tree.forget(gone);
        growth.stale.retain(|id| self.tree.contains(id));
        for leaf in leaves {
            self.nodes.insert(leaf.id.clone(), leaf.clone());
            let known = self.tree.contains(&leaf.id);
            let below = if known { None } else { self.choose(index, leaf).await? };
            if !known {
                self.grow(&mut growth, Edit::Put { id: leaf.id.clone(), below: below.clone() });
            }
            growth.stale.extend(self.tree.ancestors(&leaf.id));
            if !known {
                self.divide(index, &mut growth, below.as_ref()).await?;
            }
        }
        self.renew(index, &mut growth).await?;
        finish(index, leaves, growth, true)
    }

    /// The summary that a node belongs below, or `None` for the top.
    async fn choose(&self, index: &IndexHandle, leaf: &Node) -> Result<Option<PyString>> {
        let mut below = None;
        // A damaged struct may have a circle in it.
        let mut seen = HashSet::new();
        loop {
            let choices = self.tree.children(below.as_ref());
            if !choices.first().is_some_and(|first| self.tree.is_summary(first)) {
                return Ok(below);
            }
            let llm = index.llm(|| "to choose the summary with that a new node belongs below".to_owned())?;
            let prompt = choosing_prompt(llm, &self.texts(index, &choices).await?, &text(leaf)?)?;
            let answer = summarize::complete(llm, &prompt).await?;
            let chosen =
                number(&answer).and_then(|n| choices.get(n.checked_sub(1)?)).filter(|id| seen.insert((*id).clone()));
            match chosen {
                Some(chosen) => below = Some(chosen.clone()),
                // No answer, or none that makes sense.
                None => return Ok(below),
            }
        }
    }

    /// Puts two summaries over the halves of what is below a node, if that is too much.
    async fn divide(&mut self, index: &IndexHandle, growth: &mut Growth, below: Option<&PyString>) -> Result<()> {
        let children = self.tree.children(below);
        if children.len() > index.settings.tree.num_children {
            let (first, second) = children.split_at(children.len() / 2);
            self.gather(index, growth, vec![first.to_vec(), second.to_vec()], below).await?;
        }
        Ok(())
    }

    /// Puts a summary over each group of nodes, and returns the summaries' ids.
    async fn gather(
        &mut self,
        index: &IndexHandle,
        growth: &mut Growth,
        groups: Vec<Vec<PyString>>,
        below: Option<&PyString>,
    ) -> Result<Vec<PyString>> {
        let mut summaries = Vec::with_capacity(groups.len());
        for group in &groups {
            let summary = Node::text(self.summarize(index, group).await?);
            summaries.push(summary.id.clone());
            self.nodes.insert(summary.id.clone(), summary.clone());
            growth.summaries.insert(summary.id.clone(), summary);
        }
        let groups = summaries.iter().cloned().zip(groups).collect();
        self.grow(growth, Edit::Gather { groups, below: below.cloned() });
        Ok(summaries)
    }

    /// Makes stale summaries anew, those below first.
    async fn renew(&mut self, index: &IndexHandle, growth: &mut Growth) -> Result<()> {
        let mut stale: Vec<(usize, PyString)> = Vec::new();
        for id in std::mem::take(&mut growth.stale) {
            stale.push((self.tree.ancestors(&id).len(), id));
        }
        stale.sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
        for (_, id) in stale {
            let text = self.summarize(index, &self.tree.children(Some(&id))).await?;
            let old = self.get(index, std::slice::from_ref(&id)).await?.remove(0);
            let text = match old.content {
                NodeContent::Text(old) => TextContent { text: text.into(), ..old },
                _ => TextContent::new(text),
            };
            let renewed = Node { content: NodeContent::Text(text), embedding: None, ..old };
            self.nodes.insert(id.clone(), renewed.clone());
            growth.summaries.insert(id, renewed);
        }
        Ok(())
    }

    async fn summarize(&self, index: &IndexHandle, ids: &[PyString]) -> Result<String> {
        let llm = index.llm(|| "to summarize nodes with".to_owned())?;
        summarize::summarize(llm, QUESTION, self.texts(index, ids).await?).await
    }

    /// What language models see of nodes.
    async fn texts(&self, index: &IndexHandle, ids: &[PyString]) -> Result<Vec<String>> {
        self.get(index, ids).await?.iter().map(text).collect()
    }

    async fn get(&self, index: &IndexHandle, ids: &[PyString]) -> Result<Vec<Node>> {
        let stored: Vec<PyString> = ids.iter().filter(|id| !self.nodes.contains_key(*id)).cloned().collect();
        let mut stored = index.fetch(&stored).await?.into_iter();
        let missing = |id: &PyString| Error::MissingNodes { id: index.index_id(), missing: vec![id.clone()] };
        ids.iter().map(|id| self.nodes.get(id).cloned().or_else(|| stored.next()).ok_or_else(|| missing(id))).collect()
    }

    fn grow(&mut self, growth: &mut Growth, edit: Edit) {
        self.tree.edit(&edit);
        growth.edits.push(edit);
    }
}

fn finish(index: &IndexHandle, leaves: &[Node], growth: Growth, rooted: bool) -> Result<Insertion> {
    let summaries: Vec<Node> = growth.summaries.into_values().collect();
    let edits = growth.edits;
    Ok(Insertion {
        ids: ids(leaves).into_iter().chain(ids(&summaries)).collect(),
        rows: Vec::new(),
        documents: index.prepare(leaves, false)?,
        summaries: Some(index.prepare(&summaries, false)?),
        change: Box::new(move |data, _| {
            if let IndexStructData::Tree(known) = data {
                let mut tree = TreeGraph::new(std::mem::take(known));
                edits.iter().for_each(|edit| tree.edit(edit));
                *known = tree.into_graph();
                if !rooted {
                    known.root_nodes.clear();
                }
            }
        }),
        identity: None,
        graph: GraphChange::None,
    })
}

fn text(node: &Node) -> Result<String> {
    Ok(node.get_content(MetadataMode::Llm)?.to_string_lossy().into_owned())
}

/// Asks which summary fits a new text best. All of them get as much room as the text, which is shown as far as it fits.
fn choosing_prompt(llm: &dyn Llm, summaries: &[String], text: &str) -> Result<String> {
    let prompt = |list: &str, text: &str| {
        format!(
            "These are numbered summaries:\n\n{list}Which of them fits this new text best?\n\n{text}\n\n\
             Answer with its number alone.\nNumber:"
        )
    };
    let share = summarize::room(llm, &prompt("", ""))? / (summaries.len() + 1);
    let mut list = String::new();
    for (summary, n) in summaries.iter().zip(1..) {
        let excerpt: String = summary.chars().take(EXCERPT).collect();
        let (before, after) = (format!("({n}) "), "\n\n");
        let fitting = summarize::fitting(&excerpt, share.saturating_sub(before.len() + after.len()));
        list.extend([&before, excerpt[..fitting].trim(), after]);
    }
    let pieces = summarize::pieces(llm, &prompt(&list, ""), text)?;
    Ok(prompt(&list, pieces[0]))
}

/// The first number in an answer.
fn number(answer: &str) -> Option<usize> {
    let digits = answer.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())].parse().ok()
}
