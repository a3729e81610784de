//! An admin at the marketplace, with a browser: pages, forms, and the way back with a code (G §3.1,
//! G §13).

use reqwest::{Client, Url};
use serde_json::json;

use crate::oauth::{redeem, text};
use crate::world::World;

const CALLBACK: &str = "http://127.0.0.1:9/oauth/callback";

/// A browser that shows where it is sent instead of going there.
struct Browser<'a> {
    world: &'a World,
    http: Client,
}

impl<'a> Browser<'a> {
    fn new(world: &'a World) -> Self {
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { world, http }
    }

    fn link(&self, changes: &[(&str, &str)]) -> Url {
        let id = self.world.ghl.client_id();
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", &id),
            ("redirect_uri", CALLBACK),
            ("scope", "contacts.readonly oauth.write"),
        ];
        for (key, value) in changes {
            fields.retain(|(known, _)| known != key);
            fields.push((key, value));
        }
        Url::parse_with_params(&self.world.ghl.chooser_url(), fields).unwrap()
    }

    async fn open(&self, url: Url) -> (u16, String) {
        let page = self.http.get(url).send().await.unwrap();
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        (page.status().as_u16(), page.text().await.unwrap())
    }

    /// Sends the form that the page has for `install`, with these choices; where that leads.
    async fn submit(&self, page: &str, install: &str, choices: &[(&str, &str)]) -> Result<Url, String> {
        let marker = format!(r#"name="install" value="{install}""#);
        let form = page.split("<form ").find(|form| form.contains(&marker)).unwrap();
        let between = |text: &str, before: &str| {
            let from = text.find(before).unwrap() + before.len();
            text[from..].split('"').next().unwrap().to_owned()
        };
        let mut fields: Vec<(String, String)> = form
            .lines()
            .filter(|line| line.contains(r#"type="hidden""#))
            .flat_map(|line| line.split("<input ").filter(|input| input.contains("hidden")))
            .map(|input| (between(input, r#"name=""#), between(input, r#"value=""#).replace("&amp;", "&")))
            .collect();
        fields.extend(choices.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let action = format!("{}{}", self.world.ghl.url(), between(form, r#"action=""#));
        let answer = self.http.post(action).form(&fields).send().await.unwrap();
        match answer.status().as_u16() {
            302 => Ok(Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap()),
            _ => Err(answer.text().await.unwrap()),
        }
    }
}

fn query(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_locations_admin() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    let home = world.ghl.location_id();
    world.ghl.set_redirect_uris(&["https://sync.example/other", CALLBACK]);
    world.ghl.add_company_location("otherLocation0000000", "Bits & <b>Bobs</b>", "UTC", "US");
    let (status, page) = browser.open(browser.link(&[("state", "a&b\"c")])).await;
    assert_eq!(status, 200);
    assert!(page.contains("Bits &amp; &lt;b&gt;Bobs&lt;/b&gt;") && !page.contains("<b>Bobs"), "{page}");
    assert!(page.contains("<code>contacts.readonly</code>") && page.contains(r#"<html lang="en">"#));
    let back = browser.submit(&page.replace("&quot;", "%22"), "location", &[("location", &home)]).await.unwrap();
    assert!(back.as_str().starts_with(&format!("{CALLBACK}?code=")), "{back}");
    assert_eq!(query(&back, "state").unwrap(), "a&b%22c");
    assert_eq!(world.kinds(), ["INSTALL"]);
    let pair = redeem(&world, &query(&back, "code").unwrap()).await;
    assert_eq!((text(&pair, "locationId"), text(&pair, "userType")), (home.as_str(), "Location"));
    // Nobody promises that `state` comes back, and without one there is none to echo.
    let (_, plain) = browser.open(browser.link(&[])).await;
    assert_eq!(query(&browser.submit(&plain, "location", &[("location", &home)]).await.unwrap(), "state"), None);
    world.ghl.set_echo_state(false);
    assert_eq!(query(&browser.submit(&page, "location", &[("location", &home)]).await.unwrap(), "state"), None);
    assert_eq!((world.ghl.journal().reads(), world.ghl.journal().writes()), (0, 0), "a browser is not the client");
    world.no_complaints();
}

#[tokio::test]
async fn an_agencys_admin() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    let home = world.ghl.location_id();
    world.ghl.add_company_location("otherLocation0000000", "Studio South", "UTC", "US");
    let old = Url::parse(&browser.link(&[]).as_str().replace("/v2/", "/")).unwrap();
    let (_, page) = browser.open(old).await;
    for nothing in [browser.submit(&page, "company", &[]).await, browser.submit(&page, "location", &[]).await] {
        assert!(nothing.unwrap_err().contains("choose a location"));
    }
    let ticked = [("location", home.as_str()), ("location", "otherLocation0000000"), ("future", "on")];
    let back = browser.submit(&page, "company", &ticked).await.unwrap();
    let pair = redeem(&world, &query(&back, "code").unwrap()).await;
    assert_eq!(pair.body["approvedLocations"], json!([home, "otherLocation0000000"]));
    assert_eq!(pair.body["installToFutureLocations"], true);
    let elsewhere = browser.submit(&page, "company", &[("location", "nowhere")]).await;
    assert!(elsewhere.unwrap_err().contains("no such location"));
    world.no_complaints();
}

#[tokio::test]
async fn an_install_that_nobody_asked_for() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    let market = Url::parse(&format!("{}/_screens/marketplace", world.ghl.url())).unwrap();
    assert_eq!(browser.open(market.clone()).await.0, 400, "it would not know where to go");
    world.ghl.set_redirect_uris(&["https://sync.example/callback?from=ghl", CALLBACK]);
    let (_, page) = browser.open(market).await;
    let back = browser.submit(&page, "location", &[("location", &world.ghl.location_id())]).await.unwrap();
    assert_eq!(back.host_str(), Some("sync.example"), "the first one registered");
    let names: Vec<String> = back.query_pairs().map(|(key, _)| key.into_owned()).collect();
    assert_eq!(names, ["from", "code"], "and no state");
    let pair = redeem(&world, &query(&back, "code").unwrap()).await;
    assert!(text(&pair, "scope").contains("locations/tasks.readonly"));
    world.no_complaints();
}

#[tokio::test]
async fn links_that_lead_nowhere() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    for change in [
        ("response_type", "token"),
        ("client_id", "somebody"),
        ("redirect_uri", "https://sync.example/callback"),
        ("scope", ""),
        ("scope", "contacts.readonly everything"),
    ] {
        let (status, page) = browser.open(browser.link(&[change])).await;
        assert_eq!(status, 400, "{change:?}");
        assert!(page.contains(r#"role="alert""#), "{page}");
    }
    world.ghl.set_redirect_uris(&["https://sync.example/callback"]);
    assert_eq!(browser.open(browser.link(&[])).await.0, 400, "only registered ones, once there are any");
    assert_eq!(world.ghl.complaints().len(), 6);
    world.ghl.forgive();
    // A code is bound to where it was sent.
    let (_, page) = browser.open(browser.link(&[("redirect_uri", "https://sync.example/callback")])).await;
    world.ghl.set_redirect_uris(&["https://sync.example/callback", CALLBACK]);
    let back = browser.submit(&page, "location", &[("location", &world.ghl.location_id())]).await.unwrap();
    let code = query(&back, "code").unwrap();
    for (uri, status) in
        [(CALLBACK, 400), ("https://sync.example/unknown", 400), ("https://sync.example/callback", 200)]
    {
        let fields = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", uri)];
        assert_eq!(crate::oauth::grant(&world, &fields).await.status, status, "{uri}");
    }
    assert_eq!(world.ghl.complaints().len(), 2);
}
