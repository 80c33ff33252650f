use std::collections::{HashMap, HashSet};

use indexmap::IndexSet;
use indexstore::IndexGraph;
use raw_json::PyString;

/// A tree's struct with what is needed to find the way in it.
#[derive(Debug, Clone)]
pub(crate) struct TreeGraph {
    graph: IndexGraph,
    places: HashMap<PyString, i64>,
    parents: HashMap<PyString, PyString>,
    /// The index of the next node.
    next: i64,
}

/// A change of a tree. Carried out on a tree that others have changed meanwhile, it does what is left to do.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    /// A new node at the end of those below another one, or of those at the top.
    Put { id: PyString, below: Option<PyString> },
    /// Summaries at the end of those below another one, or of those at the top, each above some of them.
    Gather { groups: Vec<(PyString, Vec<PyString>)>, below: Option<PyString> },
}

impl TreeGraph {
    pub(crate) fn new(graph: IndexGraph) -> Self {
        let places = graph.all_nodes.iter().map(|(at, id)| (id.clone(), *at)).collect();
        let children = graph.node_id_to_children_ids.iter();
        let parents = children.flat_map(|(above, ids)| ids.iter().map(|id| (id.clone(), above.clone()))).collect();
        // LlamaIndex takes the number of nodes. Where none was ever taken out, that is the same.
        let next = graph.all_nodes.keys().max().map_or(0, |last| last.saturating_add(1));
        Self { graph, places, parents, next }
    }

    pub(crate) fn into_graph(self) -> IndexGraph {
        self.graph
    }

    pub(crate) fn contains(&self, id: &PyString) -> bool {
        self.places.contains_key(id)
    }

    /// Whether a node stands for others.
    pub(crate) fn is_summary(&self, id: &PyString) -> bool {
        self.graph.node_id_to_children_ids.get(id).is_some_and(|children| !children.is_empty())
    }

    /// The nodes below another one, or at the top, in the order of their indices.
    pub(crate) fn children(&self, of: Option<&PyString>) -> Vec<PyString> {
        let mut children: Vec<PyString> = match of {
            None => self.graph.root_nodes.values().cloned().collect(),
            Some(id) => self.graph.node_id_to_children_ids.get(id).cloned().unwrap_or_default(),
        };
        children.sort_by_key(|id| self.places.get(id));
        children
    }

    /// The nodes above another one, the nearest first.
    pub(crate) fn ancestors(&self, id: &PyString) -> Vec<PyString> {
        let mut found = Vec::new();
        let mut at = id;
        // A damaged struct may have a circle in it.
        while let Some(above) = self.parents.get(at).filter(|_| found.len() < self.places.len()) {
            found.push(above.clone());
            at = above;
        }
        found
    }

    pub(crate) fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Put { id, .. } if self.contains(id) => {}
            Edit::Put { id, below } => {
                self.list(id, Vec::new());
                self.attach(id, below.as_ref());
            }
            Edit::Gather { groups, below } => {
                let mut here: HashSet<PyString> = self.children(below.as_ref()).into_iter().collect();
                let groups: Vec<(&PyString, Vec<PyString>)> = groups
                    .iter()
                    .map(|(summary, of)| (summary, of.iter().filter(|id| here.remove(*id)).cloned().collect()))
                    .filter(|(_, of): &(_, Vec<PyString>)| !of.is_empty())
                    .collect();
                self.detach(groups.iter().flat_map(|(_, of)| of), below.as_ref());
                for (summary, of) in groups {
                    self.parents.extend(of.iter().map(|id| (id.clone(), summary.clone())));
                    self.list(summary, of);
                    self.attach(summary, below.as_ref());
                }
            }
        }
    }

    /// Takes nodes out, and summaries that have nothing below them then. What is below a summary that is taken out moves
    /// up in its place. Returns the summaries that went by themselves.
    pub(crate) fn forget(&mut self, gone: &HashSet<PyString>) -> Vec<PyString> {
        let mut gone: HashSet<PyString> = gone.iter().filter(|id| self.contains(id)).cloned().collect();
        if gone.is_empty() {
            return Vec::new();
        }
        let mut emptied = Vec::new();
        // From the bottom up: whoever has lost all below goes too, and may be all that the one above has.
        let mut touched: IndexSet<PyString> = gone.iter().filter_map(|id| self.parents.get(id).cloned()).collect();
        while let Some(above) = touched.pop() {
            let below = self.graph.node_id_to_children_ids.get(&above);
            if !gone.contains(&above)
                && below.is_some_and(|below| below.iter().all(|id| self.leaves_nothing(id, &gone)))
            {
                touched.extend(self.parents.get(&above).cloned());
                gone.insert(above.clone());
                emptied.push(above);
            }
        }
        let survivors: HashMap<PyString, Vec<PyString>> =
            gone.iter().map(|id| (id.clone(), self.survivors(id, &gone))).collect();
        let in_place = |id: &PyString| survivors.get(id).cloned().unwrap_or_else(|| vec![id.clone()]);
        let mut graph = std::mem::take(&mut self.graph);
        graph.node_id_to_children_ids.retain(|id, _| !gone.contains(id));
        for below in graph.node_id_to_children_ids.values_mut().filter(|below| below.iter().any(|id| gone.contains(id)))
        {
            *below = below.iter().flat_map(in_place).collect();
        }
        let roots = graph.root_nodes.values().flat_map(in_place);
        graph.root_nodes = roots.filter_map(|id| Some((*self.places.get(&id)?, id))).collect();
        graph.all_nodes.retain(|_, id| !gone.contains(id));
        *self = Self::new(graph);
        emptied
    }

    /// Whether nothing is left of a node and of what is below it.
    fn leaves_nothing(&self, id: &PyString, gone: &HashSet<PyString>) -> bool {
        gone.contains(id) && self.survivors(id, gone).is_empty()
    }

    /// The nodes that take the place of one that goes: the nearest below it that stay.
    fn survivors(&self, id: &PyString, gone: &HashSet<PyString>) -> Vec<PyString> {
        let mut found = Vec::new();
        let mut seen = HashSet::from([id.clone()]);
        let mut open: Vec<&PyString> = self.graph.node_id_to_children_ids.get(id).into_iter().flatten().rev().collect();
        while let Some(id) = open.pop().filter(|_| seen.len() <= self.places.len()) {
            if !gone.contains(id) {
                found.push(id.clone());
            } else if seen.insert(id.clone()) {
                open.extend(self.graph.node_id_to_children_ids.get(id).into_iter().flatten().rev());
            }
        }
        found
    }

    fn list(&mut self, id: &PyString, children: Vec<PyString>) {
        self.graph.all_nodes.insert(self.next, id.clone());
        self.places.insert(id.clone(), self.next);
        self.next = self.next.saturating_add(1);
        self.graph.node_id_to_children_ids.insert(id.clone(), children);
    }

    fn attach(&mut self, id: &PyString, below: Option<&PyString>) {
        match below.and_then(|above| Some((above, self.graph.node_id_to_children_ids.get_mut(above)?))) {
            Some((above, children)) => {
                children.push(id.clone());
                self.parents.insert(id.clone(), above.clone());
            }
            None => {
                let at = self.places.get(id).copied().unwrap_or_default();
                self.graph.root_nodes.insert(at, id.clone());
            }
        }
    }

    fn detach<'a>(&mut self, ids: impl Iterator<Item = &'a PyString>, below: Option<&PyString>) {
        let ids: HashSet<&PyString> = ids.collect();
        match below {
            None => self.graph.root_nodes.retain(|_, id| !ids.contains(id)),
            Some(above) => {
                if let Some(children) = self.graph.node_id_to_children_ids.get_mut(above) {
                    children.retain(|id| !ids.contains(id));
                }
            }
        }
    }
}
