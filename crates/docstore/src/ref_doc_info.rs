use raw_json::{Object, PyString, RawJson, Value};

/// What is known of a document whose nodes are stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RefDocInfo {
    /// Its nodes, in the order they were added.
    pub node_ids: Vec<PyString>,
    /// Its metadata, gathered from the nodes that were added first.
    pub metadata: Object,
    /// Fields that this crate does not know.
    pub extra: Object,
}

impl RefDocInfo {
    /// Reads a record, of today's form or that of 0.6.18 to 0.6.3x (`doc_ids`, `extra_info`). An empty object counts as
    /// no record.
    pub(crate) fn from_raw(raw: &RawJson) -> Result<Option<Self>, &'static str> {
        let Value::Object(mut fields) = raw.value() else { return Err("it is not an object") };
        if fields.is_empty() {
            return Ok(None);
        }
        // The old names win where both stand, as in LlamaIndex.
        let is_old = fields.contains_key(&b"doc_ids"[..]);
        let mut take = |name: &str, old: &str| {
            let (today, old) = (fields.shift_remove(name.as_bytes()), fields.shift_remove(old.as_bytes()));
            if is_old { old } else { today.or(old) }
        };
        let node_ids = match take("node_ids", "doc_ids") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(ids)) => ids
                .into_iter()
                .map(|id| id.as_str().cloned().ok_or("a node id is not a string"))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err("its node ids are not a list"),
        };
        let metadata = match take("metadata", "extra_info") {
            None | Some(Value::Null) => Object::new(),
            Some(Value::Object(metadata)) => metadata,
            Some(_) => return Err("its metadata is not an object"),
        };
        Ok(Some(Self { node_ids, metadata, extra: fields }))
    }

    /// Today's form.
    pub(crate) fn to_value(&self) -> Value {
        let node_ids = Value::Array(self.node_ids.iter().map(Value::from).collect());
        let known = [("node_ids", node_ids), ("metadata", Value::Object(self.metadata.clone()))];
        known.into_iter().map(|(name, value)| (name.into(), value)).chain(self.extra.clone()).collect::<Object>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Result<Option<&str>, &str>) {
        let info = RefDocInfo::from_raw(&json.parse().unwrap());
        let written = info.map(|info| info.map(|info| info.to_value().to_string()));
        assert_eq!(written.as_ref().map(|w| w.as_deref()).map_err(|e| *e), expected, "{json}");
    }

    #[test]
    fn records_of_all_times() {
        check(r#"{"node_ids": ["a"], "metadata": {"k": 1}}"#, Ok(Some(r#"{"node_ids": ["a"], "metadata": {"k": 1}}"#)));
        check(
            r#"{"doc_ids": ["a"], "extra_info": {"k": 1}}"#,
            Ok(Some(r#"{"node_ids": ["a"], "metadata": {"k": 1}}"#)),
        );
        check(r#"{"future": 1}"#, Ok(Some(r#"{"node_ids": [], "metadata": {}, "future": 1}"#)));
        check(
            r#"{"node_ids": ["b"], "doc_ids": ["a"], "extra_info": {}}"#,
            Ok(Some(r#"{"node_ids": ["a"], "metadata": {}}"#)),
        );
        check("{}", Ok(None));
        check("[]", Err("it is not an object"));
        check(r#"{"node_ids": [1]}"#, Err("a node id is not a string"));
        check(r#"{"node_ids": {}}"#, Err("its node ids are not a list"));
        check(r#"{"metadata": []}"#, Err("its metadata is not an object"));
    }
}
