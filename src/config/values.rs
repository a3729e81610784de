//! One value of a setting: from text to a type. Errors say what to write instead.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use jiff::tz::TimeZone;
use url::{Host, Url};

use crate::model::{Region, Secret};

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write `address:port`, for example 127.0.0.1:8080".to_owned())
}

/// One address, or a network as in `10.0.0.0/8`.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse());
    network.map_err(|_| "write addresses or networks, separated by commas, as in `127.0.0.1,10.0.0.0/8`".to_owned())
}

pub(super) fn number(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let parsed = text.replace('_', "").parse().ok().filter(|number| (least..=most).contains(number));
    parsed.ok_or_else(|| format!("write a whole number from {least} to {most}"))
}

pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        format!("write one of: {}", choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "))
    })
}

pub(super) fn secret(text: &str) -> Result<Secret, String> {
    // A line break from a file or a blank from a form would end up in a header.
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.into())
    } else {
        Err("it holds a blank or a character that no such secret has: copy it again".to_owned())
    }
}

pub(super) fn long_secret(text: &str) -> Result<Secret, String> {
    if text.len() < 16 {
        return Err(
            "it is too short to keep anybody out: use at least 16 characters, for example from `openssl rand -hex 32`"
                .to_owned(),
        );
    }
    secret(text)
}

pub(super) fn api_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|_| "write a whole URL, beginning with `https://`".to_owned())?;
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if local => Ok(url),
        _ => Err("write `https://`; plain http is for a sandbox on this machine only".to_owned()),
    }
}

/// Several, with commas between and blanks as people set them.
pub(super) fn keys(text: &str) -> Result<Secret, String> {
    secret(&text.split(',').map(str::trim).collect::<Vec<_>>().join(","))
}

pub(super) fn origin(text: &str) -> Result<Url, String> {
    let url = api_url(text)?;
    // Cookies and links are for the whole host: below a path, another application of that host
    // would get them, too.
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if bare { Ok(url) } else { Err("write the origin alone, as in `https://sync.example.com`".to_owned()) }
}

pub(super) fn zone(text: &str) -> Result<TimeZone, String> {
    crate::model::zone(text).ok_or_else(|| "write a zone's name as in `Europe/Berlin`".to_owned())
}

pub(super) fn region(text: &str) -> Result<Region, String> {
    Region::new(text).ok_or_else(|| "write the two letters of a country as in `US`".to_owned())
}
