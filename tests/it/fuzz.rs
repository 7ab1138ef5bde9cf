//! The fuzz targets in short: their corpora, and some thousand mutations of them. `fuzz/run` lets libFuzzer do the same
//! for hours.

#[allow(unreachable_pub, reason = "the targets are a library elsewhere")]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::Path;

/// Inputs for each target.
const MUTATIONS: usize = 2_000;
/// Largest input, in bytes.
const MOST: usize = 4_096;

/// A small generator whose numbers are the same in every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides.max(1)
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Changes, adds, takes out, repeats, and puts two inputs together.
fn mutate(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[dice.roll(corpus.len())].clone();
    for _ in 0..1 + dice.roll(4) {
        let at = dice.roll(input.len() + 1);
        let until = (at + 1 + dice.roll(16)).min(input.len());
        match dice.roll(6) {
            0 if at < input.len() => input[at] ^= 1 << dice.roll(8),
            1 => input.insert(at, dice.roll(256) as u8),
            2 if at < input.len() => drop(input.drain(at..until)),
            3 if at < input.len() => {
                let piece = input[at..until].to_vec();
                let to = dice.roll(input.len());
                input.splice(to..to, piece);
            }
            4 => {
                let other = &corpus[dice.roll(corpus.len())];
                input.truncate(at);
                input.extend_from_slice(&other[dice.roll(other.len() + 1)..]);
            }
            _ if at < input.len() => input[at] = *b"\0\xff\"{}[],:\\$0-\x7f\x80 ".get(dice.roll(17)).unwrap_or(&b'9'),
            _ => {}
        }
    }
    input.truncate(MOST);
    input
}

fn run(name: &str) {
    let target = targets::target(name);
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "no corpus for {name}");
    corpus.iter().for_each(|input| target(input));
    let mut dice = Dice(0x5eed);
    for _ in 0..MUTATIONS {
        target(&mutate(&mut dice, &corpus));
    }
}

macro_rules! smoke {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(stringify!($name)); })*

        #[test]
        fn every_target_is_run() {
            let run = [$(stringify!($name)),*];
            assert!(targets::TARGETS.iter().map(|(name, _)| *name).eq(run));
        }
    };
}

smoke! { command event frames session takeover room public_key link card message json parts }

/// Writes the corpus of `takeover` anew: needed when the format of the records changes.
#[test]
#[ignore = "writes fuzz/corpus/takeover"]
fn write_the_takeover_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/takeover");
    for name in ["talk", "away", "resume", "remove", "expire"] {
        let session = fs::read(folder.with_file_name("session").join(name)).unwrap();
        fs::write(folder.join(name), targets::relay::saved(&session)).unwrap();
    }
}
