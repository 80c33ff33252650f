//! Contexts of ours and another program work at one place in any order, and everything goes wrong: nothing that one of
//! them wrote is replaced by one that did not know it, and readers see exactly what was written last, followers too.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use docstore::KvDocumentStore;
use graphstore::{SimpleGraphStore, Triplet};
use kv_core::SimpleKvStore;
use persist::{Abilities, Progress, Step, StoreFile};
use proptest::prelude::*;
use storage_context::Error;
use vectorstore_simple::SimpleVectorStore;

use super::*;

const STORES: [&str; 3] = ["docstore.json", "default__vector_store.json", "graph_store.json"];

/// The ids in each store.
type Ids = [BTreeSet<String>; 3];

#[derive(Debug, Clone)]
enum Op {
    /// A context adds an id to a store.
    Add {
        ctx: usize,
        store: usize,
    },
    /// A context is opened anew.
    Open {
        ctx: usize,
    },
    /// A context follows the place.
    Reopen {
        ctx: usize,
    },
    /// A context is persisted; at a step it may be broken off, or the other program writes.
    Persist {
        ctx: usize,
        how: How,
        at: usize,
        meddling: Meddling,
    },
    /// The other program adds an id to a store: reads its file, and writes it in place.
    Write {
        store: usize,
    },
    /// Someone deletes `.colca`.
    Forget,
    /// Someone copies the place, or puts the copy back.
    BackUp,
    Restore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Plain,
    Expecting,
    Overwriting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meddling {
    None,
    BreakOff,
    Write { store: usize },
}

fn any_op() -> impl Strategy<Value = Op> {
    let (ctx, store) = (0..3_usize, 0..STORES.len());
    let how = prop_oneof![6 => Just(How::Plain), 1 => Just(How::Expecting), 1 => Just(How::Overwriting)];
    let meddling = prop_oneof![
        4 => Just(Meddling::None),
        2 => Just(Meddling::BreakOff),
        1 => store.clone().prop_map(|store| Meddling::Write { store }),
    ];
    prop_oneof![
        5 => (ctx.clone(), store.clone()).prop_map(|(ctx, store)| Op::Add { ctx, store }),
        3 => ctx.clone().prop_map(|ctx| Op::Open { ctx }),
        4 => ctx.clone().prop_map(|ctx| Op::Reopen { ctx }),
        6 => (ctx, how, 0..8_usize, meddling).prop_map(|(ctx, how, at, meddling)| Op::Persist { ctx, how, at, meddling }),
        2 => store.prop_map(|store| Op::Write { store }),
        1 => Just(Op::Forget),
        1 => Just(Op::BackUp),
        1 => Just(Op::Restore),
    ]
}

fn add(ctx: &StorageContext, store: usize, id: &str) {
    let node = Node::text("text").with_id(id).with_embedding([1.0, 2.0]);
    let triplet = Triplet { subject: id.into(), relation: "r".into(), object: "o".into() };
    match store {
        0 => block_on(ctx.docstore().add_documents(&[node])).unwrap(),
        1 => drop(block_on(ctx.vector_store().unwrap().add(&[node])).unwrap()),
        _ => block_on(ctx.graph_store().upsert_triplets(&[triplet])).unwrap(),
    }
}

fn ids(ctx: &StorageContext) -> Ids {
    let dict = ctx.to_dict().unwrap();
    let paths: [&[&str]; 3] = [
        &["doc_store", "docstore/data"],
        &["vector_store", "default", "embedding_dict"],
        &["graph_store", "graph_dict"],
    ];
    paths.map(|path| {
        let found = path.iter().try_fold(&dict, |value, key| value.get(key)).and_then(Value::as_object);
        found.into_iter().flat_map(|object| object.keys().map(ToString::to_string)).collect()
    })
}

/// As LlamaIndex changes a store: it reads what is published, and writes over it. Tells what the file holds then.
fn write_as_python(place: &MemoryFs, store: usize, id: &str) -> BTreeSet<String> {
    let published = text(place, STORES[store]).map(Text::from);
    let parts = StorageContext::builder();
    let parts = match (store, &published) {
        (_, None) => parts,
        (0, Some(text)) => parts.docstore(KvDocumentStore::new(SimpleKvStore::from_text(text).unwrap())),
        (1, Some(text)) => parts.vector_store(Arc::new(SimpleVectorStore::from_text(text).unwrap())),
        (_, Some(text)) => parts.graph_store(Arc::new(SimpleGraphStore::from_text(text).unwrap())),
    };
    let ctx = parts.build();
    add(&ctx, store, id);
    let file = match store {
        0 => ctx.docstore().kv().to_file(),
        1 => ctx.vector_store().unwrap().to_file(),
        _ => ctx.graph_store().to_file(),
    };
    let StoreFile { content, .. } = file.unwrap();
    let mut bytes = Vec::new();
    content.write_to(&mut bytes).unwrap();
    place.put(STORES[store], bytes);
    ids(&ctx)[store].clone()
}

/// A context and what it knows.
struct Ours {
    ctx: StorageContext,
    /// What it last read or wrote, and before that if it does not know whether it wrote.
    known: Vec<Option<Ids>>,
    newest: Option<String>,
    /// Whether it was opened or has persisted.
    follows: bool,
}

/// The number of the newest manifest, and its text.
fn newest_of(place: &MemoryFs) -> Option<(u64, String)> {
    let number = |path: &str| path.strip_prefix(".colca/")?.strip_suffix(".json")?.parse().ok();
    let files = place.files();
    let manifests = files.iter().filter_map(|(path, bytes)| Some((number(path)?, bytes)));
    manifests.max().map(|(number, bytes)| (number, String::from_utf8_lossy(bytes).into_owned()))
}

/// Whether this is a step of the protocol, and no report of bytes within one.
fn is_step(step: &Step<'_>) -> bool {
    !matches!(step, Step::Staged { .. })
}

struct World {
    place: MemoryFs,
    /// What a reader must find; `None` if there is no context.
    truth: Option<Ids>,
    copy: Option<(BTreeMap<String, Bytes>, Option<Ids>)>,
    ours: Vec<Ours>,
}

impl World {
    /// On a disk publishing moves files, and in an object store it copies them.
    fn new(moves: bool) -> Self {
        let new = || Ours { ctx: StorageContext::in_memory(), known: vec![None], newest: None, follows: false };
        let place = MemoryFs::with_abilities(Abilities { create: true, conditional_publish: true, moves });
        Self { place, truth: None, copy: None, ours: vec![new(), new(), new()] }
    }

    fn apply(&mut self, step: usize, op: &Op) {
        let id = format!("i{step}");
        match *op {
            Op::Add { ctx, store } => add(&self.ours[ctx].ctx, store, &id),
            Op::Open { ctx } if self.truth.is_some() => {
                let opened = open(&self.place);
                let newest = newest_of(&self.place).map(|(_, manifest)| manifest);
                self.ours[ctx] = Ours { known: vec![Some(ids(&opened))], ctx: opened, newest, follows: true };
            }
            Op::Reopen { ctx } => self.reopen(ctx),
            Op::Persist { ctx, how, at, meddling } => self.persist(ctx, how, at, meddling, &id),
            Op::Write { store } => {
                if let Some(truth) = &mut self.truth {
                    truth[store] = write_as_python(&self.place, store, &id);
                }
            }
            Op::Forget => {
                self.place
                    .files()
                    .keys()
                    .filter(|path| path.starts_with(".colca/"))
                    .for_each(|path| self.place.remove(path));
                // What had not been published is gone.
                self.truth = block_on(StorageContext::open(self.place.clone())).ok().map(|ctx| ids(&ctx));
                if self.truth.is_none() {
                    self.place.files().keys().for_each(|path| self.place.remove(path));
                }
            }
            Op::BackUp => self.copy = Some((self.place.files(), self.truth.clone())),
            Op::Restore => {
                if let Some((files, truth)) = self.copy.clone() {
                    self.place.files().keys().for_each(|path| self.place.remove(path));
                    files.into_iter().for_each(|(path, bytes)| self.place.put(&path, bytes));
                    self.truth = truth;
                }
            }
            Op::Open { .. } => {}
        }
    }

    fn persist(&mut self, ctx: usize, how: How, at: usize, meddling: Meddling, id: &str) {
        let before = newest_of(&self.place);
        let steps = AtomicUsize::new(0);
        let written = Arc::new(std::sync::Mutex::new(None));
        let progress = {
            let (place, id, written) = (self.place.clone(), id.to_owned(), Arc::clone(&written));
            Progress::new(move |step| match (is_step(step) && steps.fetch_add(1, Ordering::Relaxed) == at, meddling) {
                (true, Meddling::BreakOff) => resume_unwind(Box::new("broken off")),
                // Who overwrites what is there may do so a moment later, too.
                (true, Meddling::Write { store }) if how != How::Overwriting => {
                    *written.lock().unwrap() = Some((store, write_as_python(&place, store, &id)));
                }
                _ => {}
            })
        };
        let options = PersistOptions {
            overwrite: how == How::Overwriting,
            expect_generation: before.as_ref().map(|(number, _)| *number).filter(|_| how == How::Expecting),
            keep_generations: 1,
            min_age: Duration::ZERO,
            progress: Some(progress),
            ..PersistOptions::default()
        };
        let Ours { ctx, known, newest, follows } = &mut self.ours[ctx];
        let mine = Some(ids(ctx));
        let persisted = catch_unwind(AssertUnwindSafe(|| block_on(ctx.persist_with(self.place.clone(), &options))));
        let knew = self.truth.is_none() || known.contains(&self.truth);
        let may = knew || how == How::Overwriting || how == How::Expecting && before.is_some();
        let after = newest_of(&self.place);
        match persisted {
            Ok(Ok(_)) => {
                assert!(may, "something was lost without a word");
                (*known, *newest, *follows) = (vec![mine.clone()], after.map(|(_, manifest)| manifest), true);
                self.truth = mine;
            }
            Ok(Err(error)) => {
                assert!(error.is_conflict() && how != How::Overwriting, "{error}");
                let as_seen = known.contains(&self.truth) && *newest == before.clone().map(|(_, manifest)| manifest);
                assert!(!as_seen, "there is no conflict: {error}");
                assert_eq!(before, after);
            }
            // It was broken off after the commit.
            Err(_) if before != after => {
                assert!(may, "something was lost without a word");
                known.push(mine.clone());
                *newest = after.map(|(_, manifest)| manifest);
                self.truth = mine;
            }
            Err(_) => {}
        }
        if let (Some((store, ids)), Some(truth)) = (written.lock().unwrap().take(), &mut self.truth) {
            truth[store] = ids;
        }
    }

    fn reopen(&mut self, ctx: usize) {
        let Ours { ctx, known, newest, follows } = &mut self.ours[ctx];
        let now = newest_of(&self.place).map(|(_, manifest)| manifest);
        let is_as_seen = known.contains(&self.truth) && *newest == now;
        match block_on(ctx.reopen_if_changed()) {
            Ok(None) => assert!(known.contains(&self.truth), "a change was not noticed"),
            Ok(Some(newer)) => {
                assert_eq!(Some(ids(&newer)), self.truth, "{}", newer.open_report().unwrap());
                assert!(!is_as_seen, "nothing has changed");
                (*ctx, *known, *newest) = (newer, vec![self.truth.clone()], now);
            }
            Err(error @ Error::Unpersisted { .. }) => {
                assert!(!is_as_seen, "nothing has changed: {error}");
                assert_ne!(known.first(), Some(&Some(ids(ctx))), "{error}");
            }
            Err(Error::NoLocation) => assert!(!*follows),
            Err(error @ Error::MissingFile { .. }) => assert_eq!(self.truth, None, "{error}"),
            Err(error) => panic!("{error}"),
        }
    }

    fn check(&self) {
        match (block_on(StorageContext::open(self.place.clone())), &self.truth) {
            (Ok(ctx), Some(truth)) => assert_eq!(&ids(&ctx), truth, "{}", ctx.open_report().unwrap()),
            (Err(Error::MissingFile { .. }), None) => {}
            (found, truth) => panic!("{found:?}, and {truth:?} is true"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn nobody_s_work_is_lost_and_readers_see_the_latest(
        moves in any::<bool>(),
        ops in prop::collection::vec(any_op(), 1..60),
    ) {
        let mut world = World::new(moves);
        for (step, op) in ops.iter().enumerate() {
            world.apply(step, op);
            world.check();
        }
    }
}
