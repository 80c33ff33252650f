use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexSet;
use persist::{Revision, StoreFile};
use raw_json::{Dialect, Error as JsonError, JsonWriter, Kind, Object, PyString, RawJson, Scanner, Text, Value};

use crate::TopLevel;
use crate::ordered::Ordered;
use crate::pairs::{Pair, Pairs, pair};
use crate::{DEFAULT_LIMIT, Error, GraphSchema, GraphStore, RelMap, Result, Triplet};

const GRAPH_DICT: &str = "graph_dict";

/// A longer path is taken to have no end.
const STEPS_MAX: usize = 1_000_000;

/// LlamaIndex's graph store in memory, the content of `graph_store.json`.
///
/// A clone is another handle on the same data. Reading takes a snapshot: it waits at most for the change that is being
/// made, and no change waits for it. Subjects and what stands under them keep the order of insertion.
///
/// ```
/// use graphstore::SimpleGraphStore;
///
/// let graph = SimpleGraphStore::new();
/// graph.upsert_triplet("Ada", "knows", "Charles");
/// graph.upsert_triplet("Charles", "built", "Engine");
/// let around = graph.get_rel_map(Some(&["Ada".into()]), 2, 30)?;
/// let texts: Vec<String> = around[0].iter().map(|triplet| triplet.to_string()).collect();
/// assert_eq!(texts, ["Ada -> knows -> Charles", "Charles -> built -> Engine"]);
/// # Ok::<(), graphstore::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct SimpleGraphStore {
    state: Arc<RwLock<Arc<State>>>,
}

#[derive(Debug, Clone)]
struct State {
    subjects: Ordered<PyString, Pairs>,
    top: TopLevel,
    /// The file it was loaded from, while nothing has changed.
    original: Option<Bytes>,
    revision: Revision,
}

impl Default for State {
    fn default() -> Self {
        Self {
            subjects: Ordered::default(),
            top: [(GRAPH_DICT.into(), None)].into(),
            original: None,
            revision: Revision::next(),
        }
    }
}

impl SimpleGraphStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a dumped graph store: `graph_dict` with a list of lists for each subject. Without that key the store is
    /// empty; other keys are kept. Takes time in proportion to the text; what stands in the lists is not looked at.
    ///
    /// Python takes strings and numbers apart that stand in place of a list; here they are errors.
    ///
    /// # Errors
    /// [`Error::DamagedGraph`] if the text is not JSON or not of this form.
    pub fn from_text(text: &Text) -> Result<Self> {
        Ok(State::load(text)?.into())
    }

    /// A store with this content, LlamaIndex's `from_dict`.
    ///
    /// # Errors
    /// As [`from_text`](Self::from_text); places are those in the text that the value becomes.
    pub fn from_dict(dict: &Value) -> Result<Self> {
        let mut state = State::load(&RawJson::from(dict).text())?;
        state.original = None;
        Ok(state.into())
    }

    /// The whole content, LlamaIndex's `to_dict`, with everything a loaded file had.
    pub fn to_dict(&self) -> Value {
        let state = self.snapshot();
        let top = state.top.iter().map(|(key, raw)| match raw {
            Some(raw) => (key.clone(), raw.value()),
            None => {
                let subjects = state.subjects.iter().map(|(_, subject, pairs)| (subject.clone(), pairs.value()));
                (key.clone(), Value::Object(subjects.collect()))
            }
        });
        Value::Object(top.collect::<Object>())
    }

    /// The state as a file: the one that was loaded, byte for byte, while nothing has changed.
    pub fn store_file(&self) -> StoreFile {
        let state = self.snapshot();
        StoreFile::new(state.original.clone(), state.revision, move |out| {
            let mut json = JsonWriter::new(out, Dialect::Ascii);
            state.write(&mut json)?;
            json.finish().map(drop)
        })
    }

    /// The relations and objects of a subject, in order; empty if it has none. What is no string is shown as Python's
    /// `str` shows it; entries that are no pairs, which only files made by hand have, are passed over.
    pub fn get(&self, subj: impl Into<PyString>) -> Vec<(PyString, PyString)> {
        self.snapshot().subjects.get(&subj.into()).map(Pairs::pairs).unwrap_or_default()
    }

    /// The triplets within `depth` steps of each subject, `limit` altogether; all subjects for `None`.
    ///
    /// The paths from a subject are followed depth first, in order: the first `limit` triplets of the subject itself,
    /// and 30 of each object on the way. Cycles are not noticed, so triplets repeat. The list with which the total
    /// would exceed `limit` is cut, and the subjects behind it are left out. A subject that has no triplets, or is not
    /// there, has an empty list. This is LlamaIndex's algorithm; only what `limit` lets through is computed.
    ///
    /// # Errors
    /// [`Error::NotAPair`] if an entry that is needed is no pair of a relation and an object, and [`Error::Endless`] for
    /// a path of 1,000,000 steps, where LlamaIndex fails after some 1,000.
    pub fn get_rel_map(&self, subjs: Option<&[PyString]>, depth: usize, limit: usize) -> Result<RelMap> {
        let state = self.snapshot();
        let subjs: IndexSet<PyString> = match subjs {
            Some(subjs) => subjs.iter().cloned().collect(),
            None => state.subjects.iter().map(|(_, subject, _)| subject.clone()).collect(),
        };
        let mut rel_map = RelMap::new();
        let mut left = limit;
        for subj in subjs {
            let mut found = state.expand(&subj, depth, limit, left.saturating_add(1))?;
            let cut = found.len() > left;
            found.truncate(left);
            left -= found.len();
            rel_map.insert(subj, found);
            if cut {
                break;
            }
        }
        Ok(rel_map)
    }

    /// Appends a triplet, unless it is there.
    pub fn upsert_triplet(&self, subj: impl Into<PyString>, rel: impl Into<PyString>, obj: impl Into<PyString>) {
        self.upsert_triplets([Triplet::new(subj, rel, obj)]);
    }

    /// Appends triplets in their order, except those that are there. They are seen together.
    pub fn upsert_triplets(&self, triplets: impl IntoIterator<Item = Triplet>) {
        let mut guard = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for Triplet { subject, relation, object } in triplets {
            let pair = (relation, object);
            if guard.has(&subject, &pair) {
                continue;
            }
            let state = Arc::make_mut(&mut guard);
            state.original = None;
            state.revision = Revision::next();
            match state.subjects.get_mut(&subject) {
                Some(pairs) => pairs.push(pair),
                None => {
                    let mut pairs = Pairs::new();
                    pairs.push(pair);
                    state.subjects.insert(subject, pairs);
                }
            }
        }
    }

    /// Removes a triplet, as often as it is there (old versions wrote duplicates), and tells whether it was. A subject
    /// that has nothing left is removed.
    ///
    /// LlamaIndex's own `delete` never removes anything.
    pub fn delete(&self, subj: impl Into<PyString>, rel: impl Into<PyString>, obj: impl Into<PyString>) -> bool {
        let (subj, pair) = (subj.into(), (rel.into(), obj.into()));
        let mut guard = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if !guard.has(&subj, &pair) {
            return false;
        }
        let state = Arc::make_mut(&mut guard);
        state.original = None;
        state.revision = Revision::next();
        let emptied = state.subjects.get_mut(&subj).is_some_and(|pairs| {
            pairs.remove(&pair);
            pairs.is_empty()
        });
        if emptied {
            state.subjects.remove(&subj);
        }
        true
    }

    /// How many triplets there are of each relation, in order of first appearance. Looks at all of them; entries that
    /// are no pairs are passed over.
    ///
    /// LlamaIndex does not have it for this store.
    pub fn get_schema(&self) -> GraphSchema {
        let mut schema = GraphSchema::default();
        for triplet in self.triplets() {
            *schema.relations.entry(triplet.relation).or_default() += 1;
        }
        schema
    }

    /// All subjects, in order.
    pub fn subjects(&self) -> Vec<PyString> {
        self.snapshot().subjects.iter().map(|(_, subject, _)| subject.clone()).collect()
    }

    /// All triplets, in order, as they are now: what is changed during the iteration is not seen.
    pub fn triplets(&self) -> impl Iterator<Item = Triplet> + use<> {
        let state = self.snapshot();
        let mut next = 0;
        let subjects = std::iter::from_fn(move || {
            let (id, subject, pairs) = state.subjects.next_from(next)?;
            next = id + 1;
            Some((subject.clone(), pairs.pairs()))
        });
        subjects.flat_map(|(subject, pairs)| {
            pairs.into_iter().map(move |(relation, object)| Triplet { subject: subject.clone(), relation, object })
        })
    }

    /// How many triplets there are. Looks at all of them.
    pub fn triplet_count(&self) -> usize {
        self.triplets().count()
    }

    /// Whether there are no subjects.
    pub fn is_empty(&self) -> bool {
        self.snapshot().subjects.len() == 0
    }

    fn snapshot(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<State> for SimpleGraphStore {
    fn from(state: State) -> Self {
        Self { state: Arc::new(RwLock::new(Arc::new(state))) }
    }
}

impl State {
    fn load(text: &Text) -> Result<Self> {
        let mut state = Self { top: TopLevel::new(), original: Some(text.bytes().clone()), ..Self::default() };
        let mut subject = None;
        state.read(text, &mut subject).map_err(|source| Error::DamagedGraph { subject, source })?;
        state.top.entry(GRAPH_DICT.into()).or_insert(None);
        Ok(state)
    }

    /// Reads a file into an empty state. `at` tells which subject was being read when it fails.
    fn read(&mut self, text: &Text, at: &mut Option<PyString>) -> Result<(), JsonError> {
        let mut scanner = Scanner::new(text);
        scanner.object(|key, scanner| {
            if key != GRAPH_DICT {
                self.top.insert(key, Some(scanner.raw()?));
                return Ok(());
            }
            self.top.insert(key, None);
            self.subjects = Ordered::default();
            scanner.object(|subject, scanner| {
                *at = Some(subject.clone());
                let raw = scanner.raw()?;
                check_lists(&raw).map_err(|e| text.locate(&raw, e))?;
                self.subjects.insert(subject, Pairs::from_raw(raw));
                *at = None;
                Ok(())
            })
        })?;
        scanner.finish()
    }

    fn has(&self, subject: &PyString, pair: &Pair) -> bool {
        self.subjects.get(subject).is_some_and(|pairs| pairs.contains(pair))
    }

    fn write(&self, json: &mut JsonWriter<&mut dyn std::io::Write>) -> std::io::Result<()> {
        json.begin_object()?;
        for (key, raw) in &self.top {
            json.key(key)?;
            let Some(raw) = raw else {
                json.begin_object()?;
                for (_, subject, pairs) in self.subjects.iter() {
                    json.key(subject)?;
                    pairs.write(json)?;
                }
                json.end_object()?;
                continue;
            };
            json.raw(raw)?;
        }
        json.end_object()
    }

    /// The first `most` triplets on the paths from a subject.
    fn expand(&self, subj: &PyString, depth: usize, limit: usize, most: usize) -> Result<Vec<Triplet>> {
        let step = |subject: &PyString, limit: usize| {
            let pairs = self.subjects.get(subject)?;
            Some((subject.clone(), pairs.first(limit.min(most)).into_iter()))
        };
        let mut found = Vec::new();
        // One step for each triplet of the path that is being followed, so no more than were found.
        let mut path = Vec::new();
        if depth > 0 {
            path.extend(step(subj, limit));
        }
        while let Some((subject, rest)) = path.last_mut() {
            if found.len() >= most {
                break;
            }
            let Some(entry) = rest.next() else {
                path.pop();
                continue;
            };
            let Some((relation, object)) = pair(&entry) else {
                return Err(Error::NotAPair { subject: subject.clone(), entry: entry.to_string() });
            };
            let triplet = Triplet { subject: subject.clone(), relation, object };
            if path.len() == STEPS_MAX {
                return Err(Error::Endless { subject: subj.clone(), steps: STEPS_MAX });
            }
            if path.len() < depth {
                path.extend(step(&triplet.object, DEFAULT_LIMIT));
            }
            found.push(triplet);
        }
        Ok(found)
    }
}

/// Checks that a value is a list of lists.
fn check_lists(raw: &RawJson) -> Result<(), JsonError> {
    let text = raw.text();
    Scanner::new(&text).array(|scanner| {
        scanner.expect(Kind::Array)?;
        scanner.skip().map(drop)
    })
}

#[async_trait]
impl GraphStore for SimpleGraphStore {
    async fn get(&self, subj: &PyString) -> Result<Vec<(PyString, PyString)>> {
        Ok(self.get(subj))
    }

    async fn get_rel_map(&self, subjs: Option<&[PyString]>, depth: usize, limit: usize) -> Result<RelMap> {
        self.get_rel_map(subjs, depth, limit)
    }

    async fn upsert_triplet(&self, subj: &PyString, rel: &PyString, obj: &PyString) -> Result<()> {
        self.upsert_triplet(subj, rel, obj);
        Ok(())
    }

    async fn upsert_triplets(&self, triplets: &[Triplet]) -> Result<()> {
        self.upsert_triplets(triplets.iter().cloned());
        Ok(())
    }

    async fn delete(&self, subj: &PyString, rel: &PyString, obj: &PyString) -> Result<bool> {
        Ok(self.delete(subj, rel, obj))
    }

    async fn get_schema(&self) -> Result<GraphSchema> {
        Ok(self.get_schema())
    }

    fn to_file(&self) -> Option<StoreFile> {
        Some(self.store_file())
    }

    fn to_dict(&self) -> Option<Value> {
        Some(self.to_dict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> SimpleGraphStore {
        SimpleGraphStore::from_text(&Text::from(text)).unwrap()
    }

    fn dump(store: &SimpleGraphStore) -> String {
        let mut out = Vec::new();
        store.store_file().content.write_to(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn keys(keys: &[&str]) -> Vec<PyString> {
        keys.iter().map(|key| PyString::from(*key)).collect()
    }

    /// The rel map as text: `a: a r b, b s c; d:`.
    fn check_rel_map(text: &str, subjs: Option<&[&str]>, depth: usize, limit: usize, expected: &str) {
        let subjs = subjs.map(keys);
        let rel_map = load(text).get_rel_map(subjs.as_deref(), depth, limit).unwrap();
        let triplets = |list: &[Triplet]| {
            let texts = list.iter().map(|t| format!(" {} {} {}", t.subject, t.relation, t.object));
            texts.collect::<Vec<_>>().join(",")
        };
        let found: Vec<String> = rel_map.iter().map(|(subj, list)| format!("{subj}:{}", triplets(list))).collect();
        assert_eq!(found.join("; "), expected);
    }

    #[test]
    fn an_unchanged_file_is_written_as_it_was_read() {
        let text = "{\n \"x\" : 1.50, \"graph_dict\": {\"a\": [[\"r\",\"b\"] , [1, null]]}}\n";
        let store = load(text);
        store.upsert_triplet("a", "r", "b");
        store.upsert_triplet("a", "1", "None");
        assert!(!store.delete("a", "r", "absent"));
        assert!(!store.delete("absent", "r", "b"));
        assert_eq!(dump(&store), text);
    }

    #[test]
    fn a_changed_file_keeps_everything_else_as_it_was_read() {
        let store = load(
            "{\n \"x\" : 1.50, \"graph_dict\": {\"\\u00e9\": [[\"r\",\"b\"] , [1, null]], \"c\": [ [ 2,3,4 ],[5,6] ]}}\n",
        );
        store.upsert_triplet("c", "é", "o");
        let expected = r#"{"x": 1.50, "graph_dict": {"\u00e9": [["r","b"] , [1, null]], "c": [[ 2,3,4 ], [5,6], ["\u00e9", "o"]]}}"#;
        assert_eq!(dump(&store), expected);
        assert!(store.delete("c", "5", "6"));
        assert_eq!(store.get("c"), [("é".into(), "o".into())]);
        assert!(dump(&store).contains(r#""c": [[ 2,3,4 ], ["\u00e9", "o"]]"#));
    }

    #[test]
    fn values_are_shown_as_python_shows_them() {
        let store = load(
            r#"{"graph_dict": {"a": [[1, null], [1.50, true], [[1, "x"], {"k": NaN}], ["x"], [], ["a", "b", "c"]]}}"#,
        );
        let pairs: Vec<String> = store.get("a").iter().map(|(rel, obj)| format!("{rel} {obj}")).collect();
        assert_eq!(pairs, ["1 None", "1.5 True", "[1, 'x'] {'k': nan}"]);
        assert_eq!((store.triplet_count(), store.get("absent")), (3, vec![]));
    }

    #[test]
    fn what_is_no_pair_fails_only_where_it_is_needed() {
        let store = load(r#"{"graph_dict": {"a": [["r", "b"], ["x"]], "b": [[]]}}"#);
        let err = store.get_rel_map(Some(&keys(&["a"])), 1, 30).unwrap_err();
        assert_eq!(
            err.to_string(),
            r#"under subject 'a' stands ["x"], which is no [relation, object]; correct it in the file"#
        );
        let of_any = store.get_rel_map(None, 2, 30);
        assert!(matches!(of_any, Err(Error::NotAPair { .. })), "{of_any:?}");
        assert_eq!(store.get_rel_map(Some(&keys(&["a"])), 1, 1).unwrap()[0].len(), 1);
        assert_eq!(store.get_rel_map(None, 0, 30).unwrap().len(), 2);
    }

    #[test]
    fn rel_maps_go_depth_first_and_are_cut() {
        let text = r#"{"graph_dict": {"a": [["r1", "b"], ["r2", "c"]], "b": [["r3", "d"]], "c": [["r", "a"]]}}"#;
        check_rel_map(text, Some(&["a"]), 2, 30, "a: a r1 b, b r3 d, a r2 c, c r a");
        check_rel_map(text, Some(&["a"]), 3, 30, "a: a r1 b, b r3 d, a r2 c, c r a, a r1 b, a r2 c");
        check_rel_map(text, Some(&["a"]), 1, 30, "a: a r1 b, a r2 c");
        check_rel_map(text, Some(&["a", "b"]), 0, 30, "a:; b:");
        check_rel_map(text, Some(&["b", "nobody", "b", "c"]), 1, 30, "b: b r3 d; nobody:; c: c r a");
        check_rel_map(text, Some(&["b", "nobody", "c"]), 1, 1, "b: b r3 d; nobody:; c:");
        check_rel_map(text, None, 1, 3, "a: a r1 b, a r2 c; b: b r3 d; c:");
        check_rel_map(text, None, 1, 2, "a: a r1 b, a r2 c; b:");
        check_rel_map(text, None, 1, 1, "a: a r1 b; b:");
        check_rel_map(text, None, 2, 3, "a: a r1 b, b r3 d, a r2 c");
        check_rel_map(text, None, 2, 0, "a:; b:; c:");
        check_rel_map(text, Some(&[]), 2, 30, "");
    }

    #[test]
    fn inner_steps_take_thirty_whatever_the_limit() {
        let store = SimpleGraphStore::new();
        store.upsert_triplet("top", "over", "hub");
        (0..40).for_each(|i| store.upsert_triplet("hub", "spoke", format!("s{i}")));
        let count = |subj: &str, limit| store.get_rel_map(Some(&keys(&[subj])), 2, limit).unwrap()[0].len();
        assert_eq!((count("top", 100), count("hub", 100), count("hub", 35)), (31, 40, 35));
    }

    #[test]
    fn a_cycle_that_nothing_ends_is_an_error() {
        let graph = SimpleGraphStore::new();
        graph.upsert_triplet("a", "r", "a");
        let failed = graph.get_rel_map(None, usize::MAX, usize::MAX).unwrap_err().to_string();
        assert!(failed.starts_with("the paths from subject 'a' do not end within 1000000 steps"), "{failed}");
        for (depth, limit) in [(usize::MAX, 50_000), (50_000, usize::MAX)] {
            assert_eq!(graph.get_rel_map(None, depth, limit).unwrap()[0].len(), 50_000);
        }
    }

    #[test]
    fn cycles_cost_no_more_than_the_limit() {
        let store = SimpleGraphStore::new();
        store.upsert_triplet("a", "r", "a");
        store.upsert_triplet("a", "s", "a");
        let rel_map = store.get_rel_map(None, usize::MAX, 100_000).unwrap();
        assert_eq!(rel_map[0].len(), 100_000);
    }

    #[test]
    fn duplicates_of_old_versions_survive_until_deleted() {
        let text = r#"{"graph_dict": {"a": [["r", "b"], ["r", "b"]], "c": [["r", "b"]]}}"#;
        let store = load(text);
        store.upsert_triplet("a", "r", "b");
        assert_eq!(dump(&store), text);
        assert_eq!(store.triplet_count(), 3);
        assert!(store.delete("a", "r", "b"));
        assert_eq!(dump(&store), r#"{"graph_dict": {"c": [["r", "b"]]}}"#);
    }

    #[test]
    fn a_file_without_triplets_is_an_empty_store() {
        let store = load(r#"{"x": 1}"#);
        assert!(store.is_empty());
        store.upsert_triplet("a", "r", "b");
        assert_eq!(dump(&store), r#"{"x": 1, "graph_dict": {"a": [["r", "b"]]}}"#);
        assert_eq!(dump(&SimpleGraphStore::new()), r#"{"graph_dict": {}}"#);
    }

    #[test]
    fn what_is_no_graph_store_is_refused_with_its_place() {
        let check = |text: &str, message: &str| {
            assert_eq!(SimpleGraphStore::from_text(&Text::from(text)).unwrap_err().to_string(), message);
        };
        check("", "not a graph store: expected a value at line 1 column 1 (byte 0)");
        check("[]", "not a graph store: expected an object, found a list at line 1 column 1 (byte 0)");
        check(
            r#"{"graph_dict": null}"#,
            "not a graph store: expected an object, found null at line 1 column 16 (byte 15)",
        );
        check(
            "{\"graph_dict\":\n {\"a\": \"xy\"}}",
            "not a graph store (subject 'a'): expected a list, found a string at line 2 column 8 (byte 22)",
        );
        check(
            "{\"graph_dict\":\n {\"a\": [[], null]}}",
            "not a graph store (subject 'a'): expected a list, found null at line 2 column 13 (byte 27)",
        );
        check(
            r#"{"graph_dict": {"a": [["#,
            "not a graph store (subject 'a'): expected a value at line 1 column 24 (byte 23)",
        );
    }

    #[test]
    fn dicts_round_trip() {
        let store = load(r#"{"x": 1, "graph_dict": {"a": [["r", "b"], [1]], "b": []}}"#);
        let again = SimpleGraphStore::from_dict(&store.to_dict()).unwrap();
        assert_eq!(again.to_dict(), store.to_dict());
        assert_eq!(dump(&again), dump(&store));
        let none = SimpleGraphStore::from_dict(&Value::from(1));
        assert!(matches!(none, Err(Error::DamagedGraph { .. })), "{none:?}");
    }

    #[test]
    fn handles_share_their_data_and_iterations_do_not_see_changes() {
        let store = load(r#"{"graph_dict": {"a": [["r", "b"]], "c": [["r", "d"], ["s", "e"]]}}"#);
        let triplets = store.triplets();
        let other = store.clone();
        assert!(other.delete("c", "r", "d"));
        let texts: Vec<String> = triplets.map(|triplet| triplet.to_string()).collect();
        assert_eq!(texts, ["a -> r -> b", "c -> r -> d", "c -> s -> e"]);
        assert_eq!((store.triplet_count(), store.subjects()), (2, keys(&["a", "c"])));
    }
}
