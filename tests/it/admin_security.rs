//! The admin pages and API keep everybody out but those who know the token, or logged in with it.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::json;

use crate::support::{ADMIN, World};

const OURS: &str = "https://sync.example.com";

/// A browser as far as it matters: it follows nothing by itself, and says what it is told to.
struct Browser<'a> {
    world: &'a World,
    http: Client,
    origin: String,
    from: &'static str,
}

impl<'a> Browser<'a> {
    fn new(world: &'a World, origin: impl Into<String>) -> Self {
        let http = Client::builder().redirect(Policy::none()).build().unwrap();
        Self { world, http, origin: origin.into(), from: "192.0.2.1" }
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.world.url(path)).header("x-forwarded-for", self.from)
    }

    fn get(&self, path: &str, cookie: &str) -> RequestBuilder {
        self.ask(Method::GET, path).header("cookie", cookie)
    }

    fn post(&self, path: &str, cookie: &str) -> RequestBuilder {
        self.ask(Method::POST, path).header("cookie", cookie).header("origin", &self.origin)
    }

    async fn login(&self, token: &str, next: &str) -> Response {
        self.post("/login", "").form(&[("token", token), ("next", next)]).send().await.unwrap()
    }

    /// Name and value, as browsers send them back.
    async fn cookie(&self) -> String {
        let answer = self.login(ADMIN, "/").await;
        assert_eq!(answer.status(), 303);
        header(&answer, "set-cookie").split(';').next().unwrap().to_owned()
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn code(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

/// Status, where to, and what it says.
async fn told(answer: Response) -> (u16, String, String) {
    let place = header(&answer, "location").to_owned();
    (answer.status().as_u16(), place, answer.text().await.unwrap())
}

#[tokio::test]
async fn a_login_opens_the_pages_and_the_api_and_logout_ends_it() {
    let world = World::with(&[("PUBLIC_URL", OURS)]).await;
    let browser = Browser::new(&world, OURS);
    let (status, place, _) = told(browser.get("/", "").send().await.unwrap()).await;
    assert_eq!((status, place.as_str()), (303, "/login?next=%2F"));
    let form = browser.get(&place, "").send().await.unwrap();
    assert!(header(&form, "content-type").starts_with("text/html"));
    let (status, _, page) = told(form).await;
    assert_eq!(status, 200);
    for part in ["<html lang=\"en\">", "<label for=\"token\">", "type=\"password\"", "name=\"next\"", "<button>Log in"]
    {
        assert!(page.contains(part), "no `{part}` in: {page}");
    }
    assert!(!page.contains("<script") && !page.contains("style="), "{page}");

    let answer = browser.login(ADMIN, "/?page=2").await;
    let set = header(&answer, "set-cookie").to_owned();
    assert_eq!((answer.status().as_u16(), header(&answer, "location")), (303, "/?page=2"));
    let cookie = set.split(';').next().unwrap();
    let (status, _, page) = told(browser.get("/", &format!("theme=dark; {cookie}")).send().await.unwrap()).await;
    assert!(status == 200 && page.contains(env!("CARGO_PKG_VERSION")) && page.contains("Log out"), "{status} {page}");
    assert_eq!(code(browser.get("/api/v1/events", cookie)).await, 200);
    assert_eq!(code(browser.post("/api/v1/retry", cookie)).await, 202);

    let answer = browser.post("/logout", cookie).send().await.unwrap();
    let cleared = header(&answer, "set-cookie");
    assert!(cleared.starts_with("__Host-session=; Path=/; Max-Age=0; HttpOnly"), "{cleared}");
    assert_eq!((answer.status().as_u16(), header(&answer, "location")), (303, "/login"));
}

#[tokio::test]
async fn the_cookie_is_for_https_and_the_host_alone_where_there_is_https() {
    let world = World::with(&[("PUBLIC_URL", OURS)]).await;
    let answer = Browser::new(&world, OURS).login(ADMIN, "").await;
    let mut parts = header(&answer, "set-cookie").split("; ");
    assert!(parts.next().unwrap().starts_with("__Host-session="));
    assert_eq!(parts.collect::<Vec<_>>(), ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Lax", "Secure"]);
    assert_eq!(header(&answer, "strict-transport-security"), "max-age=31536000");

    for settings in [&[][..], &[("PUBLIC_URL", "http://localhost:8080")]] {
        let world = World::with(settings).await;
        let origin = settings.first().map_or_else(|| world.url(""), |(_, url)| (*url).to_owned());
        let answer = Browser::new(&world, origin).login(ADMIN, "").await;
        let mut parts = header(&answer, "set-cookie").split("; ");
        assert!(parts.next().unwrap().starts_with("session="));
        assert_eq!(parts.collect::<Vec<_>>(), ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Lax"]);
        assert_eq!(header(&answer, "strict-transport-security"), "");
    }
}

#[tokio::test]
async fn a_session_ends_after_its_time_or_with_its_token() {
    let mut world = World::new().await;
    let cookie = Browser::new(&world, world.url("")).cookie().await;
    let open = async |world: &World| code(Browser::new(world, "").get("/api/v1/events", &cookie)).await;
    world.advance(Duration::from_secs(12 * 3600 - 1));
    assert_eq!(open(&world).await, 200);
    // Nothing is stored, so another process knows it as well.
    world.restart().await;
    assert_eq!(open(&world).await, 200);
    world.advance(Duration::from_secs(1));
    assert_eq!(open(&world).await, 401);

    let cookie = Browser::new(&world, world.url("")).cookie().await;
    let open = async |world: &World| code(Browser::new(world, "").get("/api/v1/events", &cookie)).await;
    world.stop().await;
    world.set("ADMIN_TOKEN", "another-admin-token");
    world.start().await;
    assert_eq!(open(&world).await, 401);
    world.stop().await;
    world.set("ADMIN_TOKEN", ADMIN);
    world.start().await;
    assert_eq!(open(&world).await, 200, "it was the token alone");
}

#[tokio::test]
async fn a_cookie_that_is_not_ours_opens_nothing() {
    let world = World::new().await;
    let browser = Browser::new(&world, world.url(""));
    let good = browser.cookie().await;
    let (signed, tag) = good.rsplit_once('.').unwrap();
    let (expiry, id) = signed.trim_start_matches("session=").split_once('.').unwrap();
    let longer = expiry.parse::<i64>().unwrap() + 1;
    for bad in [
        String::new(),
        "session=".to_owned(),
        "session=.".to_owned(),
        "session=..".to_owned(),
        signed.to_owned(),
        format!("{signed}."),
        format!("session={longer}.{id}.{tag}"),
        format!("session={expiry}.{}.{tag}", id.replace(|c: char| c.is_ascii_digit(), "a")),
        format!("{good}A"),
        format!("{signed}.{}", &tag[..tag.len() - 2]),
        format!("{signed}.{}", "A".repeat(43)),
        good.replace("session=", "__Host-session="),
        good.replace("session=", "Session="),
        format!("session={ADMIN}"),
    ] {
        assert_eq!(code(browser.get("/api/v1/events", &bad)).await, 401, "{bad}");
        let (status, place, _) = told(browser.get("/", &bad).send().await.unwrap()).await;
        assert!(status == 303 && place.starts_with("/login"), "{bad}: {status} {place}");
    }
    assert_eq!(code(browser.get("/api/v1/events", &good)).await, 200);
    // One of the name that another host has planted does not hide ours.
    assert_eq!(code(browser.get("/api/v1/events", &format!("session=planted; {good}"))).await, 200);
}

#[tokio::test]
async fn what_a_page_of_somebody_else_sends_is_refused() {
    for settings in [&[][..], &[("PUBLIC_URL", OURS)]] {
        let world = World::with(settings).await;
        let origin = settings.first().map_or_else(|| world.url(""), |(_, url)| (*url).to_owned());
        let browser = Browser::new(&world, origin.clone());
        let cookie = browser.cookie().await;
        let strangers = [
            "https://evil.example",
            "null",
            "",
            &origin.replace("://", "://x."),
            &format!("{origin}.evil.example"),
            &format!("{origin}/"),
            &origin.replace("http", "ftp"),
        ];
        for path in ["/api/v1/retry", "/login", "/logout"] {
            for stranger in strangers.iter().map(Some).chain([None]) {
                let mut request = browser.ask(Method::POST, path).header("cookie", &cookie).form(&[("token", ADMIN)]);
                if let Some(stranger) = stranger {
                    request = request.header("origin", *stranger);
                }
                let (status, _, said) = told(request.send().await.unwrap()).await;
                assert!(status == 403 && said.contains("PUBLIC_URL"), "{path} from {stranger:?}: {status} {said}");
            }
        }
        assert_eq!(code(browser.post("/api/v1/retry", &cookie)).await, 202);
        // No browser sends a token by itself, so where it comes from does not matter.
        let with_token = browser.ask(Method::POST, "/api/v1/retry").bearer_auth(ADMIN);
        assert_eq!(code(with_token.header("origin", "https://evil.example")).await, 202);
        // Reading from elsewhere is what a link does; other methods are not.
        assert_eq!(code(browser.get("/api/v1/events", &cookie).header("origin", "https://evil.example")).await, 200);
        let delete = browser.ask(Method::DELETE, "/api/v1/contacts/x").header("cookie", &cookie);
        assert_eq!(code(delete).await, 403);
    }
}

#[tokio::test]
async fn a_login_leads_to_places_of_this_host_only() {
    let world = World::new().await;
    let browser = Browser::new(&world, world.url(""));
    for (next, place) in [
        ("/", "/"),
        ("/a/b?c=d&e=%2F", "/a/b?c=d&e=%2F"),
        ("", "/"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("///evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\n/evil.example", "/"),
        (" //evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/?to=https://evil.example", "/"),
        ("evil", "/"),
        ("/ü", "/"),
    ] {
        let (status, led, _) = told(browser.login(ADMIN, next).await).await;
        assert_eq!((status, led.as_str()), (303, place), "{next:?}");
    }
    // Nor does the guard send anybody astray.
    let (status, place, _) = told(browser.get("/?x=1", "").send().await.unwrap()).await;
    assert_eq!((status, place.as_str()), (303, "/login?next=%2F%3Fx%3D1"));
}

#[tokio::test]
async fn what_was_sent_is_shown_as_text() {
    let world = World::new().await;
    let browser = Browser::new(&world, world.url(""));
    let evil = "/\"><script>alert(1)</script>&'";
    let page = browser.get("/login", "").query(&[("next", evil)]).send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
    let page = browser.login("</p><script>", evil).await.text().await.unwrap();
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
}

#[tokio::test]
async fn who_guesses_has_to_wait() {
    let world = World::new().await;
    let browser = Browser::new(&world, world.url(""));
    let session = browser.cookie().await;
    let api = |token: &str| browser.ask(Method::GET, "/api/v1/events").bearer_auth(token);
    // Form and API count together.
    for n in 0..5 {
        let status =
            if n % 2 == 0 { browser.login("wrong", "").await.status().as_u16() } else { code(api("wrong")).await };
        assert_eq!(status, 401, "{n}");
        world.advance(Duration::from_secs(60));
    }
    for token in ["wrong", ADMIN] {
        let form = browser.login(token, "").await;
        let waits = header(&form, "retry-after").to_owned();
        let (status, _, page) = told(form).await;
        assert!(status == 429 && page.contains("wait 301 s") && page.contains("<form"), "{status} {page}");
        assert_eq!(waits, "301");
        let answer = api(token).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (429, "301"));
        assert!(answer.text().await.unwrap().contains("too many wrong tokens"));
    }
    // Who is logged in is not affected, nor who comes from elsewhere.
    assert_eq!(code(browser.get("/api/v1/events", &session)).await, 200);
    let elsewhere = Browser { from: "192.0.2.2", ..Browser::new(&world, world.url("")) };
    assert_eq!(elsewhere.login(ADMIN, "").await.status(), 303);
    assert_eq!(world.get("/api/v1/events").await.code, 200);
    // As each grows old, there is one guess more.
    world.advance(Duration::from_secs(300));
    assert_eq!(code(api("wrong")).await, 401);
    assert_eq!(code(api("wrong")).await, 429);
    world.advance(Duration::from_secs(60));
    assert_eq!(code(api(ADMIN)).await, 200);
    // No credential is no guess.
    for _ in 0..10 {
        assert_eq!(code(elsewhere.ask(Method::GET, "/api/v1/events")).await, 401);
    }
}

#[tokio::test]
async fn under_a_wide_attack_each_has_one_guess_and_the_token_still_works() {
    let world = World::new().await;
    let ask = async |from: String, token: &str| {
        code(world.http.get(world.url("/api/v1/events")).header("x-forwarded-for", from).bearer_auth(token)).await
    };
    for n in 0..100 {
        assert_eq!(ask(format!("198.51.100.{n}"), "wrong").await, 401);
    }
    assert_eq!(ask("203.0.113.1".to_owned(), ADMIN).await, 200);
    assert_eq!(ask("203.0.113.1".to_owned(), "wrong").await, 401);
    assert_eq!(ask("203.0.113.1".to_owned(), "wrong").await, 429);
    assert_eq!(ask("198.51.100.7".to_owned(), ADMIN).await, 429);
    world.advance(Duration::from_secs(600));
    assert_eq!(ask("198.51.100.7".to_owned(), ADMIN).await, 200);
}

#[tokio::test]
async fn only_a_proxy_of_ours_says_who_asks_and_only_its_own_entry_counts() {
    let wrong = async |world: &World, from: &str| {
        code(world.http.get(world.url("/api/v1/events")).header("x-forwarded-for", from).bearer_auth("wrong")).await
    };
    // What a client puts before it changes nothing.
    let world = World::new().await;
    for n in 0..5 {
        assert_eq!(wrong(&world, &format!("10.0.0.{n}, 192.0.2.7")).await, 401);
    }
    for same in ["10.0.0.9,192.0.2.7", "192.0.2.7:4711", "::ffff:192.0.2.7"] {
        assert_eq!(wrong(&world, same).await, 429, "{same}");
    }
    // One who has a whole IPv6 network is still one.
    for n in 0..5 {
        assert_eq!(wrong(&world, &format!("2001:db8::{n}")).await, 401);
    }
    assert_eq!(wrong(&world, "2001:db8::ffff:1").await, 429);
    assert_eq!(wrong(&world, "2001:db8:0:1::1").await, 401);

    let world = World::with(&[("TRUSTED_PROXIES", "192.0.2.0/24")]).await;
    for n in 0..5 {
        assert_eq!(wrong(&world, &format!("10.0.0.{n}")).await, 401);
    }
    assert_eq!(wrong(&world, "10.0.0.99").await, 429);
}

#[tokio::test]
async fn every_answer_that_a_browser_may_show_has_the_security_headers() {
    let world = World::new().await;
    let browser = Browser::new(&world, world.url(""));
    let cookie = browser.cookie().await;
    let requests = [
        (200, browser.get("/", &cookie)),
        (200, browser.get("/login", "")),
        (303, browser.get("/", "")),
        (200, browser.get("/healthz", "")),
        (200, browser.get("/metrics", "")),
        (200, browser.get("/api/v1/events", &cookie)),
        (401, browser.get("/api/v1/events", "")),
        (403, browser.ask(Method::POST, "/login")),
        (404, browser.get("/nothing", "")),
        (405, browser.ask(Method::PUT, "/login")),
        (
            422,
            browser
                .post("/login", "")
                .header("content-type", "application/x-www-form-urlencoded")
                .body("token=1&token=2"),
        ),
        (413, browser.post("/login", "").form(&[("token", "x".repeat(70_000))])),
        (200, browser.get("/assets/style.css", "")),
    ];
    for (status, request) in requests {
        let answer = request.send().await.unwrap();
        let url = answer.url().clone();
        assert_eq!(answer.status().as_u16(), status, "{url}");
        let caching = if url.path().starts_with("/assets/") { "max-age=3600" } else { "no-store" };
        for (name, value) in [
            (
                "content-security-policy",
                "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
            ),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("x-frame-options", "DENY"),
            ("cache-control", caching),
            ("strict-transport-security", ""),
            ("server", ""),
            ("x-powered-by", ""),
        ] {
            assert_eq!(header(&answer, name), value, "{name} of {status} {url}");
        }
    }
    // No browser reads what the doors for webhooks answer.
    let answer = world.signed(world.event(json!({ "type": "INSTALL" }))).await;
    assert!(answer.code == 200 && !answer.headers.contains_key("content-security-policy"), "{:?}", answer.headers);
}

#[tokio::test]
async fn without_a_token_the_login_page_says_how_to_turn_it_on() {
    let world = World::with(&[("ADMIN_TOKEN", "")]).await;
    let browser = Browser::new(&world, world.url(""));
    let (status, place, _) = told(browser.get("/", "").send().await.unwrap()).await;
    assert_eq!((status, place.as_str()), (303, "/login?next=%2F"));
    let (status, _, page) = told(browser.get("/login", "").send().await.unwrap()).await;
    assert!(status == 200 && page.contains("ADMIN_TOKEN") && page.contains("restart"), "{page}");
    assert!(!page.contains("<form"), "{page}");
    let (status, _, page) = told(browser.login("", "/").await).await;
    assert!(status == 403 && page.contains("ADMIN_TOKEN"), "{status} {page}");
    assert_eq!(browser.post("/logout", "").send().await.unwrap().status(), 303);
}
