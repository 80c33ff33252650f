use raw_json::{PyString, RawJson};

/// Puts and deletes that happen together, in this order, if all conditions hold.
#[derive(Debug, Clone, Default)]
pub struct WriteBatch {
    ops: Vec<Op>,
    preconditions: Vec<Precondition>,
}

/// One change of a [`WriteBatch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Sets a key, keeping its place in the order if it was there.
    Put {
        /// The collection.
        collection: String,
        /// The key.
        key: PyString,
        /// The new value.
        value: RawJson,
    },
    /// Removes a key; one that is absent is passed over.
    Delete {
        /// The collection.
        collection: String,
        /// The key.
        key: PyString,
    },
}

/// What must hold for a [`WriteBatch`] to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// The collection.
    pub collection: String,
    /// The key.
    pub key: PyString,
    /// What the key's value must be: absent, or equal in meaning to what was read before.
    pub expected: Option<RawJson>,
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(&mut self, collection: impl Into<String>, key: impl Into<PyString>, value: impl Into<RawJson>) {
        self.ops.push(Op::Put { collection: collection.into(), key: key.into(), value: value.into() });
    }

    /// Removes a key.
    pub fn delete(&mut self, collection: impl Into<String>, key: impl Into<PyString>) {
        self.ops.push(Op::Delete { collection: collection.into(), key: key.into() });
    }

    /// The batch happens only if the key is absent.
    pub fn require_absent(&mut self, collection: impl Into<String>, key: impl Into<PyString>) {
        self.require(collection, key, None);
    }

    /// The batch happens only if the key is as it was read: absent for `None`.
    pub fn require(&mut self, collection: impl Into<String>, key: impl Into<PyString>, expected: Option<RawJson>) {
        self.preconditions.push(Precondition { collection: collection.into(), key: key.into(), expected });
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The changes, in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The changes, taken out.
    pub fn into_ops(self) -> Vec<Op> {
        self.ops
    }

    /// The conditions.
    pub fn preconditions(&self) -> &[Precondition] {
        &self.preconditions
    }
}
