//! A real Chromium, driven over W3C WebDriver as far as our pages need it.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

/// No page takes longer, on however busy a machine.
const PATIENCE_MS: u64 = 30_000;
const LOOK_MS: u64 = 20;

const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-breakpad",
    "--window-size=1000,900",
];

/// How W3C WebDriver names a reference to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// ChromeDriver; takes its browser with it.
struct Driver {
    child: Child,
    /// Held open: it may still want to say something.
    _said: BufReader<ChildStdout>,
    browser: Option<u64>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The driver, killed, would leave its browser running.
        if let Some(id) = self.browser {
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One window of a browser that has never been anywhere.
pub struct Chromium {
    http: Client,
    session: String,
    _driver: Driver,
    _profile: TempDir,
}

/// Something on the page.
pub struct Element(String);

impl Chromium {
    pub async fn start() -> Self {
        let mut command = Command::new("/usr/bin/chromedriver");
        // The system picks the port; the driver tells it.
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("chromium-driver is installed");
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut driver = None;
        let mut line = String::new();
        while driver.is_none() && said.read_line(&mut line).unwrap() > 0 {
            driver =
                line.trim_end().trim_end_matches('.').split_once("successfully on port ").map(|it| it.1.to_owned());
            line.clear();
        }
        let base = format!("http://127.0.0.1:{}", driver.expect("ChromeDriver tells its port"));
        let mut driver = Driver { child, _said: said, browser: None };
        let (http, profile) = (Client::new(), TempDir::new().unwrap());
        let mut flags = FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "binary": "/usr/bin/chromium", "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = ask(&http, Method::POST, &format!("{base}/session"), Some(&wanted)).await.unwrap();
        driver.browser = made["capabilities"]["goog:processID"].as_u64();
        assert!(driver.browser.is_some(), "whom to end when we are done? {made}");
        let session = format!("{base}/session/{}", made["sessionId"].as_str().unwrap());
        Self { http, session, _driver: driver, _profile: profile }
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        ask(&self.http, Method::GET, &format!("{}/{path}", self.session), None).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        ask(&self.http, Method::POST, &format!("{}/{path}", self.session), Some(body)).await
    }

    pub async fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url })).await.unwrap();
    }

    pub async fn reload(&self) {
        self.post("refresh", &json!({})).await.unwrap();
    }

    pub async fn url(&self) -> String {
        self.get("url").await.unwrap().as_str().unwrap().to_owned()
    }

    /// What can be read on the page; an error while another is being loaded.
    pub async fn text(&self) -> Result<String, String> {
        let body = self.find("//body").await?;
        Ok(self.get(&format!("element/{}/text", body.0)).await?.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until that can be read on the page.
    pub async fn sees(&self, text: &str) {
        let mut moment = tokio::time::interval(Duration::from_millis(LOOK_MS));
        let mut seen = Ok(String::new());
        for _ in 0..PATIENCE_MS / LOOK_MS {
            moment.tick().await;
            // A page that is just being replaced is looked at again.
            seen = self.text().await;
            if seen.as_ref().is_ok_and(|seen| seen.contains(text)) {
                return;
            }
        }
        panic!("no `{text}` at {}: {seen:?}", self.url().await);
    }

    async fn find(&self, xpath: &str) -> Result<Element, String> {
        let found = self.post("element", &json!({ "using": "xpath", "value": xpath })).await?;
        Ok(Element(found[ELEMENT].as_str().ok_or("no element")?.to_owned()))
    }

    /// The field with this label.
    pub async fn field(&self, label: &str) -> Element {
        let named = format!("//label[contains(normalize-space(), '{label}')]");
        self.find(&format!("{named}//input | //input[@id = {named}/@for]")).await.unwrap()
    }

    /// The field of that label in the form with this button: two forms may share a label.
    pub async fn field_beside(&self, button: &str, label: &str) -> Element {
        let form = format!("//form[.//button[normalize-space() = '{button}']]");
        self.find(&format!("{form}//label[contains(normalize-space(), '{label}')]//input")).await.unwrap()
    }

    /// Replaces what is in the field.
    pub async fn fill(&self, label: &str, text: &str) {
        let field = self.field(label).await;
        self.post(&format!("element/{}/clear", field.0), &json!({})).await.unwrap();
        self.post(&format!("element/{}/value", field.0), &json!({ "text": text })).await.unwrap();
    }

    /// What is in the field.
    pub async fn value(&self, label: &str) -> String {
        let field = self.field(label).await;
        self.get(&format!("element/{}/property/value", field.0)).await.unwrap().as_str().unwrap().to_owned()
    }

    pub async fn click(&self, element: &Element) {
        self.post(&format!("element/{}/click", element.0), &json!({})).await.unwrap();
    }

    /// Clicks the link or the button that says this.
    pub async fn press(&self, words: &str) {
        let element = self.find(&format!("(//a | //button)[normalize-space() = '{words}']")).await.unwrap();
        self.click(&element).await;
    }

    /// Everything the browser had to complain of since it was asked last: blocked by a policy, not
    /// found, refused.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.post("se/log", &json!({ "type": "browser" })).await.unwrap();
        let lines = log.as_array().unwrap().iter();
        lines.map(|line| format!("{}: {}", line["source"].as_str().unwrap_or_default(), line["message"])).collect()
    }

    /// A picture for whoever wants to look, in the folder that `SCREENSHOTS` names.
    pub async fn picture(&self, name: &str) {
        use base64::Engine;
        let Some(folder) = std::env::var_os("SCREENSHOTS") else { return };
        let png = self.get("screenshot").await.unwrap();
        let png = base64::engine::general_purpose::STANDARD.decode(png.as_str().unwrap()).unwrap();
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), png).unwrap();
    }
}

/// The answer's `value`; what is wrong, when it is an error.
async fn ask(http: &Client, method: Method, url: &str, body: Option<&Value>) -> Result<Value, String> {
    let mut request = http.request(method, url);
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let is_good = answer.status().is_success();
    let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
    if is_good { Ok(answer["value"].clone()) } else { Err(answer["value"]["message"].to_string()) }
}
