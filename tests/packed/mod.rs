//! Files as they are saved to take less room.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
