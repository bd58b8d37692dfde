//! A record is read by the same definition that writes it: what goes out comes back.

use eks_sg_guard::report::record::Record;

/// Reads a record from its own JSON and compares the two, to the letter and value by value.
#[expect(clippy::panic, clippy::unwrap_used, reason = "a record that does not come back has failed the test")]
pub(crate) fn read_back(record: &Record) {
    let json = serde_json::to_string(record).unwrap();
    let mut again: Record = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(serde_json::to_string(&again).unwrap(), json);
    // Reasons, and when people hear of what, are no part of the record.
    for (read, written) in again.findings.iter_mut().zip(&record.findings) {
        read.for_people.clone_from(&written.for_people);
        for (read, written) in read.portions.iter_mut().zip(&written.portions) {
            read.reason.clone_from(&written.reason);
        }
    }
    assert_eq!(again, *record);
}
