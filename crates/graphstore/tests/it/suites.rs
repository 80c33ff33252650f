//! The behaviour suites, run against the stores in memory and against the least that a database has to implement.

mod triplets {
    graphstore::graph_store_behavior!(pollster::block_on, async { graphstore::SimpleGraphStore::new() });
}

mod properties {
    graphstore::property_graph_store_behavior!(pollster::block_on, async {
        graphstore::SimplePropertyGraphStore::new()
    });
}

mod least {
    use async_trait::async_trait;
    use graphstore::{
        Deleted, GraphStore, LabelledNode, LabelledTriplet, NodeFilter, PropertyGraphStore, RelMap, RelMapOptions,
        Relation, Result, SimpleGraphStore, SimplePropertyGraphStore, TripletFilter,
    };
    use raw_json::PyString;

    /// Leaves everything that has a default to it.
    #[derive(Debug, Default)]
    struct Least(SimplePropertyGraphStore);

    #[async_trait]
    impl PropertyGraphStore for Least {
        async fn get(&self, filter: &NodeFilter) -> Result<Vec<LabelledNode>> {
            Ok(self.0.get(filter))
        }

        async fn get_triplets(&self, filter: &TripletFilter) -> Result<Vec<LabelledTriplet>> {
            Ok(self.0.get_triplets(filter))
        }

        async fn get_rel_map(&self, ids: &[PyString], options: &RelMapOptions) -> Result<Vec<LabelledTriplet>> {
            Ok(self.0.get_rel_map(ids, options))
        }

        async fn upsert_nodes(&self, nodes: Vec<LabelledNode>) -> Result<()> {
            self.0.upsert_nodes(nodes)
        }

        async fn upsert_relations(&self, relations: Vec<Relation>) -> Result<()> {
            self.0.upsert_relations(relations)
        }

        async fn delete(&self, filter: &TripletFilter) -> Result<Deleted> {
            Ok(self.0.delete(filter))
        }
    }

    mod properties {
        graphstore::property_graph_store_behavior!(pollster::block_on, async { super::Least::default() });
    }

    /// The same with triplets.
    #[derive(Debug, Default)]
    struct LeastTriplets(SimpleGraphStore);

    #[async_trait]
    impl GraphStore for LeastTriplets {
        async fn get(&self, subj: &PyString) -> Result<Vec<(PyString, PyString)>> {
            Ok(self.0.get(subj))
        }

        async fn get_rel_map(&self, subjs: Option<&[PyString]>, depth: usize, limit: usize) -> Result<RelMap> {
            self.0.get_rel_map(subjs, depth, limit)
        }

        async fn upsert_triplet(&self, subj: &PyString, rel: &PyString, obj: &PyString) -> Result<()> {
            self.0.upsert_triplet(subj, rel, obj);
            Ok(())
        }

        async fn delete(&self, subj: &PyString, rel: &PyString, obj: &PyString) -> Result<bool> {
            Ok(self.0.delete(subj, rel, obj))
        }
    }

    mod triplets {
        graphstore::graph_store_behavior!(pollster::block_on, async { super::LeastTriplets::default() });
    }

    #[test]
    fn what_is_left_to_the_defaults_is_refused_by_name() {
        let failed = pollster::block_on(Least::default().get_schema()).unwrap_err();
        assert_eq!(failed.to_string(), "Least does not support schemas");
    }
}
