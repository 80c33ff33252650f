use std::sync::{Arc, Mutex};

use super::*;
use pollster::block_on;

/// A place in a folder of its own, two levels below one that exists.
#[derive(Debug)]
struct TempPlace {
    place: LocalFs,
    dir: tempfile::TempDir,
}

impl TempPlace {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { place: LocalFs::new(dir.path().join("a/b")), dir }
    }

    /// A place that has these published files.
    fn with(files: &[(&str, &str)]) -> Self {
        let temp = Self::new();
        fs::create_dir_all(temp.place.root()).unwrap();
        for (name, text) in files {
            fs::write(temp.place.root().join(name), text).unwrap();
        }
        temp
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.root().join(name)
    }

    fn own_names(&self) -> Vec<String> {
        let listed = block_on(self.place.list(Folder::Own)).unwrap();
        listed.into_iter().map(|file| file.name).collect()
    }

    fn stage(&self, name: &str, text: &'static str) {
        block_on(self.place.write(name, Content::from(text), Durability::Full)).unwrap();
    }

    async fn stage_as(&self, name: &str, content: Content) -> Result<Stored> {
        self.place.stage(".colca/x-0", name, content, Durability::Full, &Meter::default()).await
    }

    fn seen(&self, name: &str) -> Expected {
        let listed = block_on(self.place.list(Folder::Published)).unwrap();
        Expected::seen(listed.iter().find(|file| file.name == name))
    }
}

/// As itself, so that the folder lives as long as the place.
#[async_trait]
impl PersistFs for TempPlace {
    fn location(&self) -> String {
        self.place.location()
    }
    fn identity(&self) -> String {
        self.place.identity()
    }
    async fn abilities(&self) -> Result<Abilities> {
        self.place.abilities().await
    }
    async fn list(&self, folder: Folder) -> Result<Vec<FileInfo>> {
        self.place.list(folder).await
    }
    async fn read(&self, path: &str, limit: u64) -> Result<Option<Bytes>> {
        self.place.read(path, limit).await
    }
    async fn write(&self, path: &str, content: Content, durability: Durability) -> Result<Stored> {
        self.place.write(path, content, durability).await
    }
    async fn read_with(&self, path: &str, limit: u64, meter: &Meter) -> Result<Option<Bytes>> {
        self.place.read_with(path, limit, meter).await
    }
    async fn stage(
        &self,
        path: &str,
        name: &str,
        content: Content,
        durability: Durability,
        meter: &Meter,
    ) -> Result<Stored> {
        self.place.stage(path, name, content, durability, meter).await
    }
    async fn create(&self, path: &str, content: Bytes, durability: Durability) -> Result<bool> {
        self.place.create(path, content, durability).await
    }
    async fn publish(&self, staged: &str, name: &str, expected: &Expected) -> Result<Publication> {
        self.place.publish(staged, name, expected).await
    }
    async fn delete(&self, path: &str) -> Result<()> {
        self.place.delete(path).await
    }
    async fn unpublish(&self, name: &str, expected: &Expected) -> Result<Publication> {
        self.place.unpublish(name, expected).await
    }
    async fn sync(&self) -> Result<()> {
        self.place.sync().await
    }
    async fn lock(&self, wait: Duration) -> Result<Lock> {
        self.place.lock(wait).await
    }
}

const ALL: u64 = u64::MAX;

/// The cause of a failure of this operation on this name.
#[track_caller]
fn cause<T: std::fmt::Debug>(result: Result<T>, operation: &str, name: &str) -> io::Error {
    match result {
        Err(Error::Failed { operation: failed, name: of, source, .. }) => {
            assert_eq!((failed, of.as_str()), (operation, name), "{source}");
            *source.downcast().unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// A bar over a large file moves while it is written and read.
#[test]
fn bytes_are_counted_piece_by_piece() {
    let temp = TempPlace::new();
    let counts = Arc::new(Mutex::new(Vec::new()));
    let meter = Meter::new({
        let counts = Arc::clone(&counts);
        move |bytes| counts.lock().unwrap().push(bytes)
    });
    let text = Bytes::from(vec![b'x'; (5 << 20) + 1]);
    let content = Content::Bytes(text.clone());
    block_on(temp.place.stage(".colca/x-0", "a.json", content, Durability::Full, &meter)).unwrap();
    let staged = std::mem::take(&mut *counts.lock().unwrap());
    block_on(temp.place.read_with(".colca/x-0", ALL, &meter)).unwrap();
    let read = std::mem::take(&mut *counts.lock().unwrap());
    for counts in [staged, read] {
        assert_eq!((counts.len(), counts.iter().sum::<u64>()), (6, text.len() as u64), "{counts:?}");
    }
}

/// Readers must not see half of a hint, and nobody cleans up after a write that failed.
#[test]
fn a_write_that_fails_leaves_what_was_there() {
    let temp = TempPlace::new();
    temp.stage(".colca/latest", "1");
    let broken = Content::writer(|out| {
        out.write_all(b"half")?;
        Err(io::Error::other("no more"))
    });
    let failed = block_on(temp.place.write(".colca/latest", broken, Durability::Full));
    assert!(matches!(failed, Err(Error::Failed { operation: "write", .. })));
    assert_eq!(fs::read(temp.path(".colca/latest")).unwrap(), b"1");
    assert_eq!(temp.own_names(), ["latest"]);
}

/// If this was wrong, two writers could both believe to have made the same generation.
#[test]
fn one_of_many_creators_wins() {
    let temp = TempPlace::new();
    for round in 0..50 {
        let path = format!(".colca/{round}.json");
        let won: Vec<bool> = std::thread::scope(|scope| {
            let make = |n: usize| {
                let (place, path) = (&temp.place, &path);
                move || block_on(place.create(path, n.to_string().into(), Durability::Relaxed)).unwrap()
            };
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(make(n))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let winner = won.iter().position(|won| *won).unwrap();
        assert_eq!(fs::read_to_string(temp.path(&path)).unwrap(), winner.to_string());
    }
    assert_eq!(temp.own_names().len(), 50, "nothing is left behind");
}

#[test]
fn what_the_place_can_do_is_tried_without_a_trace() {
    let temp = TempPlace::new();
    let expected = Abilities { create: true, conditional_publish: true, moves: true };
    assert_eq!(block_on(temp.place.abilities()).unwrap(), expected);
    assert_eq!(temp.own_names(), [""; 0]);
}

/// What another program wrote since the listing must survive.
#[test]
fn a_file_that_is_not_the_expected_one_stays() {
    let temp = TempPlace::with(&[("a.json", "old")]);
    let check = |expected: &Expected, publication| {
        temp.stage(".colca/x-0", "new");
        let done = block_on(temp.place.publish(".colca/x-0", "a.json", expected)).unwrap();
        assert_eq!(done, publication, "{expected:?}");
        fs::read_to_string(temp.path("a.json")).unwrap()
    };
    let seen = temp.seen("a.json");
    assert_eq!(check(&Expected::Absent, Publication::Unexpected), "old");
    fs::write(temp.path("a.json"), "changed").unwrap();
    assert_eq!(check(&seen, Publication::Unexpected), "changed");
    assert_eq!(check(&temp.seen("a.json"), Publication::Done), "new");
    fs::remove_file(temp.path("a.json")).unwrap();
    temp.stage(".colca/x-0", "new");
    let gone = block_on(temp.place.publish(".colca/x-0", "a.json", &seen)).unwrap();
    assert_eq!(gone, Publication::Unexpected);
    assert_eq!(check(&Expected::Absent, Publication::Done), "new");
    assert_eq!(check(&Expected::Anything, Publication::Done), "new");
    let again = block_on(temp.place.publish(".colca/x-0", "a.json", &Expected::Anything)).unwrap();
    assert_eq!(again, Publication::NoSource);
}

/// A limit is there to protect memory, so it is met before reading.
#[test]
fn larger_files_are_not_read() {
    let temp = TempPlace::with(&[("a.json", "12345")]);
    let read = |limit| block_on(temp.place.read("a.json", limit));
    assert_eq!(read(5).unwrap().as_deref(), Some(&b"12345"[..]));
    assert!(matches!(read(4), Err(Error::TooLarge { size: 5, limit: 4, .. })));
    File::create(temp.path("sparse")).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(block_on(temp.place.read("sparse", 1 << 30)), Err(Error::TooLarge { .. })));
}

/// LlamaIndex truncates files and fills them again: half of one must never pass for the whole.
#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    let temp = TempPlace::new();
    fs::create_dir_all(temp.place.root()).unwrap();
    let path = temp.path("a.json");
    let texts = ["1".repeat(1 << 20), "2".repeat(1 << 20)];
    fs::write(&path, &texts[0]).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let mut file = fs::OpenOptions::new().write(true).truncate(round % 2 == 0).open(&path).unwrap();
                texts[round % 2].as_bytes().chunks(1 << 12).for_each(|piece| file.write_all(piece).unwrap());
                // The clock of a file system is coarse.
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let mut changed = 0;
        for _ in 0..2000 {
            match block_on(temp.place.read("a.json", ALL)) {
                Ok(_) => {}
                Err(e) => {
                    let source = std::error::Error::source(&e).unwrap().to_string();
                    assert_eq!(source, "it changed while it was read");
                    changed += 1;
                }
            }
            if changed == 20 {
                break;
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(changed > 0, "it was never noticed");
    });
}

#[test]
fn folders_are_not_mistaken_for_files() {
    let temp = TempPlace::with(&[("a.json", "1")]);
    fs::create_dir(temp.path("docstore.json")).unwrap();
    assert_eq!(block_on(temp.place.list(Folder::Published)).unwrap().len(), 1);
    let read = block_on(temp.place.read("docstore.json", ALL));
    assert_eq!(cause(read, "read", "docstore.json").to_string(), "it is no regular file");
    let refusal = if cfg!(target_os = "linux") { io::ErrorKind::IsADirectory } else { io::ErrorKind::PermissionDenied };
    let deleted = block_on(temp.place.delete("docstore.json"));
    assert_eq!(cause(deleted, "delete", "docstore.json").kind(), refusal);
    let in_the_way = "something that is no file has that name";
    let staged = block_on(temp.stage_as("docstore.json", Content::from("new")));
    assert_eq!(cause(staged, "write", "docstore.json").to_string(), in_the_way);
    temp.stage(".colca/x-0", "new");
    for expected in [Expected::Absent, Expected::Anything] {
        let published = block_on(temp.place.publish(".colca/x-0", "docstore.json", &expected));
        assert_eq!(cause(published, "replace", "docstore.json").to_string(), in_the_way);
    }
}

#[cfg(unix)]
#[test]
fn links_are_replaced_and_not_followed() {
    let temp = TempPlace::with(&[]);
    fs::write(temp.dir.path().join("elsewhere"), "theirs").unwrap();
    std::os::unix::fs::symlink("../../elsewhere", temp.path("a.json")).unwrap();
    std::os::unix::fs::symlink("nowhere", temp.path("b.json")).unwrap();
    assert_eq!(block_on(temp.place.read("a.json", ALL)).unwrap().as_deref(), Some(&b"theirs"[..]));
    for name in ["a.json", "b.json"] {
        temp.stage(".colca/x-0", "ours");
        let absent = block_on(temp.place.publish(".colca/x-0", name, &Expected::Absent)).unwrap();
        assert_eq!(absent, Publication::Unexpected);
        let done = block_on(temp.place.publish(".colca/x-0", name, &temp.seen(name))).unwrap();
        assert_eq!(done, Publication::Done);
        assert!(temp.path(name).symlink_metadata().unwrap().is_file());
    }
    assert_eq!(fs::read(temp.dir.path().join("elsewhere")).unwrap(), b"theirs");
}

/// Otherwise the commit is made, and nobody can publish it.
#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written_is_told_before_the_commit() {
    use std::os::unix::fs::PermissionsExt;
    crate::unprivileged::run(module_path!(), "a_folder_that_may_not_be_written_is_told_before_the_commit", || {
        let temp = TempPlace::new();
        block_on(temp.place.abilities()).unwrap();
        fs::set_permissions(temp.place.root(), fs::Permissions::from_mode(0o500)).unwrap();
        let abilities = block_on(temp.place.abilities());
        fs::set_permissions(temp.place.root(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(cause(abilities, "write to", ".").kind(), io::ErrorKind::PermissionDenied);
    });
}

/// It could lead to a disk that is missing: a file that is not read is written over one day.
#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_not_taken_for_absence() {
    let temp = TempPlace::with(&[]);
    std::os::unix::fs::symlink("nowhere", temp.path("a.json")).unwrap();
    let told = block_on(temp.place.read("a.json", ALL)).unwrap_err();
    assert_eq!(std::error::Error::source(&told).unwrap().to_string(), "it is a symbolic link to nothing");
}

/// A directory from a stranger must not make us write into, or delete, files that are none of the place.
#[cfg(unix)]
#[test]
fn nothing_is_written_through_links_among_our_own_files() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let theirs = |temp: &TempPlace| {
        let path = temp.dir.path().join("theirs");
        fs::write(&path, "theirs").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let check_lock = |temp: &TempPlace, expected: &str| {
        let told = block_on(temp.place.lock(Duration::ZERO)).unwrap_err();
        let cause = std::error::Error::source(&told).unwrap().to_string();
        assert!(cause.contains(expected), "{cause}");
    };
    let temp = TempPlace::with(&[]);
    fs::create_dir(temp.path(".colca")).unwrap();
    symlink(theirs(&temp), temp.path(".colca/lock")).unwrap();
    check_lock(&temp, "delete it");
    assert_eq!(fs::read(theirs(&temp)).unwrap(), b"theirs");

    fs::write(temp.path("a.json"), "readable by all").unwrap();
    symlink(theirs(&temp), temp.path(".colca/x-0")).unwrap();
    let told = block_on(temp.place.publish(".colca/x-0", "a.json", &Expected::Anything));
    assert!(matches!(told, Err(Error::Failed { operation: "replace", .. })), "{told:?}");
    assert_eq!(fs::metadata(theirs(&temp)).unwrap().permissions().mode() & 0o777, 0o600);

    let temp = TempPlace::with(&[]);
    fs::create_dir(temp.dir.path().join("elsewhere")).unwrap();
    symlink(temp.dir.path().join("elsewhere"), temp.path(".colca")).unwrap();
    check_lock(&temp, "no folder");
}

/// A docstore that only its owner may read stays so.
#[cfg(unix)]
#[test]
fn a_file_keeps_its_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let temp = TempPlace::with(&[("a.json", "1")]);
    fs::set_permissions(temp.path("a.json"), fs::Permissions::from_mode(0o600)).unwrap();
    temp.stage(".colca/x-0", "2");
    block_on(temp.place.publish(".colca/x-0", "a.json", &Expected::Anything)).unwrap();
    assert_eq!(fs::metadata(temp.path("a.json")).unwrap().permissions().mode() & 0o777, 0o600);
}

/// While it is staged, too, and while it is written.
#[cfg(unix)]
#[test]
fn a_staged_file_has_the_permissions_of_the_published_one() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let check = |mode: u32, expected: u32| {
        let temp = TempPlace::with(&[("a.json", "1")]);
        fs::set_permissions(temp.path("a.json"), fs::Permissions::from_mode(mode)).unwrap();
        let own = temp.path(".colca");
        let content = Content::writer(move |out| {
            out.write_all(b"2")?;
            let file = fs::read_dir(own)?.next().unwrap()?;
            assert_eq!(file.metadata()?.mode() & 0o777, expected, "while it is written");
            Ok(())
        });
        block_on(temp.stage_as("a.json", content)).unwrap();
        assert_eq!(fs::metadata(temp.path(".colca/x-0")).unwrap().mode() & 0o777, expected);
        block_on(temp.place.publish(".colca/x-0", "a.json", &Expected::Anything)).unwrap();
        assert_eq!(fs::metadata(temp.path("a.json")).unwrap().mode() & 0o777, mode);
    };
    check(0o600, 0o600);
    check(0o640, 0o640);
    check(0o666, 0o666);
    check(0o444, 0o644);
    // Without one it is as any new file.
    let temp = TempPlace::with(&[("like", "")]);
    let mode = |name: &str| fs::metadata(temp.path(name)).unwrap().mode();
    block_on(temp.stage_as("a.json", Content::from("1"))).unwrap();
    assert_eq!(mode(".colca/x-0"), mode("like"));
}

/// Opening a pipe for reading would wait for a writer for ever.
#[cfg(unix)]
#[test]
fn pipes_are_neither_listed_nor_read() {
    let temp = TempPlace::with(&[]);
    let made = std::process::Command::new("mkfifo").arg(temp.path("a.json")).status().unwrap();
    assert!(made.success());
    assert_eq!(block_on(temp.place.list(Folder::Published)).unwrap(), []);
    let read = block_on(temp.place.read("a.json", ALL));
    assert_eq!(cause(read, "read", "a.json").to_string(), "it is no regular file");
}

#[test]
fn a_file_in_the_way_of_the_folder_is_an_error() {
    let temp = TempPlace::with(&[("file", "x")]);
    let place = LocalFs::new(temp.path("file/sub"));
    let written = block_on(place.write(".colca/x-0", Content::from("1"), Durability::Full));
    let locked = block_on(place.lock(Duration::ZERO));
    let listed = block_on(place.list(Folder::Published));
    for cause in [cause(written, "write", ".colca/x-0"), cause(locked, "lock", ".colca"), cause(listed, "list", ".")] {
        assert_eq!(cause.kind(), io::ErrorKind::NotADirectory);
    }
}

/// Readers may have no right to write, and the folder may lie on a read-only disk.
#[test]
fn looking_creates_nothing() {
    let temp = TempPlace::new();
    block_on(async {
        assert_eq!(temp.place.list(Folder::Published).await.unwrap(), []);
        assert_eq!(temp.place.list(Folder::Own).await.unwrap(), []);
        assert_eq!(temp.place.read("a.json", ALL).await.unwrap(), None);
        temp.place.sync().await.unwrap();
        temp.place.delete("a.json").await.unwrap();
    });
    assert_eq!(fs::read_dir(temp.dir.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn a_folder_is_the_same_however_it_is_spelled_and_before_it_exists() {
    let temp = TempPlace::new();
    let root = temp.dir.path();
    let identities = || {
        let spelled = ["a/b", "a/../a/b", "a/./b/", "new/../a/b"];
        spelled.map(|path| LocalFs::new(root.join(path)).identity()).to_vec()
    };
    let before = identities();
    fs::create_dir_all(root.join("new")).unwrap();
    fs::create_dir_all(temp.place.root()).unwrap();
    let mut all = [before, identities()].concat();
    std::os::unix::fs::symlink(temp.place.root(), root.join("link")).unwrap();
    all.push(LocalFs::new(root.join("link")).identity());
    all.dedup();
    assert_eq!(all, [temp.place.identity()]);
}

#[test]
fn the_lock_names_the_place_and_who_holds_it() {
    let temp = TempPlace::new();
    let held = block_on(temp.place.lock(Duration::ZERO)).unwrap();
    let refused = block_on(temp.place.lock(Duration::ZERO)).unwrap_err();
    let Error::Locked { place, holder } = refused else { panic!("{refused}") };
    assert_eq!((place, holder), (temp.place.location(), format!("pid {}", std::process::id())));
    drop(held);
    block_on(temp.place.lock(Duration::ZERO)).unwrap();
}

mod without_a_runtime {
    use super::TempPlace;
    persist::persist_fs_behavior!(pollster::block_on, async { TempPlace::new() });
}

mod inside_tokio {
    use super::TempPlace;
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }
    persist::persist_fs_behavior!(block_on, async { TempPlace::new() });
}
