//! Addresses and days as people spell them elsewhere: what they are as a CIDR block and as year-month-day.
//!
//! Must not: accept any of it; the answer is a suggestion, and there is none where two readings are possible.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Subnets};
use jiff::civil::Date;

use crate::model::text::or;

/// A range of more blocks is not written out.
const MAX_BLOCKS: usize = 8;

/// What to write instead of a text that is no CIDR block; `None`: it looks like none that we know.
pub(super) fn block(text: &str) -> Option<String> {
    let text = text.trim();
    let write = |block: IpNet| format!("write `{}`", block.trunc());
    let bare: String = text.chars().filter(|c| !matches!(c, '[' | ']' | '"' | '\'' | '(' | ')')).collect();
    let bare = bare.trim();
    let parts: Vec<&str> = bare.split([',', ';', '|']).map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > 1 && parts.iter().all(|part| part.parse::<IpNet>().is_ok()) {
        return Some(format!("write each as an entry of its own: `[{}]`", parts.join(", ")));
    }
    match bare {
        "0.0.0.0" | "0" => {
            return Some("write `0.0.0.0/0` for every IPv4 address, or `0.0.0.0/32` for that one".to_owned());
        }
        "::" => return Some("write `::/0` for every IPv6 address, or `::/128` for that one".to_owned()),
        _ => {}
    }
    if let Some(negated) = bare.strip_prefix(['!', '~', '^']).filter(|rest| rest.trim().parse::<IpNet>().is_ok()) {
        return Some(format!(
            "a list has no negation: write a clause for `{}` before this one, which the rest then goes to",
            negated.trim()
        ));
    }
    if let Some(range) = span(bare) {
        return Some(range);
    }
    if let Some(block) = masked(bare).or_else(|| shortened(bare)).or_else(|| starred(bare)) {
        return Some(write(block));
    }
    let compact: String = bare.chars().filter(|c| !c.is_whitespace()).collect::<String>().replace('\\', "/");
    if let Ok(block) = compact.parse::<IpNet>() {
        return Some(write(block));
    }
    if let Ok(address) = compact.parse::<IpAddr>() {
        return Some(format!("write `{}` for the one address", IpNet::from(address)));
    }
    if let Some((address, port)) = compact.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        && address.parse::<IpNet>().is_ok() | address.parse::<Ipv4Addr>().is_ok()
    {
        return Some(format!("write the address alone, and `ports: {port}` beside it"));
    }
    let host = compact.split_once("://").map_or(compact.as_str(), |(_, rest)| rest);
    let is_name = host.contains('.') && host.ends_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    (is_name && !host.contains(':') && !host.starts_with(|c: char| c.is_ascii_digit()))
        .then(|| "names are not looked up: write its addresses as CIDR blocks".to_owned())
}

/// Octets without leading zeros, so that nobody has to guess whether `010` is eight.
fn octet(text: &str) -> Option<u8> {
    (!text.is_empty() && text.len() < 4 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// `10.0.0.0/255.0.0.0`, `10.0.0.0 255.0.0.0`, `10.0.0.0 mask 255.0.0.0`, `10.0.0.0/0.255.255.255`, `10.0.0.0 / 8`.
fn masked(text: &str) -> Option<IpNet> {
    let text = text.to_lowercase().replace("netmask", " ").replace("mask", " ");
    let mut parts =
        text.split(|c: char| matches!(c, '/' | '\\' | ':') || c.is_whitespace()).filter(|part| !part.is_empty());
    let (address, mask) = (parts.next()?, parts.next()?);
    let address: Ipv4Addr = address.parse().ok()?;
    if parts.next().is_some() {
        return None;
    }
    let length = match mask.parse::<Ipv4Addr>() {
        Ok(mask) => {
            let bits = mask.to_bits();
            // As a netmask, or as the wildcard that routers write.
            let bits = if bits.leading_ones() == 0 { !bits } else { bits };
            (bits.leading_ones() + bits.trailing_zeros() == 32).then_some(bits.leading_ones())?
        }
        Err(_) => u32::from(octet(mask)?),
    };
    Ipv4Net::new(address, u8::try_from(length).ok()?).ok().map(IpNet::from)
}

/// `0/0`, `10/8`, `192.168/16`, `010.0.0.0/8`.
fn shortened(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let octets =
        address.trim().trim_end_matches('.').split('.').map(|part| octet(part.trim())).collect::<Option<Vec<_>>>()?;
    let mut all = [0_u8; 4];
    if octets.len() > all.len() {
        return None;
    }
    all.iter_mut().zip(octets).for_each(|(slot, octet)| *slot = octet);
    Ipv4Net::new(Ipv4Addr::from(all), octet(length.trim())?).ok().map(IpNet::from)
}

/// `10.*.*.*`, `10.0.0.x`, `192.168.`, `10.`.
fn starred(text: &str) -> Option<IpNet> {
    let parts: Vec<&str> = text.split('.').collect();
    let is_open = |part: &&str| matches!(*part, "*" | "x" | "X" | "" | "0-255");
    let fixed = parts.iter().take_while(|part| !is_open(part)).map(|part| octet(part)).collect::<Option<Vec<_>>>()?;
    let is_rest_open = parts.iter().skip(fixed.len()).all(is_open);
    if !is_rest_open || fixed.is_empty() || fixed.len() > 3 || parts.len() > 4 || parts.len() == fixed.len() {
        return None;
    }
    let mut all = [0_u8; 4];
    all.iter_mut().zip(&fixed).for_each(|(slot, octet)| *slot = *octet);
    Ipv4Net::new(Ipv4Addr::from(all), u8::try_from(8 * fixed.len()).ok()?).ok().map(IpNet::from)
}

/// `10.0.0.0-10.0.0.255`, also with spaces, `to` or dots.
fn span(text: &str) -> Option<String> {
    let separators = [" to ", "...", "–", "-"];
    let (from, to) = separators.iter().find_map(|separator| text.split_once(separator))?;
    let blocks: Vec<String> = match (from.trim().parse().ok()?, to.trim().parse().ok()?) {
        (IpAddr::V4(from), IpAddr::V4(to)) if from <= to => {
            Ipv4Subnets::new(from, to, 0).take(MAX_BLOCKS + 1).map(|net| net.to_string()).collect()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) if from <= to => {
            Ipv6Subnets::new(from, to, 0).take(MAX_BLOCKS + 1).map(|net| net.to_string()).collect()
        }
        _ => return None,
    };
    Some(match blocks.as_slice() {
        [one] => format!("write `{one}`"),
        many if many.len() <= MAX_BLOCKS => format!("write the blocks that the range is: `[{}]`", blocks.join(", ")),
        _ => "a range is written as the blocks it is made of; this one is made of many".to_owned(),
    })
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// What people write for an exception that never ends.
const NEVER: [&str; 10] =
    ["never", "none", "no", "null", "forever", "permanent", "unlimited", "infinite", "indefinite", "always"];

/// What to write instead of a text that is no day.
pub(super) fn day(text: &str) -> Option<String> {
    let lower = text.trim().to_lowercase();
    if NEVER.contains(&lower.as_str()) {
        return Some("an exception ends; for what is fine for good, write a clause with `verdict: allow`".to_owned());
    }
    // A time of day says nothing more: an exception holds to the end of its day.
    let day = match lower.split_once('t').or_else(|| lower.split_once(' ')) {
        Some((day, time)) if time.contains(':') => day,
        _ => lower.as_str(),
    };
    let days = readings(day);
    if !days.is_empty() {
        let days: Vec<String> = days.iter().map(|day| format!("`{day}`")).collect();
        return Some(format!("write {}", or(&days)));
    }
    let first = lower.trim_start_matches('+');
    let is_span = first.starts_with(|c: char| c.is_ascii_digit())
        && ["d", "w", "m", "y", "day", "week", "month", "year", "days", "weeks", "months", "years"]
            .iter()
            .any(|unit| first.trim_start_matches(|c: char| c.is_ascii_digit()).trim() == *unit);
    let is_relative =
        is_span || matches!(lower.as_str(), "today" | "tomorrow" | "eoy" | "end of year" | "next week" | "next month");
    is_relative.then(|| "write the last day itself, as year-month-day: a policy says the same on every day".to_owned())
}

/// Each day that the text may mean, the likelier first.
fn readings(text: &str) -> Vec<Date> {
    let mut days: Vec<Date> = Vec::new();
    let mut add = |year: u32, month: u32, day: u32| {
        let number = |part: u32| i8::try_from(part).ok();
        let date = i16::try_from(year).ok().zip(number(month)).zip(number(day));
        let date = date.and_then(|((year, month), day)| {
            // The thirtieth of February is the last day of it.
            let first = Date::new(year, month, 1).ok()?;
            (1..=31).contains(&day).then(|| Date::new(year, month, day.min(first.days_in_month())).ok())?
        });
        days.extend(date.filter(|date| !days.contains(date)));
    };
    let parts: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let number = |part: &str| {
        let digits = part.trim_end_matches("st").trim_end_matches("nd").trim_end_matches("rd").trim_end_matches("th");
        (digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse::<u32>().ok())?
    };
    let month = |part: &str| {
        let found =
            MONTHS.iter().position(|name| part.starts_with(name) && part.bytes().all(|byte| byte.is_ascii_lowercase()));
        found.and_then(|at| u32::try_from(at + 1).ok())
    };
    let is_year = |part: &str| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts.as_slice() {
        [all] if all.len() == 8 => {
            if let (Some(year), Some(month), Some(day)) = (all.get(..4), all.get(4..6), all.get(6..))
                && let (Some(year), Some(month), Some(day)) = (number(year), number(month), number(day))
            {
                add(year, month, day);
            }
        }
        [year, one, two] if is_year(year) => {
            let (one, two) = (month(one).or(number(one)), month(two).or(number(two)));
            if let (Some(year), Some(one), Some(two)) = (number(year), one, two) {
                add(year, one, two);
                if one > 12 {
                    add(year, two, one);
                }
            }
        }
        [one, two, year] if is_year(year) => {
            let Some(year) = number(year) else { return days };
            match (month(one), month(two), number(one), number(two)) {
                (Some(month), _, _, Some(day)) | (_, Some(month), Some(day), _) => add(year, month, day),
                (None, None, Some(one), Some(two)) => {
                    // Days first with dots and hyphens, as in Europe; with slashes both are possible.
                    add(year, two, one);
                    if !text.contains('.') {
                        add(year, one, two);
                    }
                }
                _ => {}
            }
        }
        _ => {}
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_in_another_spelling_has_one_answer() {
        for (text, expected) in [
            ("0/0", "write `0.0.0.0/0`"),
            ("10/8", "write `10.0.0.0/8`"),
            ("172.16/12", "write `172.16.0.0/12`"),
            ("192.168./16", "write `192.168.0.0/16`"),
            ("10.0.0.0/255.0.0.0", "write `10.0.0.0/8`"),
            ("10.1.2.3/255.255.255.0", "write `10.1.2.0/24`"),
            ("10.0.0.0 255.255.0.0", "write `10.0.0.0/16`"),
            ("10.0.0.0 netmask 255.255.0.0", "write `10.0.0.0/16`"),
            ("10.0.0.0/0.0.255.255", "write `10.0.0.0/16`"),
            ("10.0.0.0 / 8", "write `10.0.0.0/8`"),
            ("10.0.0.0/08", "write `10.0.0.0/8`"),
            ("10.0.0.0\\8", "write `10.0.0.0/8`"),
            ("[2001:db8::]/32", "write `2001:db8::/32`"),
            ("10.*.*.*", "write `10.0.0.0/8`"),
            ("10.1.2.x", "write `10.1.2.0/24`"),
            ("10.", "write `10.0.0.0/8`"),
            ("010.0.0.0/8", "write `10.0.0.0/8`"),
            ("10.0.0.0-10.0.0.255", "write `10.0.0.0/24`"),
            ("2001:db8::-2001:db8::ffff", "write `2001:db8::/112`"),
            (
                "10.0.0.1-10.0.0.255",
                "write the blocks that the range is: `[10.0.0.1/32, 10.0.0.2/31, 10.0.0.4/30, 10.0.0.8/29, 10.0.0.16/28, \
                 10.0.0.32/27, 10.0.0.64/26, 10.0.0.128/25]`",
            ),
            ("10.0.0.1-10.0.1.255", "a range is written as the blocks it is made of; this one is made of many"),
            ("2001:db8::1-2001:db8::1ff", "a range is written as the blocks it is made of; this one is made of many"),
            ("10.0.0.0 - 10.0.2.255", "write the blocks that the range is: `[10.0.0.0/23, 10.0.2.0/24]`"),
            ("10.0.0.0/8, 192.168.0.0/16", "write each as an entry of its own: `[10.0.0.0/8, 192.168.0.0/16]`"),
            ("203.0.113.9", "write `203.0.113.9/32` for the one address"),
            ("0.0.0.0", "write `0.0.0.0/0` for every IPv4 address, or `0.0.0.0/32` for that one"),
            ("::", "write `::/0` for every IPv6 address, or `::/128` for that one"),
            ("10.0.0.0:443", "write the address alone, and `ports: 443` beside it"),
            ("office.example.com", "names are not looked up: write its addresses as CIDR blocks"),
            ("https://office.example.com/", "names are not looked up: write its addresses as CIDR blocks"),
        ] {
            assert_eq!(block(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "10.0.0.0/255.0.255.0",
            "300/8",
            "10.0.0.0/99",
            "office",
            "office.example.1",
            "1.2.3.4.5/8",
            "10/8/8",
            "10.*.0.0",
            "+10/8",
            "0010/8",
            "10.0.0.9-10.0.0.0",
            "2001:db8::9-2001:db8::",
        ] {
            assert_eq!(block(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_in_another_order_has_one_answer_or_two() {
        for (text, expected) in [
            ("31.12.2026", "write `2026-12-31`"),
            ("05.12.2026", "write `2026-12-05`"),
            ("12/31/2026", "write `2026-12-31`"),
            ("31/12/2026", "write `2026-12-31`"),
            ("05/12/2026", "write `2026-12-05` or `2026-05-12`"),
            ("31-12-2026", "write `2026-12-31`"),
            ("2026/12/31", "write `2026-12-31`"),
            ("2026.12.31", "write `2026-12-31`"),
            ("2026.12.05", "write `2026-12-05`"),
            ("2026-31-12", "write `2026-12-31`"),
            ("2026-1-5", "write `2026-01-05`"),
            ("20261231", "write `2026-12-31`"),
            ("2026-12-31T23:59:59Z", "write `2026-12-31`"),
            ("2026-12-31 23:59", "write `2026-12-31`"),
            ("31 Dec 2026", "write `2026-12-31`"),
            ("December 31, 2026", "write `2026-12-31`"),
            ("31st december 2026", "write `2026-12-31`"),
            ("2026-Dec-31", "write `2026-12-31`"),
            ("2027-02-30", "write `2027-02-28`"),
        ] {
            assert_eq!(day(text).as_deref(), Some(expected), "{text}");
        }
        assert!(
            day("never").is_some() && day("90d").is_some() && day("+2 weeks").is_some() && day("tomorrow").is_some()
        );
        for text in ["", "soon", "31.13.2026", "12/2026", "26-12-31", "2026-00-10", "2026-00012-31", "2026123"] {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
