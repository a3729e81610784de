//! What the documents say is what the program does.

use std::fs;

use ghl_trafft_sync::config::markdown;
use ghl_trafft_sync::http::openapi_yaml;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap_or_default()
}

#[test]
fn openapi_yaml_is_what_the_routes_say() {
    assert!(read("openapi.yaml") == openapi_yaml(), "run: cargo run -- openapi > openapi.yaml");
}

#[test]
fn the_settings_page_is_what_is_read() {
    assert!(read("docs/settings.md") == markdown(), "run: cargo run -- settings > docs/settings.md");
}

#[test]
fn the_proxies_share_the_services_cap() {
    let settings = markdown();
    assert!(settings.contains("| `MAX_BODY_BYTES` | `4194304` |"));
    assert!(read("deploy/nginx.conf").contains("client_max_body_size 4m;"));
    assert!(read("deploy/Caddyfile").contains("max_size 4MiB"));
}
