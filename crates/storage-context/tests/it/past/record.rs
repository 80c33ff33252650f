//! Makes the states that this version writes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fs_backends::Place;
use persist::behavior::WatchedFs;
use persist::{Content, Durability, OWN_FOLDER};
use raw_json::Value;
use schema::Node;
use storage_context::{PersistOptions, StorageContext};
use vectorstore_simple::SimpleVectorStore;

use super::check::published;
use super::contents::contents;
use super::format::{Files, History, Past, State, VERSION, folder, object};
use super::location::{Kind, Location, RECORDED, files_of};
use super::sample::{change, everything};

/// All states that this version writes.
pub(super) async fn record() -> Past {
    let mut recorder = Recorder::default();
    for kind in RECORDED {
        recorder.first_commits(kind).await;
        let pending = recorder.commit_over_our_own(kind).await;
        recorder.recovery(kind, &pending).await;
        recorder.commit_over_llama_index(kind).await;
        recorder.removed_store(kind).await;
        recorder.four_commits(kind).await;
        recorder.another_program(kind).await;
    }
    let Recorder { contexts, histories } = recorder;
    Past { version: VERSION.to_owned(), contexts, histories }
}

#[derive(Default)]
struct Recorder {
    contexts: BTreeMap<String, Value>,
    histories: Vec<History>,
}

impl Recorder {
    async fn first_commits(&mut self, kind: Kind) {
        for (name, ctx) in [("empty", StorageContext::in_memory()), ("everything", everything().await)] {
            let mut track = Track::new(kind).await;
            self.commit(&mut track, &ctx, name, &options()).await;
            self.finish(track, &format!("a first commit into nothing: {name}"));
        }
        let source = Kind::Memory.make();
        source.put(&llama_index()).await;
        let ctx = StorageContext::open(&source.place).await.unwrap();
        let mut track = Track::new(kind).await;
        self.commit(&mut track, &ctx, LLAMA_INDEX, &options()).await;
        self.finish(track, "a first commit into nothing of a context that LlamaIndex wrote elsewhere");
    }

    /// Returns the files right after the commit, when nothing of it is published.
    async fn commit_over_our_own(&mut self, kind: Kind) -> Files {
        let ctx = everything().await;
        let mut track = Track::new(kind).await;
        self.seed(&mut track, &ctx, "everything").await;
        track.leave_litter().await;
        change(&ctx).await;
        self.commit(&mut track, &ctx, "everything, changed", &keeping(1)).await;
        self.finish(track, "a commit over our own generation, which is collected");
        let states = &self.histories.last().unwrap().states;
        states.iter().find(|state| state.generation == Some(2)).unwrap().files.clone()
    }

    /// A writer finds the commit of another one, which was stopped before it was published.
    async fn recovery(&mut self, kind: Kind, pending: &Files) {
        let mut track = Track::new(kind).await;
        track.location.put(pending).await;
        track.opens.insert(2, Some("everything, changed".to_owned()));
        track.look().await;
        let ctx = StorageContext::open(&track.location.place).await.unwrap();
        ctx.remove_vector_store("team__a").unwrap();
        add(&ctx, "text-4").await;
        self.commit(&mut track, &ctx, "everything, changed twice", &options()).await;
        self.finish(track, "a commit that finishes the one before it");
    }

    async fn commit_over_llama_index(&mut self, kind: Kind) {
        let mut track = Track::new(kind).await;
        track.location.put(&llama_index()).await;
        let ctx = StorageContext::open(&track.location.place).await.unwrap();
        self.remember(LLAMA_INDEX, &ctx).await;
        track.opens.insert(0, Some(LLAMA_INDEX.to_owned()));
        track.look().await;
        add(&ctx, "text-1").await;
        ctx.add_vector_store("reviews", Arc::new(SimpleVectorStore::new())).unwrap();
        self.commit(&mut track, &ctx, "LlamaIndex's, changed", &options()).await;
        self.finish(track, "a first commit over a directory that LlamaIndex wrote");
    }

    async fn removed_store(&mut self, kind: Kind) {
        let ctx = everything().await;
        let mut track = Track::new(kind).await;
        self.seed(&mut track, &ctx, "everything").await;
        ctx.remove_vector_store("reviews").unwrap();
        add(&ctx, "text-4").await;
        self.commit(&mut track, &ctx, "everything, without reviews", &options()).await;
        self.finish(track, "a commit that removes a store");
    }

    async fn four_commits(&mut self, kind: Kind) {
        let ctx = StorageContext::in_memory();
        let mut track = Track::new(kind).await;
        for number in 1..=4 {
            add(&ctx, &format!("text-{number}")).await;
            if number == 3 {
                ctx.remove_vector_store("image").unwrap();
            }
            self.commit(&mut track, &ctx, &format!("{number} of four"), &keeping(2)).await;
        }
        self.finish(track, "four commits, and two generations are kept");
    }

    /// What another program makes of a location of ours.
    async fn another_program(&mut self, kind: Kind) {
        let ctx = everything().await;
        let mut track = Track::new(kind).await;
        self.seed(&mut track, &ctx, "everything").await;
        let old = files_of(&*track.location.place).await;
        change(&ctx).await;
        self.seed(&mut track, &ctx, "everything, changed").await;
        let files = files_of(&*track.location.place).await;
        let with = |name: &str, text: &str| {
            let mut files = files.clone();
            files.insert(name.to_owned(), text.to_owned());
            files
        };
        let (docstore, graph, python) = ("docstore.json", "graph_store.json", "python__vector_store.json");
        let vectors = r#"{"embedding_dict": {"n": [1.0]}, "text_id_to_ref_doc_id": {"n": "d"}, "metadata_dict": {}}"#;
        let edited = with(docstore, &files[docstore].replace("a new text", "an edited text"));
        let mut without = files.clone();
        without.remove(graph);
        let finds = |opens: &str, findings: &[&str]| {
            let findings = findings.iter().map(ToString::to_string).collect();
            (opens.to_owned(), findings)
        };
        // Where staged files stay, those of the newest generation are read if a published one is missing, and where one
        // can come late, if it is old.
        let staged = |file: &str| finds("everything, changed", &[&format!("from_staged {file}")]);
        let deleted = match kind {
            Kind::Disk => finds("everything, without triplets", &["deleted graph_store.json"]),
            _ => staged(graph),
        };
        let put_back = match kind {
            Kind::Unconditional => staged(docstore),
            _ => finds("everything, with old documents", &["put_back docstore.json", "absent nodes of list"]),
        };
        for (files, (opens, findings)) in [
            (edited, finds("everything, edited", &["foreign docstore.json"])),
            (with(python, vectors), finds("everything, with another store", &["added python__vector_store.json"])),
            (without, deleted),
            (with(docstore, &old[docstore]), put_back),
        ] {
            if opens != "everything, changed" {
                let seen_by_others = Kind::Memory.make();
                seen_by_others.put(&published(&files)).await;
                self.remember(&opens, &StorageContext::open(&seen_by_others.place).await.unwrap()).await;
            }
            track.extra.push(State { files, opens: Some(opens), generation: Some(2), findings });
        }
        self.finish(track, "what another program makes of our files");
    }

    /// Persists before the recording.
    async fn seed(&mut self, track: &mut Track, ctx: &StorageContext, name: &str) {
        self.remember(name, ctx).await;
        let report = ctx.persist_with(&track.location.place, &options()).await.unwrap();
        track.opens.insert(report.generation.unwrap(), Some(name.to_owned()));
        track.states.lock().unwrap_or_else(PoisonError::into_inner).clear();
        track.look().await;
    }

    /// Persists, and records what is there after each step.
    async fn commit(&mut self, track: &mut Track, ctx: &StorageContext, name: &str, options: &PersistOptions) {
        self.remember(name, ctx).await;
        // Files are collected by their age, and the clocks of disks go in steps.
        std::thread::sleep(Duration::from_millis(20));
        let report = ctx.persist_with(&track.watched(), options).await.unwrap();
        track.opens.insert(report.generation.unwrap(), Some(name.to_owned()));
    }

    /// What a reader must find, which is what the context holds before it is persisted.
    async fn remember(&mut self, name: &str, ctx: &StorageContext) {
        let Value::Object(mut holds) = contents(ctx).await else { panic!("contents are an object") };
        if name == LLAMA_INDEX {
            let carried = [("chat_store.json", llama_index()["chat_store.json"].as_str().into())];
            holds.insert("beside".into(), object(carried));
        }
        let holds = Value::Object(holds);
        let before = self.contexts.insert(name.to_owned(), holds.clone());
        assert!(before.is_none_or(|before| before == holds), "'{name}' is not always the same");
    }

    fn finish(&mut self, track: Track, name: &str) {
        let Track { kind, states, opens, extra, .. } = track;
        let mut seen: Vec<Files> = Vec::new();
        for files in states.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if !seen.contains(&files) {
                seen.push(files);
            }
        }
        let states = seen.into_iter().map(|files| {
            let generation = newest(&files);
            State { opens: opens[&generation.unwrap_or(0)].clone(), generation, findings: Vec::new(), files }
        });
        let states = states.chain(extra).collect();
        self.histories.push(History { name: name.to_owned(), on: kind.name().to_owned(), states });
    }
}

/// A location and what was there, step by step.
struct Track {
    kind: Kind,
    location: Location,
    states: Arc<Mutex<Vec<Files>>>,
    /// The context that opens when a generation is the newest one; 0 is that of a location that Colca has not written.
    opens: BTreeMap<u64, Option<String>>,
    /// States that no step of ours makes.
    extra: Vec<State>,
}

impl Track {
    async fn new(kind: Kind) -> Self {
        let (location, states) = (kind.make(), Arc::default());
        Self { kind, location, states, opens: BTreeMap::from([(0, None)]), extra: Vec::new() }
    }

    /// The location; what is there is recorded before and after each call that writes.
    fn watched(&self) -> Place {
        let (place, states) = (Arc::clone(&self.location.place), Arc::clone(&self.states));
        let look = move || {
            let (place, states) = (Arc::clone(&place), Arc::clone(&states));
            let look = async move {
                let files = files_of(&*place).await;
                states.lock().unwrap_or_else(PoisonError::into_inner).push(files);
            };
            Box::pin(look) as persist::behavior::Looking
        };
        Arc::new(WatchedFs::new(Arc::clone(&self.location.place), look))
    }

    async fn look(&self) {
        let files = files_of(&*self.location.place).await;
        self.states.lock().unwrap_or_else(PoisonError::into_inner).push(files);
    }

    /// What writers leave that are killed before they make a manifest: half a file on a disk, the probes of a bucket,
    /// and staged files.
    async fn leave_litter(&self) {
        let place = &self.location.place;
        let staged = format!("{OWN_FOLDER}/00000000-0000-4000-8000-000000000000-0.staged");
        place.write(&staged, Content::from("{\"docstore/data\": {"), Durability::Relaxed).await.unwrap();
        self.look().await;
        match self.kind {
            Kind::Disk => {
                let (place, states) = (Arc::clone(place), Arc::clone(&self.states));
                let half = Content::writer(move |out| {
                    out.write_all(b"{\"half\": ")?;
                    out.flush()?;
                    let files = pollster::block_on(files_of(&*place));
                    states.lock().unwrap_or_else(PoisonError::into_inner).push(files);
                    Ok(())
                });
                let other = format!("{OWN_FOLDER}/00000000-0000-4000-8000-000000000000-1.staged");
                self.location.place.write(&other, half, Durability::Relaxed).await.unwrap();
            }
            _ => {
                let probe = format!("{OWN_FOLDER}/0123456789abcdef-1.probe");
                place.write(&probe, Content::from("probe"), Durability::Relaxed).await.unwrap();
            }
        }
        self.look().await;
    }
}

/// The number of the newest manifest.
fn newest(files: &Files) -> Option<u64> {
    let number = |path: &String| path.strip_prefix(OWN_FOLDER)?.strip_prefix('/')?.strip_suffix(".json")?.parse().ok();
    files.keys().filter_map(number).max()
}

/// The same files as by default; fsync only takes time here.
fn options() -> PersistOptions {
    PersistOptions { durability: Durability::Relaxed, ..PersistOptions::default() }
}

/// Collects what is not of the newest generations at once.
fn keeping(keep_generations: u64) -> PersistOptions {
    PersistOptions { keep_generations, min_age: Duration::ZERO, ..options() }
}

async fn add(ctx: &StorageContext, id: &str) {
    ctx.docstore().add_documents(&[Node::text("text").with_id(id)]).await.unwrap();
}

const LLAMA_INDEX: &str = "LlamaIndex's";

/// A directory that LlamaIndex 0.14 wrote, with a chat store and a file of nobody's beside the stores.
fn llama_index() -> Files {
    let files = std::fs::read_dir(folder().join("llama_index")).unwrap().map(|entry| entry.unwrap());
    let text = |entry: &std::fs::DirEntry| std::fs::read_to_string(entry.path()).unwrap();
    files.map(|entry| (entry.file_name().into_string().unwrap(), text(&entry))).collect()
}
