//! Looks for canaries in all memory of another process, in every form in which they could lie there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::pkcs1::{LineEnding, RsaPublicKeyRef, pem};
use rsa::pkcs8::der::{Encode, asn1::UintRef};

/// The mask that the tests' clients use, so that a payload is known again before it is unmasked.
pub(crate) const MASK: [u8; 4] = [0x17, 0x2a, 0x99, 0x04];
/// Bytes of a canary that are looked for together: enough never to stand somewhere by chance, little enough to find
/// half-wiped ones.
const PIECE: usize = 16;
/// Bytes that are read from the process at once.
const CHUNK: usize = 1 << 20;
const PAGE: usize = 4096;

/// Something unique that went into the process.
struct Canary {
    field: String,
    /// It is kept while its room is open, so that a scan must find it then.
    kept: bool,
    /// Text and bytes; a token is both.
    texts: Vec<String>,
    bytes: Vec<Vec<u8>>,
}

/// All canaries of a scene.
#[derive(Default)]
pub(crate) struct Canaries(Vec<Canary>);

pub(crate) fn random_text(length: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..length).map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())])).collect()
}

impl Canaries {
    fn add(&mut self, field: &str, kept: bool, texts: Vec<String>, bytes: Vec<Vec<u8>>) {
        self.0.push(Canary { field: field.to_owned(), kept, texts, bytes });
    }

    /// A new text that the process holds while the room is open.
    pub(crate) fn kept(&mut self, field: &str, length: usize) -> String {
        let text = random_text(length);
        self.add(field, true, vec![text.clone()], Vec::new());
        text
    }

    /// A new text that only passes through.
    pub(crate) fn passing(&mut self, field: &str, length: usize) -> String {
        let text = random_text(length);
        self.add(field, false, vec![text.clone()], Vec::new());
        text
    }

    /// A text of the process's own making that only passes through.
    pub(crate) fn passing_text(&mut self, field: &str, text: &str) {
        self.add(field, false, vec![text.to_owned()], Vec::new());
    }

    /// Bytes that only pass through.
    pub(crate) fn passing_bytes(&mut self, field: &str, bytes: &[u8]) {
        self.add(field, false, Vec::new(), vec![bytes.to_vec()]);
    }

    /// A key, token or id that the process made: 24 bytes, written as 32 characters.
    pub(crate) fn token(&mut self, field: &str, kept: bool, text: &str) -> String {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        self.add(field, kept, vec![text.to_owned()], vec![bytes]);
        text.to_owned()
    }

    /// A new public key, in PEM.
    pub(crate) fn public_key(&mut self, field: &str, kept: bool) -> String {
        let mut modulus = [0u8; 256];
        rand::fill(&mut modulus[..]);
        modulus[0] |= 0x80;
        modulus[255] |= 1;
        let number = |bytes| UintRef::new(bytes).unwrap();
        let key = RsaPublicKeyRef { modulus: number(&modulus), public_exponent: number(&[1, 0, 1]) };
        let der = key.to_der().unwrap();
        // A line of PEM is 48 bytes; the first holds the header, and is the same for all keys in part.
        let lines = der.chunks(48).skip(1).take(4).map(|line| STANDARD.encode(line)).collect();
        self.add(field, kept, lines, vec![modulus[40..].to_vec()]);
        pem::encode_string("RSA PUBLIC KEY", LineEnding::LF, &der).unwrap()
    }

    /// The places of canaries with one of these texts.
    pub(crate) fn named(&self, texts: &[&str]) -> Vec<usize> {
        let is_one = |canary: &Canary| canary.texts.iter().any(|own| texts.contains(&own.as_str()));
        (0..self.0.len()).filter(|index| is_one(&self.0[*index])).collect()
    }

    /// The fields whose text stands in `text`.
    pub(crate) fn within(&self, text: &str) -> Vec<&str> {
        let told = |canary: &&Canary| canary.texts.iter().any(|own| text.contains(own.as_str()));
        self.0.iter().filter(told).map(|canary| canary.field.as_str()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn scanner(&self) -> Scanner {
        let mut needles = Vec::new();
        let mut meaning = Vec::new();
        for (index, canary) in self.0.iter().enumerate() {
            let texts = canary.texts.iter().flat_map(|text| pieces(text.as_bytes()).into_iter().flat_map(forms));
            let bytes = canary.bytes.iter().flat_map(|bytes| pieces(bytes).into_iter().flat_map(binary_forms));
            for (form, needle) in texts.chain(bytes) {
                needles.push(needle);
                meaning.push((index, form));
            }
        }
        Scanner {
            finder: AhoCorasick::new(&needles).unwrap(),
            meaning,
            longest: needles.iter().map(Vec::len).max().unwrap_or(1),
        }
    }
}

/// The beginning, the middle and the end.
fn pieces(bytes: &[u8]) -> Vec<&[u8]> {
    let last = bytes.len().checked_sub(PIECE).expect("a canary long enough");
    let mut starts = vec![0, last / 2, last];
    starts.dedup();
    starts.into_iter().map(|start| &bytes[start..start + PIECE]).collect()
}

fn hex(bytes: &[u8], upper: bool) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }.into_bytes())
        .collect()
}

fn binary_forms(piece: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![("raw", piece.to_vec()), ("hex", hex(piece, false)), ("HEX", hex(piece, true))];
    for turn in 0..4 {
        let mask = MASK.iter().cycle().skip(turn);
        forms.push(("masked", piece.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect()));
    }
    forms
}

fn forms(piece: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = binary_forms(piece);
    for shift in 0..3 {
        // What stands before and behind changes the characters at the edges.
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(piece);
        let end = shifted.len() / 3 * 4;
        let start = if shift == 0 { 0 } else { 4 };
        for text in [STANDARD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            forms.push(("base64", text.as_bytes()[start..end].to_vec()));
        }
    }
    let text = std::str::from_utf8(piece).unwrap();
    forms.push(("UTF-16 LE", text.encode_utf16().flat_map(u16::to_le_bytes).collect()));
    forms.push(("UTF-16 BE", text.encode_utf16().flat_map(u16::to_be_bytes).collect()));
    forms.push(("JSON", piece.iter().flat_map(|byte| format!("\\u{byte:04x}").into_bytes()).collect()));
    forms.push(("JSON", piece.iter().flat_map(|byte| format!("\\u{byte:04X}").into_bytes()).collect()));
    forms
}

/// Ready to scan.
pub(crate) struct Scanner {
    finder: AhoCorasick,
    meaning: Vec<(usize, &'static str)>,
    longest: usize,
}

/// What a scan found.
#[derive(Default)]
pub(crate) struct Found {
    hits: BTreeMap<usize, Vec<String>>,
    pub(crate) bytes: usize,
}

impl Found {
    pub(crate) fn count(&self) -> usize {
        self.hits.values().map(Vec::len).sum()
    }

    /// The same without some canaries.
    pub(crate) fn without(mut self, canaries: &[usize]) -> Self {
        canaries.iter().for_each(|index| drop(self.hits.remove(index)));
        self
    }

    /// In how many canaries.
    pub(crate) fn canaries(&self) -> usize {
        self.hits.len()
    }

    /// Every hit, with where it is and what stands around it.
    pub(crate) fn report(&self, canaries: &Canaries) -> String {
        let mut report = String::new();
        for (index, hits) in &self.hits {
            report += &format!("{} ({} hits)\n", canaries.0[*index].field, hits.len());
            hits.iter().take(2).for_each(|hit| report += &format!("    {hit}\n"));
        }
        report
    }

    /// The fields that should be there and are not.
    pub(crate) fn missing(&self, canaries: &Canaries) -> Vec<String> {
        let all = canaries.0.iter().enumerate();
        all.filter(|(index, canary)| canary.kept && !self.hits.contains_key(index))
            .map(|(_, canary)| canary.field.clone())
            .collect()
    }
}

impl Scanner {
    /// Scans every mapping of the process that can be read.
    pub(crate) fn scan(&self, process: u32) -> Found {
        let mut found = Found::default();
        let memory = File::open(format!("/proc/{process}/mem"))
            .expect("the memory of a process: this needs root or CAP_SYS_PTRACE");
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
        for mapping in maps.lines() {
            let (range, rest) = mapping.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
            // Neither holds memory of the process.
            if rest.starts_with('r')
                && !rest.ends_with("[vvar]")
                && !rest.ends_with("[vvar_vclock]")
                && !rest.ends_with("[vsyscall]")
            {
                self.scan_mapping(&memory, (start, end), mapping, &mut found);
            }
        }
        found
    }

    fn scan_mapping(&self, memory: &File, (start, end): (u64, u64), mapping: &str, found: &mut Found) {
        let mut buffer = vec![0; CHUNK];
        let mut at = start;
        while at < end {
            let length = CHUNK.min((end - at) as usize);
            let Ok(read) = memory.read_at(&mut buffer[..length], at) else { return };
            if read == 0 {
                return;
            }
            found.bytes += read;
            self.scan_chunk(&buffer[..read], at, mapping, found);
            // Once more over the seam.
            at += if read > self.longest && at + (read as u64) < end {
                (read - self.longest) as u64
            } else {
                read as u64
            };
        }
    }

    fn scan_chunk(&self, chunk: &[u8], at: u64, mapping: &str, found: &mut Found) {
        const ZEROS: [u8; PAGE] = [0; PAGE];
        let mut from = 0;
        // Runs of pages that are not all zero.
        while from < chunk.len() {
            let page = |at: usize| &chunk[at..chunk.len().min(at + PAGE)];
            let empty = |at: usize| *page(at) == ZEROS[..page(at).len()];
            if empty(from) {
                from += PAGE;
                continue;
            }
            let mut to = from;
            while to < chunk.len() && !empty(to) {
                to += PAGE;
            }
            let to = to.min(chunk.len());
            for hit in self.finder.find_overlapping_iter(&chunk[from..to]) {
                let (index, form) = self.meaning[hit.pattern().as_usize()];
                let place = from + hit.start();
                let around = &chunk[place.saturating_sub(32)..chunk.len().min(place + 48)];
                let description = format!("{form} at {:#x}: {} [{mapping}]", at + place as u64, around.escape_ascii());
                found.hits.entry(index).or_default().push(description);
            }
            from = to;
        }
    }
}
