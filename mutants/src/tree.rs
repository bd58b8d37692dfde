//! A copy of the repository with all faults in it: written, compiled, and its tests run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::switch::switched;
use crate::{Failed, Fault, at_once};

/// Longest that a test with a fault in it may take, and how many times longer than without.
const PATIENCE: (Duration, u32) = (Duration::from_secs(20), 10);
const ARGUMENTS: [&str; 6] =
    ["--locked", "--workspace", "--no-default-features", "--features", "cli", "--message-format=json"];
/// Turned on by the environment; and each that is come by is written down.
const SWITCH: &str = r#"
#[doc(hidden)]
#[allow(missing_docs)]
pub fn fault(number: usize) -> bool {
    use std::io::Write as _;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicBool, Ordering};
    static ON: LazyLock<Option<usize>> = LazyLock::new(|| std::env::var("FAULT").ok()?.parse().ok());
    static REACHED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("FAULTS_REACHED").ok());
    static SEEN: [AtomicBool; 10_000] = [const { AtomicBool::new(false) }; 10_000];
    if let Some(path) = REACHED.as_ref()
        && !SEEN[number].swap(true, Ordering::Relaxed)
        && let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path)
    {
        let _ = file.write_all(format!("{number}\n").as_bytes());
    }
    *ON == Some(number)
}
"#;

/// The copy, in `target/mutants`.
pub struct Tree {
    root: PathBuf,
    target: PathBuf,
}

/// One test, as it runs without a fault.
pub struct Test {
    pub name: String,
    pub took: Duration,
    /// The faults that it comes by.
    pub reached: BTreeSet<usize>,
    program: PathBuf,
    folder: PathBuf,
    root: PathBuf,
}

impl Tree {
    pub fn copied() -> Result<Self, Failed> {
        let here = std::env::current_dir()?.join("target/mutants");
        let root = here.join("tree");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        let files = Command::new("git").args(["ls-files", "-z"]).output()?.stdout;
        for name in String::from_utf8(files)?.split_terminator('\0').filter(|name| Path::new(name).is_file()) {
            let copy = root.join(name);
            fs::create_dir_all(copy.parent().ok_or("a file without a folder")?)?;
            fs::copy(name, copy)?;
        }
        Ok(Self { root, target: here.join("target") })
    }

    /// Writes the faults into the copy, without those that do not compile, and says which are there.
    pub fn switch_all(&self, faults: &[Fault]) -> Result<BTreeSet<usize>, Failed> {
        let mut left_out = BTreeSet::new();
        loop {
            let there = self.write(faults, &left_out)?;
            let (said, _) = self.cargo("check", &["--lib", "-p", "eks-sg-guard-core", "--features", "for-tests"])?;
            let wrong: BTreeSet<usize> = said.iter().flat_map(|message| self.blamed(message, faults)).collect();
            if wrong.is_empty() {
                return if said.iter().any(is_error) {
                    Err(format!("{}", said[0]["rendered"]).into())
                } else {
                    Ok(there)
                };
            }
            eprintln!("{} of them do not compile", left_out.len() + wrong.len());
            left_out.extend(wrong);
        }
    }

    fn write(&self, faults: &[Fault], left_out: &BTreeSet<usize>) -> Result<BTreeSet<usize>, Failed> {
        let mut files: BTreeMap<&str, Vec<(usize, &Fault)>> = BTreeMap::new();
        for (number, fault) in faults.iter().enumerate() {
            files.entry(&fault.file).or_default().push((number, fault));
        }
        let mut there = BTreeSet::new();
        for (name, mut faults) in files {
            faults.retain(|(number, _)| !left_out.contains(number));
            let (text, done) = switched(&fs::read_to_string(name)?, &faults);
            fs::write(self.root.join(name), text)?;
            there.extend(done);
        }
        let library = "core/src/lib.rs";
        fs::write(self.root.join(library), fs::read_to_string(library)? + SWITCH)?;
        Ok(there)
    }

    /// The faults that an error is about: of arms that are missing those nearby, otherwise the last one before its end.
    fn blamed(&self, message: &Value, faults: &[Fault]) -> Vec<usize> {
        let spans = message["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut spans: Vec<&Value> = spans.iter().filter(|_| is_error(message)).collect();
        spans.sort_by_key(|span| span["is_primary"] != true);
        for span in spans {
            let Ok(text) = fs::read_to_string(self.root.join(span["file_name"].as_str().unwrap_or_default())) else {
                continue;
            };
            let byte = |name: &str| span[name].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or_default();
            let (start, end) = (byte("byte_start"), byte("byte_end"));
            let all: Vec<(usize, usize)> = text
                .match_indices("crate::fault(")
                .filter_map(|(at, found)| Some((at, text[at + found.len()..].split_once(')')?.0.parse().ok()?)))
                .collect();
            let line = text[..start].rfind('\n').unwrap_or_default();
            let next = text[end..].find('\n').map_or(text.len(), |at| end + at);
            if message["code"]["code"] == "E0004" {
                let near = |(at, number): &&(usize, usize)| {
                    (line..end + 4_000).contains(at) && faults[*number].genre == "MatchArm"
                };
                return all.iter().filter(near).map(|(_, number)| *number).collect();
            }
            let before = all.iter().rfind(|(at, _)| (line..end).contains(at));
            let after = || all.iter().find(|(at, _)| (end..next).contains(at));
            if let Some((_, number)) = before.or_else(after).or_else(|| all.iter().rfind(|(at, _)| *at < end)) {
                return vec![*number];
            }
        }
        Vec::new()
    }

    /// What the compiler said; and the programs of tests, with the folder that each runs in.
    fn cargo(&self, command: &str, more: &[&str]) -> Result<(Vec<Value>, Vec<(PathBuf, PathBuf)>), Failed> {
        let arguments = if command == "check" { &ARGUMENTS[5..] } else { &ARGUMENTS[..] };
        let mut cargo = Command::new("cargo");
        cargo.arg(command).args(arguments).args(more).current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        cargo.envs([
            ("RUSTFLAGS", "--cap-lints allow"),
            ("CARGO_PROFILE_DEV_DEBUG", "0"),
            ("CARGO_PROFILE_DEV_OPT_LEVEL", "1"),
        ]);
        let output = cargo.stderr(Stdio::inherit()).output()?.stdout;
        let lines: Vec<Value> =
            output.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let programs = lines.iter().filter(|line| line["profile"]["test"] == true).filter_map(|line| {
            let folder = Path::new(line["manifest_path"].as_str()?).parent()?;
            Some((PathBuf::from(line["executable"].as_str()?), folder.to_owned()))
        });
        let programs = programs.collect();
        Ok((lines.into_iter().filter_map(|mut line| Some(line.get_mut("message")?.take())).collect(), programs))
    }

    /// All tests of the core and of the command line, run once without a fault.
    pub fn tests(&self) -> Result<Vec<Test>, Failed> {
        let (_, programs) = self.cargo("test", &["--no-run"])?;
        let mut names = Vec::new();
        for (program, folder) in programs {
            let listed =
                Command::new(&program).args(["--list", "--format", "terse"]).current_dir(&folder).output()?.stdout;
            let listed = String::from_utf8(listed)?;
            let tests = listed.lines().filter_map(|line| line.strip_suffix(": test"));
            names.extend(tests.map(|name| (program.clone(), folder.clone(), name.to_owned())));
        }
        let (tests, faulty) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        at_once(&names, |(program, folder, name)| {
            let (name, program, folder) = (name.clone(), program.clone(), folder.clone());
            let (took, reached, root) = (Duration::ZERO, BTreeSet::new(), self.root.clone());
            let mut test = Test { name, took, reached, program, folder, root };
            let known = if test.is_run() { &tests } else { &faulty };
            known.lock().expect("no thread panics").push(test);
        });
        match faulty.into_inner()?.first() {
            Some(test) => Err(format!("`{}` fails without a fault", test.name).into()),
            None => Ok(tests.into_inner()?),
        }
    }
}

fn is_error(message: &Value) -> bool {
    message["level"] == "error"
}

impl Test {
    /// Runs it without a fault: how long it takes, and what it comes by. Whether it passed.
    fn is_run(&mut self) -> bool {
        let list =
            std::env::temp_dir().join(format!("faults-{}-{:?}", std::process::id(), std::thread::current().id()));
        let start = Instant::now();
        let passed = self.passes(("FAULTS_REACHED", &list.to_string_lossy()), Duration::from_secs(300));
        self.took = start.elapsed();
        let reached = fs::read_to_string(&list).unwrap_or_default();
        self.reached = reached.lines().filter_map(|number| number.parse().ok()).collect();
        drop(fs::remove_file(list));
        passed
    }

    pub fn passes_with(&self, fault: usize) -> bool {
        self.passes(("FAULT", &fault.to_string()), PATIENCE.0.max(self.took * PATIENCE.1))
    }

    fn passes(&self, (name, value): (&str, &str), patience: Duration) -> bool {
        let mut test = Command::new(&self.program);
        test.args(["--exact", &self.name, "--test-threads=1"]).current_dir(&self.folder).env(name, value);
        test.env("INSTA_UPDATE", "no").env("INSTA_WORKSPACE_ROOT", &self.root).env("RUST_BACKTRACE", "0");
        let Ok(mut running) = test.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            return false;
        };
        let end = Instant::now() + patience;
        loop {
            match running.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(3)),
                _ => {
                    drop(running.kill());
                    drop(running.wait());
                    return false;
                }
            }
        }
    }
}
