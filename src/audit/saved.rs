//! Answers of the AWS CLI that somebody saved, in any mix: read, recognised by what is in them, and kept as facts.
//!
//! Owns: what was read and how much of it. Must not: join facts (`facts` does) or judge. What a file holds may be wrong,
//! cut, huge or foreign; each of these is said, and nothing is guessed.

#[cfg(test)]
mod around;
mod decode;
mod document;
pub(crate) mod facts;
mod kind;
mod known;
pub mod live;
mod network;
mod plan;
mod planned;
pub(crate) mod ports;
mod shapes;
mod store;
mod taken;
pub(crate) mod trails;

pub use kind::Kind;
pub use store::{Presence, Saved};

use self::document::{Item, Trouble};
use crate::audit::source::{self, Source};

/// Most things of all files together: several times what the largest region holds.
const MAX_THINGS: usize = 1_000_000;

impl Saved {
    /// Adds what a source holds.
    ///
    /// # Errors
    /// A sentence about a file that was named and is no answer of AWS's, or about an answer that is broken.
    pub fn add(&mut self, source: &Source) -> Result<(), String> {
        match source::text(source) {
            Ok(text) => self.add_text(source, &text),
            Err(why) if source.is_named() => Err(why),
            Err(why) => {
                self.warnings.push(format!("{why}; it was left out"));
                Ok(())
            }
        }
    }

    fn add_text(&mut self, source: &Source, text: &str) -> Result<(), String> {
        let mut tops = Vec::new();
        let read = document::read(text, &mut |item| self.take(source, &item), &mut |top| tops.push(top));
        for top in tops {
            for kind in top.kinds {
                let presence = self.kinds.entry(kind).or_default();
                presence.answers += 1;
                presence.is_cut |= top.is_cut;
            }
            if top.is_cut {
                let name = source.name();
                let why = "holds a token for the next page, so the answer is cut; run the command without `--max-items` and \
                           `--no-paginate`";
                self.warnings.push(format!("{name} {why}"));
            }
        }
        match read {
            Ok(()) => Ok(()),
            Err(Trouble::Foreign(why)) if !source.is_named() => {
                self.warnings.push(format!("{} was left out: {why}", source.name()));
                Ok(())
            }
            Err(Trouble::Foreign(why) | Trouble::Broken(why)) => Err(format!("{}: {why}", source.name())),
        }
    }

    fn take(&mut self, source: &Source, item: &Item<'_>) -> Result<(), Trouble> {
        self.things += 1;
        if self.things > MAX_THINGS {
            let why = format!("more than {MAX_THINGS} things are too many; save one region at a time");
            return Err(Trouble::Broken(why));
        }
        taken::take(self, source, item).map_err(|why| {
            // Of the item, serde says a line of its own.
            let why = why.split(" at line ").next().unwrap_or_default();
            Trouble::Broken(format!("line {}: the item is not understood: {why}", item.line))
        })
    }
}
