use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Names an entry of an [`Ordered`] for as long as it is there; later entries have greater ones.
pub(crate) type Id = usize;

/// A map in the order of insertion from which entries are taken out without moving others. A replaced value keeps its
/// place.
///
/// All operations take logarithmic time.
#[derive(Debug, Clone)]
pub(crate) struct Ordered<K, V> {
    ids: HashMap<K, Id>,
    entries: BTreeMap<Id, (K, V)>,
    next: Id,
}

impl<K, V> Default for Ordered<K, V> {
    fn default() -> Self {
        Self { ids: HashMap::new(), entries: BTreeMap::new(), next: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> Ordered<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.ids.contains_key(key)
    }

    pub(crate) fn id(&self, key: &K) -> Option<Id> {
        self.ids.get(key).copied()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        Some(self.by_id(self.id(key)?)?.1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.by_id_mut(self.id(key)?)
    }

    pub(crate) fn by_id(&self, id: Id) -> Option<(&K, &V)> {
        self.entries.get(&id).map(|(key, value)| (key, value))
    }

    pub(crate) fn by_id_mut(&mut self, id: Id) -> Option<&mut V> {
        self.entries.get_mut(&id).map(|(_, value)| value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Id {
        let id = *self.ids.entry(key.clone()).or_insert(self.next);
        self.entries.insert(id, (key, value));
        self.next = self.next.max(id + 1);
        id
    }

    /// Inserts a value, unless the key is there, and tells whether it was inserted.
    pub(crate) fn insert_new(&mut self, key: &K, value: V) -> (Id, bool) {
        let id = *self.ids.entry(key.clone()).or_insert(self.next);
        let is_new = id == self.next;
        if is_new {
            self.entries.insert(id, (key.clone(), value));
            self.next += 1;
        }
        (id, is_new)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let id = self.ids.remove(key)?;
        self.entries.remove(&id).map(|(_, value)| value)
    }

    pub(crate) fn remove_id(&mut self, id: Id) -> Option<(K, V)> {
        let entry = self.entries.remove(&id)?;
        self.ids.remove(&entry.0);
        Some(entry)
    }

    /// All entries, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &K, &V)> {
        self.entries.iter().map(|(id, (key, value))| (*id, key, value))
    }

    /// The first entry whose id is not below `id`.
    pub(crate) fn next_from(&self, id: Id) -> Option<(Id, &K, &V)> {
        self.entries.range(id..).next().map(|(id, (key, value))| (*id, key, value))
    }

    /// An id that no entry has had.
    pub(crate) fn unused_id(&self) -> Id {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_that_of_insertion() {
        let mut map = Ordered::default();
        let ids: Vec<Id> = ["a", "b", "c"].into_iter().map(|key| map.insert(key, 1)).collect();
        assert_eq!(map.insert("b", 2), ids[1]);
        assert_eq!(map.remove(&"a"), Some(1));
        assert_eq!(map.remove(&"a"), None);
        assert!(map.insert("a", 3) > ids[2]);
        assert_eq!(map.insert_new(&"b", 9), (ids[1], false));
        let entries: Vec<_> = map.iter().map(|(_, key, value)| (*key, *value)).collect();
        assert_eq!(entries, [("b", 2), ("c", 1), ("a", 3)]);
        assert_eq!(map.remove_id(ids[1]), Some(("b", 2)));
        assert_eq!((map.len(), map.get(&"b"), map.by_id(ids[1])), (2, None, None));
        assert_eq!(map.next_from(ids[1] + 1), Some((ids[2], &"c", &1)));
    }
}
