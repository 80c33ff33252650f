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
        Deleted, LabelledNode, LabelledTriplet, NodeFilter, PropertyGraphStore, RelMapOptions, Relation, Result,
        SimplePropertyGraphStore, TripletFilter,
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

    graphstore::property_graph_store_behavior!(pollster::block_on, async { Least::default() });

    #[test]
    fn what_is_left_to_the_defaults_is_refused_by_name() {
        let failed = pollster::block_on(Least::default().get_schema()).unwrap_err();
        assert_eq!(failed.to_string(), "Least does not support schemas");
    }
}
