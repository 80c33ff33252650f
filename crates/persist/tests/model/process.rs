//! Processes: the very functions that the library runs, each stopped at every call of the place.
//!
//! A process is a function of the answers that it got, so its states form a tree: a node is what it does after some
//! answers, and is computed once, however many states of the whole it occurs in.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use persist::behavior::{Contents, file, read_all};
use persist::{
    ATTEMPTS, Abilities, Changes, CommitOptions, Committed, ComparedFile, Content, Durability, Error, Expected,
    FileInfo, Finding, Folder, KnownFile, Lock, PersistFs, Publication, ReadOptions, Result, Snapshot, Stored, Writer,
    restarts,
};

use crate::table::{Id, Table};

/// What a process does, once.
#[derive(Debug, Clone)]
pub(crate) enum Activity {
    /// Reads all files.
    Read,
    /// Reads all files, and then those that have changed since.
    Follow,
    /// Makes a commit.
    Write(Plan),
    /// Goes around the protocol, step by step.
    Meddle(Vec<Meddling>),
}

/// A commit to make.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub commit: &'static str,
    /// The names, each with its content after a `=`; without one the content is that of the commit.
    pub write: Vec<&'static str>,
    pub remove: Vec<&'static str>,
    pub keep_generations: u64,
    pub replace_lost: bool,
}

/// A step of another program.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meddling {
    /// Replaces a file as a whole.
    Put(&'static str, &'static str),
    /// Opens a file for writing: it is empty now.
    Truncate(&'static str),
    /// Writes into the file that was opened.
    Fill(&'static str, &'static str),
    Delete(&'static str),
}

/// A call of the place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    List(Folder),
    Read(Id),
    Write(Id, Id, Durable),
    Create(Id, Id, Durable),
    Publish {
        staged: Id,
        name: Id,
        expected: Expectation,
    },
    Delete(Id),
    Unpublish {
        name: Id,
        expected: Expectation,
    },
    Sync,
    /// The second half of a durable `Create`: the file has its name, which is durable now.
    SyncName(Id),
    Lock,
    /// No call of the location: a reader begins its second look.
    LookAgain,
}

/// Whether a call is to be durable.
pub(crate) type Durable = bool;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Expectation {
    Absent,
    Version(Id),
    Anything,
}

impl From<Expected> for Expectation {
    fn from(expected: Expected) -> Self {
        match expected {
            Expected::Absent => Self::Absent,
            Expected::Version(version) => Self::Version(version.parse().unwrap()),
            Expected::Anything => Self::Anything,
        }
    }
}

/// What a call is answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    /// Name, content, version and time of each file.
    Files(Vec<(Id, Id, Id, u16)>),
    Content(Option<Id>),
    Made(bool),
    Published(u8),
    Done,
    Failed,
}

pub(crate) const DONE: u8 = 0;
pub(crate) const NO_SOURCE: u8 = 1;
pub(crate) const UNEXPECTED: u8 = 2;

/// How an activity ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The files and what was said of them.
    Read(Result<(Contents, Vec<Finding>)>),
    /// The generation that it began with, and what became of the commit.
    Wrote(u64, Box<Result<Committed>>),
}

/// What a node of the tree waits for.
#[derive(Debug, Clone)]
pub(crate) enum Waits {
    Call(Op),
    /// For nothing: it is done.
    Done(Rc<Outcome>),
    /// It is no function of ours.
    Meddling,
}

struct Node {
    waits: Waits,
    came: Option<(u32, Answer)>,
    activity: u32,
}

/// All states that processes were in.
pub(crate) struct Library {
    pub table: Table,
    abilities: Abilities,
    activities: Vec<Activity>,
    nodes: Vec<Node>,
    next: HashMap<(u32, Answer), u32>,
    live: HashMap<u32, Live>,
}

/// How many processes are kept as they are. The others are run again from their start when they are needed.
const LIVE_MAX: usize = 20_000;

struct Live {
    slot: Arc<Mutex<Slot>>,
    future: Pin<Box<dyn Future<Output = Outcome>>>,
}

#[derive(Debug, Default)]
struct Slot {
    replies: VecDeque<Reply>,
    request: Option<Request>,
}

#[derive(Debug)]
enum Request {
    List(Folder),
    Read(String),
    Write(String, Bytes, Durable),
    Create(String, Bytes, Durable),
    Publish(String, String, Expected),
    Delete(String),
    Unpublish(String, Expected),
    Sync,
    SyncName(String),
    Lock,
    LookAgain,
}

#[derive(Debug)]
enum Reply {
    Files(Vec<FileInfo>),
    Content(Option<Bytes>),
    Made(bool),
    Published(Publication),
    Done,
    Failed,
}

impl Library {
    pub(crate) fn new(abilities: Abilities, activities: Vec<Activity>) -> Self {
        let table = Table::default();
        let mut this =
            Self { table, abilities, activities, nodes: Vec::new(), next: HashMap::new(), live: HashMap::new() };
        for activity in 0..this.activities.len() as u32 {
            let waits = match this.activities[activity as usize] {
                Activity::Meddle(_) => Waits::Meddling,
                _ => {
                    let mut live = this.start(activity);
                    let waits = this.poll(&mut live);
                    this.live.insert(activity, live);
                    waits
                }
            };
            this.nodes.push(Node { waits, came: None, activity });
        }
        this
    }

    pub(crate) fn activity(&self, activity: u32) -> &Activity {
        &self.activities[activity as usize]
    }

    /// What is done at a node.
    pub(crate) fn activity_of(&self, node: u32) -> &Activity {
        self.activity(self.nodes[node as usize].activity)
    }

    /// What a node waits for. The first nodes are the beginnings of the activities, in their order.
    pub(crate) fn waits(&self, node: u32) -> &Waits {
        &self.nodes[node as usize].waits
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Where a process is after an answer.
    pub(crate) fn answer(&mut self, node: u32, answer: Answer) -> u32 {
        let key = (node, answer);
        if let Some(next) = self.next.get(&key) {
            return *next;
        }
        let activity = self.nodes[node as usize].activity;
        let mut live = match self.live.remove(&node) {
            Some(live) => live,
            None => self.replay(node),
        };
        let reply = self.reply(&key.1);
        live.slot.lock().unwrap().replies.push_back(reply);
        let waits = self.poll(&mut live);
        let next = u32::try_from(self.nodes.len()).unwrap();
        if self.live.len() < LIVE_MAX && matches!(waits, Waits::Call(_)) {
            self.live.insert(next, live);
        }
        self.nodes.push(Node { waits, came: Some(key.clone()), activity });
        self.next.insert(key, next);
        next
    }

    fn replay(&self, node: u32) -> Live {
        let mut at = &self.nodes[node as usize];
        let live = self.start(at.activity);
        while let Some((before, answer)) = &at.came {
            live.slot.lock().unwrap().replies.push_front(self.reply(answer));
            at = &self.nodes[*before as usize];
        }
        live
    }

    fn start(&self, activity: u32) -> Live {
        let slot: Arc<Mutex<Slot>> = Arc::default();
        let fs = SimFs { slot: Arc::clone(&slot), abilities: self.abilities };
        let future: Pin<Box<dyn Future<Output = Outcome>>> = match self.activities[activity as usize].clone() {
            Activity::Read => Box::pin(read(fs)),
            Activity::Follow => Box::pin(follow(fs)),
            Activity::Write(plan) => Box::pin(write(fs, plan)),
            Activity::Meddle(_) => unreachable!("another program is no function of ours"),
        };
        Live { slot, future }
    }

    /// Lets a process go on for as long as it has answers.
    fn poll(&mut self, live: &mut Live) -> Waits {
        match live.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Waits::Done(Rc::new(outcome)),
            Poll::Pending => {
                let mut slot = live.slot.lock().unwrap();
                assert!(slot.replies.is_empty(), "a process is not a function of its answers");
                Waits::Call(self.op(slot.request.take().expect("it waits for a call")))
            }
        }
    }

    fn op(&mut self, request: Request) -> Op {
        match request {
            Request::List(folder) => Op::List(folder),
            Request::Read(path) => Op::Read(self.table.id(path)),
            Request::Write(path, bytes, durable) => Op::Write(self.table.id(path), self.table.id(bytes), durable),
            Request::Create(path, bytes, durable) => Op::Create(self.table.id(path), self.table.id(bytes), durable),
            Request::Publish(staged, name, expected) => {
                Op::Publish { staged: self.table.id(staged), name: self.table.id(name), expected: expected.into() }
            }
            Request::Delete(path) => Op::Delete(self.table.id(path)),
            Request::Unpublish(name, expected) => {
                Op::Unpublish { name: self.table.id(name), expected: expected.into() }
            }
            Request::Sync => Op::Sync,
            Request::SyncName(path) => Op::SyncName(self.table.id(path)),
            Request::Lock => Op::Lock,
            Request::LookAgain => Op::LookAgain,
        }
    }

    fn reply(&self, answer: &Answer) -> Reply {
        match answer {
            Answer::Files(files) => Reply::Files(files.iter().map(|file| self.info(*file)).collect()),
            Answer::Content(content) => Reply::Content(content.map(|id| self.table.bytes(id))),
            Answer::Made(made) => Reply::Made(*made),
            Answer::Published(DONE) => Reply::Published(Publication::Done),
            Answer::Published(NO_SOURCE) => Reply::Published(Publication::NoSource),
            Answer::Published(_) => Reply::Published(Publication::Unexpected),
            Answer::Done => Reply::Done,
            Answer::Failed => Reply::Failed,
        }
    }

    fn info(&self, (path, content, version, time): (Id, Id, Id, u16)) -> FileInfo {
        FileInfo {
            name: self.table.own(path).unwrap_or(self.table.text(path)).to_owned(),
            size: self.table.bytes(content).len() as u64,
            version: (version != Id::MAX).then(|| version.to_string()),
            modified: SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(time.into())),
        }
    }
}

async fn read(fs: SimFs) -> Outcome {
    Outcome::Read(read_all(&fs).await)
}

/// What a reader has after a look.
#[derive(Default)]
struct Look {
    commit: Option<String>,
    listing: BTreeMap<String, FileInfo>,
    files: BTreeMap<String, (KnownFile, String)>,
    findings: Vec<Finding>,
}

async fn follow(fs: SimFs) -> Outcome {
    let looks = async {
        let first = restarting(&fs, None).await?;
        fs.done(Request::LookAgain).await?;
        restarting(&fs, Some(&first)).await
    };
    Outcome::Read(looks.await.map(|Look { files, findings, .. }| {
        let contents = files.into_iter().map(|(name, (_, text))| (name, text));
        (contents.collect(), findings)
    }))
}

async fn restarting(fs: &SimFs, before: Option<&Look>) -> Result<Look> {
    let mut attempt = 1;
    loop {
        match look(fs, before).await {
            Err(e) if restarts(&e) && attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

/// Reads what is not known from the look before.
async fn look(fs: &SimFs, before: Option<&Look>) -> Result<Look> {
    let mut snapshot = Snapshot::take(fs, ReadOptions::default()).await?;
    let commit = snapshot.manifest().map(|manifest| manifest.commit.clone());
    let mut now = Look { commit, listing: snapshot.listing().clone(), ..Look::default() };
    if let Some(Look { commit, listing, files, .. }) = before
        && snapshot.is_unchanged_since(commit.as_deref(), listing, |_| true)
    {
        now.files = files.clone();
        return Ok(now);
    }
    for FileInfo { name, .. } in snapshot.files() {
        let known = before.and_then(|before| before.files.get(&name));
        let compared = match known {
            Some((known, _)) => snapshot.read_if_changed(&name, known).await?,
            None => snapshot.read(&name).await?.map(ComparedFile::Changed),
        };
        let (info, digest, text) = match (compared, known) {
            (Some(ComparedFile::Changed(file)), _) => {
                (file.info, file.digest, String::from_utf8_lossy(&file.bytes).into_owned())
            }
            (Some(ComparedFile::Same(info)), Some((known, text))) => (info, known.digest, text.clone()),
            _ => continue,
        };
        now.files.insert(name, (KnownFile { info, digest, commit: now.commit.clone() }, text));
    }
    now.findings = snapshot.findings().to_vec();
    Ok(now)
}

async fn write(fs: SimFs, plan: Plan) -> Outcome {
    let options = CommitOptions {
        commit: plan.commit.to_owned(),
        keep_generations: plan.keep_generations,
        min_age: Duration::ZERO,
        replace_lost: plan.replace_lost,
        ..CommitOptions::default()
    };
    let mut began = 0;
    let commit = async {
        let writer = Writer::begin(&fs, options).await?;
        began = writer.manifest().map_or(0, |manifest| manifest.generation);
        let prepared = writer.prepare().await?;
        let written = |entry: &&'static str| entry.split_once('=').unwrap_or((entry, plan.commit));
        let write = plan.write.iter().map(written).map(|(name, text)| file(name, text)).collect();
        let remove = plan.remove.iter().map(|name| (*name).to_owned()).collect();
        prepared.commit(Changes { write, remove, ..Changes::default() }).await
    };
    let committed = commit.await;
    Outcome::Wrote(began, Box::new(committed))
}

/// A place as a process sees it: every call waits until it is answered.
#[derive(Debug)]
struct SimFs {
    slot: Arc<Mutex<Slot>>,
    abilities: Abilities,
}

impl SimFs {
    async fn ask(&self, request: Request) -> Result<Reply> {
        let mut request = Some(request);
        let reply = poll_fn(|_| {
            let mut slot = self.slot.lock().unwrap();
            match slot.replies.pop_front() {
                Some(reply) => Poll::Ready(reply),
                None => {
                    slot.request = request.take();
                    Poll::Pending
                }
            }
        });
        match reply.await {
            Reply::Failed => Err(Error::failed("the model", "do", "it", "injected failure")),
            reply => Ok(reply),
        }
    }

    async fn done(&self, request: Request) -> Result<()> {
        match self.ask(request).await? {
            Reply::Done => Ok(()),
            _ => unreachable!("answered by something else"),
        }
    }
}

#[async_trait]
impl PersistFs for SimFs {
    fn location(&self) -> String {
        "the model".to_owned()
    }

    async fn abilities(&self) -> Result<Abilities> {
        Ok(self.abilities)
    }

    async fn list(&self, folder: Folder) -> Result<Vec<FileInfo>> {
        match self.ask(Request::List(folder)).await? {
            Reply::Files(files) => Ok(files),
            _ => unreachable!("answered by something else"),
        }
    }

    async fn read(&self, path: &str, _: u64) -> Result<Option<Bytes>> {
        match self.ask(Request::Read(path.to_owned())).await? {
            Reply::Content(content) => Ok(content),
            _ => unreachable!("answered by something else"),
        }
    }

    async fn write(&self, path: &str, content: Content, durability: Durability) -> Result<Stored> {
        let mut bytes = Vec::new();
        let (size, digest) = content.write_to(&mut bytes).unwrap();
        self.done(Request::Write(path.to_owned(), bytes.into(), durability == Durability::Full)).await?;
        Ok(Stored { size, digest })
    }

    async fn create(&self, path: &str, content: Bytes, durability: Durability) -> Result<bool> {
        let durable = durability == Durability::Full;
        let made = match self.ask(Request::Create(path.to_owned(), content, durable)).await? {
            Reply::Made(made) => made,
            _ => unreachable!("answered by something else"),
        };
        // A disk does it in two steps, and may be stopped in between.
        if made && durable && self.abilities.moves {
            self.done(Request::SyncName(path.to_owned())).await?;
        }
        Ok(made)
    }

    async fn publish(&self, staged: &str, name: &str, expected: &Expected) -> Result<Publication> {
        match self.ask(Request::Publish(staged.to_owned(), name.to_owned(), expected.clone())).await? {
            Reply::Published(publication) => Ok(publication),
            _ => unreachable!("answered by something else"),
        }
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.done(Request::Delete(path.to_owned())).await
    }

    async fn unpublish(&self, name: &str, expected: &Expected) -> Result<Publication> {
        match self.ask(Request::Unpublish(name.to_owned(), expected.clone())).await? {
            Reply::Published(publication) => Ok(publication),
            _ => unreachable!("answered by something else"),
        }
    }

    async fn sync(&self) -> Result<()> {
        // A copy of what an object store has acknowledged is durable.
        if self.abilities.moves { self.done(Request::Sync).await } else { Ok(()) }
    }

    async fn lock(&self, _: Duration) -> Result<Lock> {
        if self.abilities.moves {
            self.done(Request::Lock).await?;
        }
        // It is let go when the activity has ended.
        Ok(Lock::none())
    }
}
