use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, OnceLock};

use raw_json::{Error as JsonError, JsonWriter, PyString, RawJson, Scanner, Value, py_str};

/// A relation and an object.
pub(crate) type Pair = (PyString, PyString);

/// What stands under one subject: a list of lists, which usually are pairs.
///
/// It is the text that was read until it changes. Looking a pair up in a text would take a pass over it each time, so
/// the first writer takes the text apart.
#[derive(Debug, Clone)]
pub(crate) struct Pairs {
    /// The list as it was read, while nothing has changed.
    raw: Option<RawJson>,
    entries: OnceLock<Arc<Entries>>,
}

#[derive(Debug, Clone, Default)]
struct Entries {
    list: BTreeMap<usize, RawJson>,
    /// Where each pair is in the list. Old versions wrote duplicates.
    known: HashMap<Pair, Vec<usize>>,
}

impl Entries {
    fn push(&mut self, raw: RawJson, pair: Option<Pair>) {
        let place = self.list.last_key_value().map_or(0, |(last, _)| last + 1);
        self.list.insert(place, raw);
        if let Some(pair) = pair {
            self.known.entry(pair).or_default().push(place);
        }
    }
}

impl Pairs {
    pub(crate) fn new() -> Self {
        Self { raw: None, entries: OnceLock::new() }
    }

    /// Takes a list of lists.
    pub(crate) fn from_raw(raw: RawJson) -> Self {
        Self { raw: Some(raw), entries: OnceLock::new() }
    }

    /// The first entries, at most `most`.
    pub(crate) fn first(&self, most: usize) -> Vec<RawJson> {
        match (self.entries.get(), &self.raw) {
            (Some(entries), _) => entries.list.values().take(most).cloned().collect(),
            (None, Some(raw)) => first_of(raw, most),
            (None, None) => Vec::new(),
        }
    }

    /// All entries that are pairs.
    pub(crate) fn pairs(&self) -> Vec<Pair> {
        self.first(usize::MAX).iter().filter_map(pair).collect()
    }

    pub(crate) fn contains(&self, pair: &Pair) -> bool {
        self.entries().known.contains_key(pair)
    }

    /// Appends a pair that is not there.
    pub(crate) fn push(&mut self, pair: Pair) {
        let raw = RawJson::from(Value::from(vec![&pair.0, &pair.1]));
        self.change().push(raw, Some(pair));
    }

    /// Takes out a pair, as often as it is there.
    pub(crate) fn remove(&mut self, pair: &Pair) {
        let entries = self.change();
        for place in entries.known.remove(pair).unwrap_or_default() {
            entries.list.remove(&place);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first(1).is_empty()
    }

    pub(crate) fn value(&self) -> Value {
        match &self.raw {
            Some(raw) => raw.value(),
            None => Value::Array(self.entries().list.values().map(RawJson::value).collect()),
        }
    }

    pub(crate) fn write(&self, json: &mut JsonWriter<&mut dyn io::Write>) -> io::Result<()> {
        if let Some(raw) = &self.raw {
            return json.raw(raw);
        }
        json.begin_array()?;
        self.entries().list.values().try_for_each(|raw| json.raw(raw))?;
        json.end_array()
    }

    fn entries(&self) -> &Arc<Entries> {
        self.entries.get_or_init(|| {
            let mut entries = Entries::default();
            for raw in self.raw.iter().flat_map(|raw| first_of(raw, usize::MAX)) {
                let pair = pair(&raw);
                entries.push(raw, pair);
            }
            Arc::new(entries)
        })
    }

    fn change(&mut self) -> &mut Entries {
        self.entries();
        self.raw = None;
        Arc::make_mut(self.entries.get_mut().expect("it was just filled"))
    }
}

/// The pair that an entry is: two values as Python's `str` shows them. `None` if there are not two.
pub(crate) fn pair(entry: &RawJson) -> Option<Pair> {
    match entry.value().as_array()? {
        [relation, object] => Some((py_str(relation), py_str(object))),
        _ => None,
    }
}

fn first_of(list: &RawJson, most: usize) -> Vec<RawJson> {
    struct Enough;
    impl From<JsonError> for Enough {
        fn from(_: JsonError) -> Self {
            Self
        }
    }
    let mut entries = Vec::new();
    let text = list.text();
    let _ = Scanner::new(&text).array(|scanner| {
        if entries.len() == most {
            return Err(Enough);
        }
        entries.push(scanner.raw()?);
        Ok(())
    });
    entries
}
