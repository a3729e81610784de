//! A browser as far as our pages need one: cookies, forms, redirects that are followed by hand.

use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, StatusCode, redirect};

use super::{ADMIN, World};

/// Somebody at a screen.
pub struct Browser {
    http: Client,
    base: String,
    cookies: Vec<(String, String)>,
}

/// What a page says.
#[derive(Debug)]
pub struct Page {
    pub code: StatusCode,
    pub text: String,
    /// Where a redirect leads.
    pub to: String,
}

impl Browser {
    pub fn new(world: &World) -> Self {
        let http = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        Self { http, base: world.url(""), cookies: Vec::new() }
    }

    /// One that is signed in.
    pub async fn signed_in(world: &World) -> Self {
        let mut browser = Self::new(world);
        let page = browser.submit("/login", &[("token", ADMIN), ("next", "/")]).await;
        assert_eq!(page.code, 303, "{page:?}");
        browser
    }

    fn url(&self, address: &str) -> String {
        if address.starts_with('/') { format!("{}{address}", self.base) } else { address.to_owned() }
    }

    /// Follows a link, on any host; our cookies go to our host alone.
    pub async fn open(&mut self, address: &str) -> Page {
        let request = self.http.get(self.url(address));
        self.send(address, request).await
    }

    /// Sends a form from a page of the host that it goes to.
    pub async fn submit(&mut self, address: &str, fields: &[(&str, &str)]) -> Page {
        let url = self.url(address);
        let origin = reqwest::Url::parse(&url).unwrap().origin().ascii_serialization();
        let request = self.http.post(url).header(ORIGIN, origin).form(fields);
        self.send(address, request).await
    }

    async fn send(&mut self, address: &str, mut request: reqwest::RequestBuilder) -> Page {
        let is_ours = self.url(address).starts_with(&self.base);
        if is_ours {
            let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, cookies.join("; "));
        }
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all(SET_COOKIE).iter().filter(|_| is_ours) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        let to = answer.headers().get(LOCATION).map_or("", |to| to.to_str().unwrap()).to_owned();
        Page { code: answer.status(), to, text: answer.text().await.unwrap() }
    }

    /// Forgets who it is.
    pub fn forget(&mut self) {
        self.cookies.clear();
    }
}
