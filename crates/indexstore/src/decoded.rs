use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raw_json::{PyString, RawJson};

use crate::IndexStruct;

/// Structs as they were last read or written, with their texts: a text that is still the same is not read again. Reading
/// a struct takes far longer than comparing its text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Decoded(Arc<Mutex<Known>>);

type Known = HashMap<PyString, (RawJson, Arc<IndexStruct>)>;

impl Decoded {
    /// What a text says.
    pub(crate) fn read(&self, raw: &RawJson, id: &PyString) -> IndexStruct {
        let known = self.lock().get(id).cloned();
        if let Some((text, known)) = known
            && text == *raw
        {
            return (*known).clone();
        }
        let read = IndexStruct::from_raw(raw, id);
        self.lock().insert(id.clone(), (raw.clone(), Arc::new(read.clone())));
        read
    }

    /// Remembers what a struct was written as.
    pub(crate) fn written(&self, raw: RawJson, id: PyString, written: &IndexStruct) {
        self.lock().insert(id, (raw, Arc::new(written.clone())));
    }

    pub(crate) fn forget(&self, id: &PyString) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
