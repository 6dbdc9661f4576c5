//! Private keys on disk: readable by their owner only, written completely or not at all, and never
//! overwritten.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::destination::Destination;
use super::file_access::check_access;
use super::key::PrivateKey;
use super::key_error::{KeyError, KeyFileError};
use super::wiped::Wiped;

/// The limit is more than any key has; it keeps a wrong path from filling the memory.
const MAX_LEN: u64 = 64 * 1024;
/// The number of polls for another process that has claimed a name and not yet filled it (see
/// `claim_and_rename`).
const CLAIM_POLLS: u32 = 100;
const CLAIM_POLL: Duration = Duration::from_millis(20);

impl PrivateKey {
    /// Reads a key file in one of these formats:
    ///
    /// * the binary key, as i2pd, Bitcoin and Java's `.dat` files have it,
    /// * the base64 text of the key on one line,
    /// * two lines of base64, the destination and then the whole key, as the Go libraries `i2pkeys`
    ///   and `sam3` write them.
    ///
    /// White space at the end of a text is skipped, and a line may end in CRLF.
    ///
    /// # Access by other users
    ///
    /// Any program that can read a key file can act as this service, and any program that can write
    /// it can replace the identity of this service. So on Unix the file must belong to the
    /// effective user of this process, even if that user is root, and neither its group nor others
    /// may have access. The owner is checked on Linux, Android, Apple's systems and the BSDs, but
    /// not on other Unix systems. The folder is not checked: use one that only trusted users can
    /// write to, since other users could remove the key or replace it with another of your keys. On
    /// Windows there is neither check; files in a user's profile are private there by default.
    ///
    /// # Errors
    ///
    /// * [`Io`](KeyFileError::Io) if the file cannot be opened or read
    ///   ([`is_not_found`](KeyFileError::is_not_found) if it does not exist),
    /// * [`NotAFile`](KeyFileError::NotAFile) for a directory, a FIFO or a device,
    /// * [`Owner`](KeyFileError::Owner) if the file belongs to another user,
    /// * [`Permissions`](KeyFileError::Permissions) if other users may access it,
    /// * [`TooLarge`](KeyFileError::TooLarge) above 65536 bytes,
    /// * [`Empty`](KeyFileError::Empty) or [`Invalid`](KeyFileError::Invalid) if it contains no
    ///   key. The error contains no byte of the content.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use i2p_sam::PrivateKey;
    ///
    /// let key = PrivateKey::load("service.key")?;
    /// println!("we are {}", key.destination().b32());
    /// # Ok::<(), i2p_sam::KeyFileError>(())
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        let path = path.as_ref();
        parse(&read(path)?).map_err(|reason| match reason {
            Some(reason) => KeyFileError::Invalid {
                path: path.to_owned(),
                reason,
            },
            None => KeyFileError::Empty(path.to_owned()),
        })
    }

    /// Writes the key to its own file, in binary.
    ///
    /// The file appears under its name only when it is complete and on disk, and it never replaces
    /// another key, even if two processes save at the same time. If the file already contains this
    /// key, it is left unchanged. On Unix only the owner can read and write the file, from its
    /// first byte on; a file system that cannot guarantee this (FAT, some network file systems) is
    /// refused before the key is written. For a moment a `.i2p-key-….tmp` exists in the same
    /// folder; it remains only if the process is killed. The folder must exist.
    ///
    /// On file systems without hard links an empty file claims the name for a moment. So an empty
    /// file counts as an error only after a wait of 2 seconds.
    ///
    /// # Errors
    ///
    /// * [`DifferentKey`](KeyFileError::DifferentKey) if the file contains another key,
    /// * [`Io`](KeyFileError::Io) if it cannot be written,
    /// * [`Owner`](KeyFileError::Owner) or [`Permissions`](KeyFileError::Permissions) if the file
    ///   system does not reserve a new file for this user,
    /// * if the file exists, also every error of [`load`](Self::load).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let base64 = String::new();
    /// let key: i2p_sam::PrivateKey = base64.parse()?;
    /// key.save("service.key")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), KeyFileError> {
        let path = path.as_ref();
        match load_settled(path) {
            Ok(existing) => return self.must_be(&existing, path),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        if publish(self, path, link_or_claim)? {
            return Ok(());
        }
        self.must_be(&load_settled(path)?, path)
    }

    /// Loads the key, or generates and saves one if the file does not exist.
    ///
    /// `generate` is called at most once, and only if the file does not exist. A damaged or unsafe
    /// file is an error, never a reason to make a new identity. If another process saves its key in
    /// the meantime, that key is returned and the generated one is dropped: all processes end with
    /// the same key. An empty file is waited for as in [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// Returns every error of `generate`, [`load`](Self::load) and [`save`](Self::save).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::error::Error;
    /// use i2p_sam::PrivateKey;
    ///
    /// # fn ask_a_router() -> Result<PrivateKey, Box<dyn Error>> { Err("no router".into()) }
    /// let key: Result<PrivateKey, Box<dyn Error>> =
    ///     PrivateKey::load_or_generate("service.key", || ask_a_router());
    /// ```
    pub fn load_or_generate<E>(
        path: impl AsRef<Path>,
        generate: impl FnOnce() -> Result<Self, E>,
    ) -> Result<Self, E>
    where
        E: From<KeyFileError>,
    {
        let path = path.as_ref();
        match load_settled(path) {
            Err(error) if error.is_not_found() => {}
            settled => return Ok(settled?),
        }
        let key = generate()?;
        if publish(&key, path, link_or_claim)? {
            return Ok(key);
        }
        Ok(load_settled(path)?)
    }

    fn must_be(&self, existing: &Self, path: &Path) -> Result<(), KeyFileError> {
        if self == existing {
            return Ok(());
        }
        Err(KeyFileError::DifferentKey(path.to_owned()))
    }
}

/// A file that does not have its final name yet, and is removed unless it gets that name.
struct TempFile {
    path: PathBuf,
}

impl TempFile {
    /// Creates the file. `target` is the final key file, which errors name.
    fn create(target: &Path, content: &[u8]) -> Result<Self, KeyFileError> {
        let path = folder_of(target)?.join(temp_name());
        let file = create_private(&path).map_err(io_error("create", target))?;
        let temp = Self { path };
        write_private(file, content, target)?;
        Ok(temp)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Gives a finished file its name; returns `false` if the name is taken.
type Place = fn(&Path, &Path) -> io::Result<bool>;

/// Saves the key under its name. Returns `false`, and changes nothing, if the name is taken.
fn publish(key: &PrivateKey, path: &Path, place: Place) -> Result<bool, KeyFileError> {
    let temp = TempFile::create(path, key.expose_bytes())?;
    let placed = place(&temp.path, path).map_err(io_error("create", path))?;
    drop(temp);
    if placed {
        sync_folder(path)?;
    }
    Ok(placed)
}

/// Links the file to its name. A rename would replace a key that another process has just saved; a
/// link fails if the name is taken.
fn link_or_claim(temp: &Path, path: &Path) -> io::Result<bool> {
    match fs::hard_link(temp, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // FAT and some network file systems have no links, and Android forbids them; each has its
        // own error code for that. If something else is wrong, the claim fails as well.
        Err(_) => claim_and_rename(temp, path),
    }
}

/// Claims the name with an empty file, without links. Only one process can do that; it then renames
/// over its own claim. Other processes see an empty file for a moment and wait.
fn claim_and_rename(temp: &Path, path: &Path) -> io::Result<bool> {
    match create_private(path) {
        Ok(claim) => drop(claim),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error),
    }
    rename_over_claim(temp, path).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })?;
    Ok(true)
}

/// Renames over the claim, which Windows refuses as long as another process has it open to look into it.
fn rename_over_claim(temp: &Path, path: &Path) -> io::Result<()> {
    if cfg!(windows) {
        for _ in 0..CLAIM_POLLS {
            match fs::rename(temp, path) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    thread::sleep(CLAIM_POLL);
                }
                outcome => return outcome,
            }
        }
    }
    fs::rename(temp, path)
}

/// Loads a key that another process may be writing at this moment.
fn load_settled(path: &Path) -> Result<PrivateKey, KeyFileError> {
    for _ in 0..CLAIM_POLLS {
        match PrivateKey::load(path) {
            Err(KeyFileError::Empty(_)) => thread::sleep(CLAIM_POLL),
            settled => return settled,
        }
    }
    PrivateKey::load(path)
}

/// Parses the content of a key file; the error `None` means a file without content.
fn parse(content: &[u8]) -> Result<PrivateKey, Option<KeyError>> {
    let text = content.trim_ascii_end();
    if text.is_empty() {
        return Err(None);
    }
    let is_text = |byte: u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    // Binary keys contain the zeros of a certificate, so they never look like text.
    match std::str::from_utf8(text) {
        Ok(text) if text.bytes().all(is_text) => parse_text(text),
        _ => PrivateKey::from_bytes(content),
    }
    .map_err(Some)
}

/// Parses the key alone, or on a second line after its destination.
fn parse_text(text: &str) -> Result<PrivateKey, KeyError> {
    let lines = text
        .split_once('\n')
        .map(|(first, second)| (first.trim_ascii_end().parse::<Destination>(), second));
    // Any other text before a line end is a key wrapped over several lines.
    let Some((Ok(destination), second)) = lines else {
        return text.parse();
    };
    let key: PrivateKey = second.parse()?;
    if key.destination() != &destination {
        return Err(KeyError::DestinationMismatch {
            public: destination.b32().into(),
            private: key.destination().b32().into(),
        });
    }
    Ok(key)
}

fn read(path: &Path) -> Result<Wiped<Vec<u8>>, KeyFileError> {
    // Opening a FIFO would wait for its writer, so look first; the check after opening decides.
    let metadata = fs::metadata(path).map_err(io_error("open", path))?;
    if !metadata.is_file() {
        return Err(KeyFileError::NotAFile(path.to_owned()));
    }
    let file = File::open(path).map_err(io_error("open", path))?;
    let metadata = file.metadata().map_err(io_error("open", path))?;
    if !metadata.is_file() {
        return Err(KeyFileError::NotAFile(path.to_owned()));
    }
    check_access(&metadata, path)?;
    // A buffer that grew would leave copies behind. `read_to_end` itself wants a few bytes more.
    let room = metadata.len().min(MAX_LEN) as usize + 64;
    let mut content = Wiped::new(Vec::with_capacity(room));
    file.take(MAX_LEN + 1)
        .read_to_end(&mut content)
        .map_err(io_error("read", path))?;
    if content.len() as u64 > MAX_LEN {
        return Err(KeyFileError::TooLarge(path.to_owned()));
    }
    Ok(content)
}

/// Creates a file that, on systems with modes, no other user can open, even before its first byte.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Writes to a new file unless other users may read it: a file system may ignore the mode, or give
/// the file to another user.
fn write_private(mut file: File, content: &[u8], target: &Path) -> Result<(), KeyFileError> {
    let metadata = file.metadata().map_err(io_error("create", target))?;
    check_access(&metadata, target)?;
    file.write_all(content).map_err(io_error("write", target))?;
    // The name must not reach the disk before the bytes do.
    file.sync_all().map_err(io_error("write", target))
}

/// Makes the new name survive a power failure.
#[cfg(unix)]
fn sync_folder(path: &Path) -> Result<(), KeyFileError> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};

    match File::open(folder_of(path)?).and_then(|folder| folder.sync_all()) {
        // The folder may be writable but not readable, or the file system may not support it.
        Err(error) if matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported) => {
            Ok(())
        }
        synced => synced.map_err(io_error("sync", path)),
    }
}

/// Does nothing: Windows cannot sync a folder and writes its journal itself.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), KeyFileError> {
    Ok(())
}

fn folder_of(path: &Path) -> Result<&Path, KeyFileError> {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(_)) if folder.as_os_str().is_empty() => Ok(Path::new(".")),
        (Some(folder), Some(_)) => Ok(folder),
        // The path is `/` or ends in `..`.
        _ => Err(KeyFileError::NotAFile(path.to_owned())),
    }
}

/// Returns a name that is not derived from the key file's: a longer name could exceed the file
/// system's limit.
fn temp_name() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    // Includes the process id, because after a fork both processes would draw the same numbers.
    let unique = (std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
    format!(".i2p-key-{:016x}.tmp", RandomState::new().hash_one(unique))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyFileError {
    let path = path.to_owned();
    move |reason| KeyFileError::Io {
        action,
        path,
        reason,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use std::convert::Infallible;
    use std::sync::Barrier;

    use super::super::tests::{destination_bytes, ed25519_key, key_bytes, pattern};
    use super::*;

    /// A separate folder for one test.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(temp_name());
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn key_path(&self) -> PathBuf {
            self.0.join("service.key")
        }

        /// Creates a file with this content that only the owner can read.
        fn with_file(content: &[u8]) -> Self {
            let folder = Self::new();
            let mut file = create_private(&folder.key_path()).unwrap();
            file.write_all(content).unwrap();
            folder
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<_> = fs::read_dir(&self.0)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[derive(Debug)]
    enum TestError {
        NoRouter,
        File(KeyFileError),
    }

    impl From<KeyFileError> for TestError {
        fn from(error: KeyFileError) -> Self {
            Self::File(error)
        }
    }

    fn key(seed: u32) -> PrivateKey {
        PrivateKey::from_bytes(&ed25519_key(seed)).unwrap()
    }

    #[test]
    fn saved_key_loads_again() {
        let folder = Folder::new();
        key(1).save(folder.key_path()).unwrap();
        assert_eq!(PrivateKey::load(folder.key_path()).unwrap(), key(1));
    }

    #[test]
    fn save_writes_binary_key_and_nothing_else() {
        let folder = Folder::new();
        key(1).save(folder.key_path()).unwrap();
        assert_eq!(fs::read(folder.key_path()).unwrap(), ed25519_key(1));
        assert_eq!(folder.names(), ["service.key"]);
    }

    #[test]
    fn bare_name_saves_in_current_folder() {
        assert_eq!(folder_of(Path::new("service.key")).unwrap(), Path::new("."));
    }

    #[test]
    fn temporary_file_is_in_target_folder() {
        let folder = folder_of(Path::new("keys/service.key")).unwrap();
        assert_eq!(folder, Path::new("keys"));
    }

    #[test]
    fn base64_key_with_trailing_whitespace_loads() {
        for end in ["", "\n", "\r\n", " \n\n\t"] {
            let folder = Folder::with_file((key(1).expose_base64() + end).as_bytes());
            let loaded = PrivateKey::load(folder.key_path()).unwrap();
            assert_eq!(loaded, key(1), "{end:?}");
        }
    }

    fn load_text(text: &str) -> Result<PrivateKey, KeyFileError> {
        PrivateKey::load(Folder::with_file(text.as_bytes()).key_path())
    }

    fn reason(outcome: Result<PrivateKey, KeyFileError>) -> KeyError {
        match outcome {
            Err(KeyFileError::Invalid { reason, .. }) => reason,
            outcome => panic!("{outcome:?}"),
        }
    }

    #[test]
    fn key_after_its_destination_loads() {
        let (public, private) = (key(1).destination().to_base64(), key(1).expose_base64());
        for between in ["\n", "\r\n"] {
            for end in ["", "\n", "\r\n"] {
                let loaded = load_text(&format!("{public}{between}{private}{end}"));
                assert_eq!(loaded.unwrap(), key(1), "{between:?} {end:?}");
            }
        }
    }

    #[test]
    fn key_after_other_destination_is_refused() {
        let other = PrivateKey::from_bytes(&key_bytes(&[0, 0, 0], 256, 20, 1)).unwrap();
        let (public, private) = (other.destination(), key(1).expose_base64());
        assert_eq!(
            reason(load_text(&format!("{public}\n{private}\n"))),
            KeyError::DestinationMismatch {
                public: public.b32().into(),
                private: key(1).destination().b32().into(),
            }
        );
    }

    #[test]
    fn two_destination_lines_are_public_only() {
        let public = key(1).destination().to_base64();
        let outcome = load_text(&format!("{public}\n{public}\n"));
        assert_eq!(reason(outcome), KeyError::PublicOnly);
    }

    #[test]
    fn key_wrapped_into_lines_is_refused() {
        let text = key(1).expose_base64();
        let (head, tail) = text.split_at(76);
        let outcome = load_text(&format!("{head}\n{tail}\n"));
        assert_eq!(reason(outcome), KeyError::InvalidBase64 { offset: 76 });
    }

    #[test]
    fn binary_key_ending_in_whitespace_loads() {
        let mut bytes = ed25519_key(1);
        *bytes.last_mut().unwrap() = b'\n';
        let folder = Folder::with_file(&bytes);
        let loaded = PrivateKey::load(folder.key_path()).unwrap();
        assert_eq!(loaded.expose_bytes(), bytes);
    }

    #[test]
    fn ascii_binary_key_is_no_text() {
        let bytes: Vec<_> = ed25519_key(1).iter().map(|byte| byte & 0x7f).collect();
        let folder = Folder::with_file(&bytes);
        let loaded = PrivateKey::load(folder.key_path()).unwrap();
        assert_eq!(loaded.expose_bytes(), bytes);
    }

    #[test]
    fn saving_same_key_keeps_file() {
        let text = key(1).expose_base64();
        let folder = Folder::with_file(text.as_bytes());
        key(1).save(folder.key_path()).unwrap();
        assert_eq!(fs::read(folder.key_path()).unwrap(), text.as_bytes());
    }

    #[test]
    fn other_key_is_never_overwritten() {
        let folder = Folder::new();
        key(1).save(folder.key_path()).unwrap();
        let error = key(2).save(folder.key_path()).unwrap_err();
        assert!(matches!(error, KeyFileError::DifferentKey(_)), "{error}");
        assert_eq!(PrivateKey::load(folder.key_path()).unwrap(), key(1));
        assert_eq!(folder.names(), ["service.key"]);
    }

    #[test]
    fn non_key_file_is_never_overwritten() {
        let folder = Folder::with_file(b"my diary");
        assert!(key(1).save(folder.key_path()).is_err());
        assert_eq!(fs::read(folder.key_path()).unwrap(), b"my diary");
    }

    #[test]
    fn missing_file_or_folder_is_not_found() {
        let folder = Folder::new();
        let missing = folder.0.join("no/service.key");
        assert!(PrivateKey::load(&missing).unwrap_err().is_not_found());
        assert!(key(1).save(&missing).unwrap_err().is_not_found());
    }

    #[test]
    fn empty_file_is_refused() {
        for content in ["", "\n", "  \r\n"] {
            let folder = Folder::with_file(content.as_bytes());
            let error = parse(&read(&folder.key_path()).unwrap()).unwrap_err();
            assert_eq!(error, None);
            let error = PrivateKey::load(folder.key_path()).unwrap_err();
            assert!(matches!(error, KeyFileError::Empty(_)), "{error}");
        }
    }

    #[test]
    fn destination_in_key_file_is_refused() {
        let folder = Folder::with_file(&destination_bytes(&[5, 0, 4, 0, 7, 0, 0]));
        let error = PrivateKey::load(folder.key_path()).unwrap_err();
        let reason = KeyError::PublicOnly;
        assert!(matches!(error, KeyFileError::Invalid { reason: r, .. } if r == reason));
    }

    #[test]
    fn garbage_is_refused_and_concealed() {
        let text = key(1).expose_base64();
        let cut = &text[..text.len() - 5];
        let quoted = format!("\"{text}\"");
        for content in [
            cut.as_bytes(),
            quoted.as_bytes(),
            &pattern(700, 3),
            "kéy".as_bytes(),
        ] {
            let folder = Folder::with_file(content);
            let error = PrivateKey::load(folder.key_path()).unwrap_err();
            assert!(matches!(error, KeyFileError::Invalid { .. }), "{error}");
            let shown = format!("{error} {error:?}");
            for window in text.as_bytes().windows(12) {
                assert!(!shown.contains(std::str::from_utf8(window).unwrap()));
            }
        }
    }

    #[test]
    fn truncated_key_file_is_refused() {
        for len in 0..679 {
            assert!(parse(&ed25519_key(1)[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn file_beyond_64_kib_is_refused() {
        let folder = Folder::with_file(&vec![b'A'; 65537]);
        let error = PrivateKey::load(folder.key_path()).unwrap_err();
        assert!(matches!(error, KeyFileError::TooLarge(_)), "{error}");
        let folder = Folder::with_file(&vec![b'A'; 65536]);
        let error = PrivateKey::load(folder.key_path()).unwrap_err();
        assert!(matches!(error, KeyFileError::Invalid { .. }), "{error}");
    }

    #[test]
    fn folder_is_no_key_file() {
        let folder = Folder::new();
        for path in [folder.0.as_path(), Path::new(".."), Path::new("/")] {
            let error = PrivateKey::load(path).unwrap_err();
            assert!(matches!(error, KeyFileError::NotAFile(_)), "{error}");
            let error = key(1).save(path).unwrap_err();
            assert!(matches!(error, KeyFileError::NotAFile(_)), "{error}");
        }
    }

    #[test]
    fn key_is_generated_once_then_loaded() {
        let folder = Folder::new();
        let first = PrivateKey::load_or_generate(folder.key_path(), || Ok::<_, TestError>(key(1)));
        assert_eq!(first.unwrap(), key(1));
        let second = PrivateKey::load_or_generate(folder.key_path(), || {
            Err::<PrivateKey, _>(TestError::NoRouter)
        });
        assert_eq!(second.unwrap(), key(1));
    }

    #[test]
    fn failed_generation_leaves_no_file() {
        let folder = Folder::new();
        let result = PrivateKey::load_or_generate(folder.key_path(), || Err(TestError::NoRouter));
        assert!(matches!(result, Err(TestError::NoRouter)));
        assert!(folder.names().is_empty());
    }

    #[test]
    fn damaged_file_generates_no_key() {
        let folder = Folder::with_file(b"damaged");
        let result = PrivateKey::load_or_generate(folder.key_path(), || Err(TestError::NoRouter));
        let error = result.unwrap_err();
        assert!(matches!(
            error,
            TestError::File(KeyFileError::Invalid { .. })
        ));
        assert_eq!(fs::read(folder.key_path()).unwrap(), b"damaged");
    }

    #[test]
    fn key_appearing_during_generation_wins() {
        let folder = Folder::new();
        let result = PrivateKey::load_or_generate(folder.key_path(), || {
            key(1).save(folder.key_path()).map_err(TestError::File)?;
            Ok::<_, TestError>(key(2))
        });
        assert_eq!(result.unwrap(), key(1));
        assert_eq!(folder.names(), ["service.key"]);
    }

    /// Runs `work` in many threads at the same time, each with its own seed.
    fn race<T: Send>(work: impl Fn(u32) -> T + Sync) -> Vec<T> {
        let barrier = Barrier::new(16);
        thread::scope(|scope| {
            let threads: Vec<_> = (1..=16)
                .map(|seed| {
                    let (barrier, work) = (&barrier, &work);
                    scope.spawn(move || {
                        barrier.wait();
                        work(seed)
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        })
    }

    #[test]
    fn concurrent_generation_yields_one_key() {
        for _ in 0..10 {
            let folder = Folder::new();
            let keys = race(|seed| {
                PrivateKey::load_or_generate(folder.key_path(), || Ok::<_, TestError>(key(seed)))
                    .unwrap()
            });
            let winner = PrivateKey::load(folder.key_path()).unwrap();
            assert!(keys.iter().all(|key| *key == winner));
            assert_eq!(folder.names(), ["service.key"]);
        }
    }

    #[test]
    fn concurrent_saves_of_different_keys_have_one_winner() {
        for _ in 0..10 {
            let folder = Folder::new();
            let saved = race(|seed| key(seed).save(folder.key_path()));
            assert_eq!(saved.iter().filter(|result| result.is_ok()).count(), 1);
            assert!(
                saved
                    .iter()
                    .flat_map(|result| result.as_ref().err())
                    .all(|error| matches!(error, KeyFileError::DifferentKey(_)))
            );
            assert_eq!(folder.names(), ["service.key"]);
        }
    }

    #[test]
    fn concurrent_saves_of_same_key_succeed() {
        let folder = Folder::new();
        let saved = race(|_| key(1).save(folder.key_path()));
        assert!(saved.iter().all(Result::is_ok));
    }

    #[test]
    fn race_without_hard_links_has_one_winner() {
        for _ in 0..10 {
            let folder = Folder::new();
            let path = folder.key_path();
            let results = race(|seed| {
                let won = publish(&key(seed), &path, claim_and_rename).unwrap();
                (won, seed, load_settled(&path).unwrap())
            });
            let winners: Vec<_> = results.iter().filter(|(won, ..)| *won).collect();
            assert_eq!(winners.len(), 1);
            let winner = key(winners[0].1);
            assert!(results.iter().all(|(.., loaded)| *loaded == winner));
            assert_eq!(folder.names(), ["service.key"]);
        }
    }

    #[test]
    fn failed_save_leaves_nothing() {
        let folder = Folder::new();
        let fails: Place = |_, _| Err(io::ErrorKind::StorageFull.into());
        let error = publish(&key(1), &folder.key_path(), fails).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(folder.names().is_empty());
    }

    #[test]
    fn unfilled_claim_is_removed() {
        let folder = Folder::new();
        let gone = folder.0.join("gone");
        assert!(claim_and_rename(&gone, &folder.key_path()).is_err());
        assert!(folder.names().is_empty());
    }

    #[test]
    fn placement_failure_is_not_already_exists() {
        let folder = Folder::new();
        let missing = folder.0.join("missing");
        for place in [link_or_claim, claim_and_rename] {
            let outcome = place(&missing, &folder.key_path());
            assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::NotFound);
            let outcome = place(&missing, &missing.join("service.key"));
            assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        assert!(folder.names().is_empty());
    }

    #[test]
    fn generator_may_return_any_convertible_error() -> Result<(), Box<dyn std::error::Error>> {
        let folder = Folder::new();
        PrivateKey::load_or_generate(folder.key_path(), || {
            let generated: Result<_, Infallible> = Ok(key(1));
            Ok::<_, Box<dyn std::error::Error>>(generated?)
        })?;
        Ok(())
    }

    #[cfg(unix)]
    mod unix {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
        use std::os::unix::net::UnixListener;
        use std::process::Command;

        use super::*;

        fn set_mode(path: &Path, mode: u32) {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }

        fn mode(path: &Path) -> u32 {
            fs::metadata(path).unwrap().permissions().mode() & 0o7777
        }

        #[test]
        fn saved_file_is_private_to_owner() {
            let folder = Folder::new();
            key(1).save(folder.key_path()).unwrap();
            assert_eq!(mode(&folder.key_path()), 0o600);
        }

        #[test]
        fn temporary_file_is_private_to_owner() {
            let folder = Folder::new();
            let path = folder.key_path();
            let temp = TempFile::create(&path, b"key").unwrap();
            assert_eq!(mode(&temp.path), 0o600);
            drop(temp);
            publish(&key(1), &path, claim_and_rename).unwrap();
            assert_eq!(mode(&path), 0o600);
        }

        #[test]
        fn file_open_to_others_is_not_written() {
            let folder = Folder::with_file(b"");
            let path = folder.key_path();
            set_mode(&path, 0o644);
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            let error = write_private(file, b"key", &path).unwrap_err();
            assert!(matches!(error, KeyFileError::Permissions { .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), b"");
        }

        #[test]
        fn file_open_to_others_is_refused_with_remedy() {
            let folder = Folder::with_file(&ed25519_key(1));
            let path = folder.key_path();
            for open in [0o640, 0o604, 0o620, 0o610, 0o601, 0o666, 0o644] {
                set_mode(&path, open);
                let error = PrivateKey::load(&path).unwrap_err();
                let found = matches!(error, KeyFileError::Permissions { mode, .. } if mode == open);
                assert!(found, "{error}");
                let advice = format!("`chmod 600 {}`", path.display());
                assert!(error.to_string().contains(&advice), "{error}");
                assert!(key(1).save(&path).is_err());
            }
            set_mode(&path, 0o600);
            assert!(PrivateKey::load(&path).is_ok());
            set_mode(&path, 0o400);
            assert!(PrivateKey::load(&path).is_ok());
        }

        /// Returns a key file that belongs to another user: root can make one, and other users find
        /// one of root's.
        fn foreign_file(folder: &Folder) -> PathBuf {
            let path = folder.key_path();
            let other = fs::metadata(&path).unwrap().uid() ^ 1;
            match chown(&path, Some(other), None) {
                Ok(()) => path,
                Err(_) => "/etc/passwd".into(),
            }
        }

        #[test]
        fn file_of_other_user_is_refused() {
            let folder = Folder::with_file(&ed25519_key(1));
            let path = foreign_file(&folder);
            let id = fs::metadata(&path).unwrap().uid();
            let own = fs::metadata(&folder.0).unwrap().uid();
            for error in [
                PrivateKey::load(&path).unwrap_err(),
                key(1).save(&path).unwrap_err(),
            ] {
                let found = matches!(
                    error,
                    KeyFileError::Owner { owner, user, .. } if (owner, user) == (id, own)
                );
                assert!(found, "{error}");
            }
        }

        #[test]
        fn link_to_file_of_other_user_is_refused() {
            let folder = Folder::with_file(&ed25519_key(1));
            let link = folder.0.join("link");
            symlink(foreign_file(&folder), &link).unwrap();
            let error = PrivateKey::load(&link).unwrap_err();
            assert!(matches!(error, KeyFileError::Owner { .. }), "{error}");
        }

        #[test]
        fn file_open_to_others_generates_no_key() {
            let folder = Folder::with_file(&ed25519_key(1));
            set_mode(&folder.key_path(), 0o644);
            let result =
                PrivateKey::load_or_generate(folder.key_path(), || Err(TestError::NoRouter));
            let error = result.unwrap_err();
            assert!(matches!(
                error,
                TestError::File(KeyFileError::Permissions { .. })
            ));
        }

        #[test]
        fn special_files_are_refused_at_once() {
            let folder = Folder::new();
            let fifo = folder.0.join("fifo");
            assert!(
                Command::new("mkfifo")
                    .arg(&fifo)
                    .status()
                    .unwrap()
                    .success()
            );
            let socket = folder.0.join("socket");
            let _listener = UnixListener::bind(&socket).unwrap();
            for path in [&fifo, &socket, Path::new("/dev/null")] {
                let error = PrivateKey::load(path).unwrap_err();
                assert!(matches!(error, KeyFileError::NotAFile(_)), "{error}");
                assert!(key(1).save(path).is_err());
            }
        }

        #[test]
        fn link_to_key_file_is_followed() {
            let folder = Folder::with_file(&ed25519_key(1));
            let link = folder.0.join("link");
            symlink(folder.key_path(), &link).unwrap();
            assert_eq!(PrivateKey::load(&link).unwrap(), key(1));
            key(1).save(&link).unwrap();
        }

        #[test]
        fn dangling_link_is_neither_followed_nor_replaced() {
            let folder = Folder::new();
            symlink(folder.0.join("elsewhere"), folder.key_path()).unwrap();
            assert!(key(1).save(folder.key_path()).is_err());
            assert_eq!(folder.names(), ["service.key"]);
        }
    }
}
