//! Phone numbers: what HighLevel has reaches Trafft as libphonenumber reads it, or not at all.
//!
//! The oracle is `tests/data/phones.tsv`, made from Google's metadata by `tests/phones/table.py`.
//! `PHONES_TABLE` names another one, such as that with every region as home region.

use std::collections::BTreeMap;

use ghl_trafft_sync::model::{Phone, Region};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use sandbox::{Fault, Matcher};
use serde_json::{Value, json};

use crate::support::{World, command, number};

/// One of libphonenumber's example numbers, and its answers.
struct Example {
    region: String,
    e164: String,
    international: String,
    national: String,
    /// To the national form, by home region; no entry: none.
    answers: BTreeMap<String, String>,
}

/// The home regions, and the examples.
fn table() -> (Vec<String>, Vec<Example>) {
    let text = match std::env::var("PHONES_TABLE") {
        Ok(path) => std::fs::read_to_string(path).expect("PHONES_TABLE names a file"),
        Err(_) => include_str!("../data/phones.tsv").to_owned(),
    };
    let homes = text.lines().find_map(|line| line.strip_prefix("# homes: ")).expect("the table names its home regions");
    let homes = homes.split(' ').map(str::to_owned).collect();
    let examples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [region, e164, international, national, at_home, abroad] = fields[..] else { panic!("six fields: {line}") };
        let abroad = abroad.split(' ').filter_map(|answer| answer.split_once('='));
        let home = Some((region, at_home)).filter(|_| !at_home.is_empty());
        let answers = abroad.chain(home).map(|(home, answer)| (home.to_owned(), answer.to_owned())).collect();
        let text = str::to_owned;
        Example {
            region: text(region),
            e164: text(e164),
            international: text(international),
            national: text(national),
            answers,
        }
    });
    (homes, examples.collect())
}

fn read(text: &str, home: &str) -> Option<String> {
    Phone::new(text, Region::new(home)).ok().map(|phone| phone.to_string())
}

#[test]
fn every_example_number_comes_out_as_libphonenumber_says() {
    let (homes, examples) = table();
    let (mut asked, mut differences) = (0, Vec::new());
    for example in &examples {
        let mut ask = |text: &str, home: &str, want: Option<&String>| {
            asked += 1;
            let got = read(text, home);
            if got.as_ref() != want {
                differences.push(format!("{text} in {home:?}: {got:?}, not {want:?}"));
            }
        };
        for home in homes.iter().map(String::as_str).chain(["", &example.region]) {
            ask(&example.e164, home, Some(&example.e164));
            ask(&example.international, home, Some(&example.e164));
            ask(&example.national, home, example.answers.get(home));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {asked}:\n{}",
        differences.len(),
        differences[..differences.len().min(40)].join("\n")
    );
    assert!(asked > 45_000, "{asked}");
}

/// One way to write the digits of a number that begins with `+`.
fn written(e164: &str, groups: &[usize], separator: &str, wide: bool, around: (&str, &str)) -> String {
    let mut digits = e164.trim_start_matches('+').chars().peekable();
    let mut text = String::new();
    for length in groups.iter().cycle() {
        let group: String = digits.by_ref().take(*length).collect();
        text.push_str(&group);
        if digits.peek().is_none() {
            break;
        }
        text.push_str(separator);
    }
    if wide {
        let widened = |c: char| c.to_digit(10).and_then(|digit| char::from_u32(0xff10 + digit)).unwrap_or(c);
        text = text.chars().map(widened).collect();
    }
    format!("{}{}{text}{}", around.0, if wide { '＋' } else { '+' }, around.1)
}

#[test]
fn what_begins_with_plus_comes_out_as_it_went_in_however_it_is_written() {
    let (homes, examples) = table();
    const SEPARATORS: [&str; 14] =
        ["", " ", "-", ".", "/", "\u{a0}", "\u{202f}", "\u{2011}", "\u{2013}", "\u{ad}", "\u{200b}", "  ", " - ", "ー"];
    const AROUND: [(&str, &str); 7] = [
        ("", ""),
        (" ", "\t"),
        ("tel:", ""),
        ("TEL: ", ""),
        ("\u{202a}", "\u{202c}"),
        ("\u{202d}", "\u{202c}"),
        ("(", ")"),
    ];
    let cases = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        prop::collection::vec(1..5_usize, 1..6),
        prop::sample::select(&SEPARATORS[..]),
        any::<bool>(),
        prop::sample::select(&AROUND[..]),
    );
    type Pick = prop::sample::Index;
    type Case = (Pick, Pick, Vec<usize>, &'static str, bool, (&'static str, &'static str));
    let run = |(example, home, groups, separator, wide, around): Case| {
        let e164 = &example.get(&examples).e164;
        let home = home.get::<String>(&homes);
        let text = written(e164, &groups, separator, wide, around);
        // `+4930123456.0` is what a spreadsheet makes of another number.
        let is_decimal = separator == "." && text.matches('.').count() == 1;
        if !is_decimal {
            let got = read(&text, home);
            prop_assert_eq!(got.as_ref(), Some(e164), "{:?} in {}", text, home);
        }
        Ok::<_, TestCaseError>(())
    };
    TestRunner::new(Config { cases: 5_000, failure_persistence: None, ..Config::default() }).run(&cases, run).unwrap();
}

#[test]
fn whatever_is_written_a_number_that_is_taken_reads_as_itself_from_then_on() {
    let (homes, _) = table();
    let texts = prop_oneof!["[+0-9][0-9]{4,16}", "[+＋]?[0-9 ()./xX#;,*~٣-]{0,40}", any::<String>()];
    let cases = (texts, any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let run = |(text, home, other): (String, prop::sample::Index, prop::sample::Index)| {
        let home = home.get::<String>(&homes);
        if let Some(e164) = read(&text, home) {
            for region in ["", home, other.get::<String>(&homes)] {
                prop_assert_eq!(
                    read(&e164, region),
                    Some(e164.clone()),
                    "{:?} in {}, then in {:?}",
                    text,
                    home,
                    region
                );
            }
        }
        Ok::<_, TestCaseError>(())
    };
    let config =
        Config { cases: number("CASES", 10_000).try_into().unwrap(), failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&cases, run).unwrap();
}

fn person(number: usize, phone: &str) -> Value {
    json!({ "firstName": "Ada", "lastName": format!("Example {number}"), "email": format!("ada{number}@example.com"), "phone": phone })
}

/// HighLevel keeps only the digits of its phone field, and a `+` in front; other fields hold what
/// people typed.
fn phones_as_typed(world: &mut World) {
    let path = world.path("mapping.toml");
    std::fs::write(&path, "[customer]\nphone = \"{{ company }}\"\n").unwrap();
    world.set("MAPPING_FILE", &path);
}

#[tokio::test]
async fn a_foreign_number_reaches_trafft_as_it_is_and_a_doubtful_one_is_left_out_with_the_reason() {
    let mut world = World::stopped(&[]).await;
    phones_as_typed(&mut world);
    world.start().await;
    for (number, (phone, want)) in [
        ("+4915123456789", "+4915123456789"),
        ("+44 (0)20 7946 0018", "+442079460018"),
        ("\u{202a}+44\u{a0}20\u{2011}7946\u{2011}0019\u{202c}", "+442079460019"),
        ("(415) 555-0142", "+14155550142"),
        ("00442079460018", "not a valid number of the location's country"),
        ("555-0142", "not a valid number of the location's country"),
        ("+1 415 555 014215", "not as many digits"),
        ("14155550142.0", "not one number alone"),
        ("415.555.0143 (cell)", "not one number alone"),
    ]
    .into_iter()
    .enumerate()
    {
        let contact = world.sandbox.ghl.create_contact(json!({
            "firstName": "Ada", "lastName": format!("Example {number}"), "email": format!("ada{number}@example.com"),
            "companyName": phone,
        }));
        let answer = world.deliver_all().await;
        assert_eq!(answer.status(), "synced", "{}", answer.json);
        let customer = world.customer_of(&contact).await;
        if want.starts_with('+') {
            assert_eq!((customer.phone_number.as_deref(), answer.reason()), (Some(want), ""), "{phone}");
        } else {
            assert_eq!(customer.phone_number.unwrap_or_default(), "", "{phone}");
            let said = answer.reason();
            assert!(said.contains("left out") && said.contains(want), "{phone}: {said}");
            assert!(!said.contains(phone), "no number in the reason: {said}");
        }
    }
}

#[tokio::test]
async fn a_right_number_in_trafft_is_not_overwritten_when_something_else_changes() {
    let mut world = World::stopped(&[]).await;
    let staff = json!({ "first_name": "Ada", "last_name": "Example 1", "email": "ada1@example.com", "phone": "+4915123456789" });
    let customer = world.sandbox.trafft.staff_create(staff);
    world.start().await;
    let contact = world.sandbox.ghl.create_contact(person(1, "+4915123456789"));
    assert_eq!(world.deliver_all().await.status(), "unchanged");
    world.sandbox.ghl.edit_contact(&contact, json!({ "lastName": "Byron" }));
    assert_eq!(world.deliver_all().await.status(), "synced");
    let shown = world.sandbox.trafft.customer(customer).unwrap();
    assert_eq!((shown.last_name.as_str(), shown.phone_number.as_deref()), ("Byron", Some("+4915123456789")));
}

#[tokio::test]
async fn keys_of_an_older_rule_are_made_anew_before_anybody_is_looked_for() {
    let mut world = World::stopped(&[]).await;
    for (number, phone) in [(1, "+4915123456789"), (2, "+8613123456789"), (3, "+14155550142")] {
        let last_name = format!("Example {number}");
        world
            .sandbox
            .trafft
            .staff_create(json!({ "first_name": "Ada", "last_name": last_name, "email": "", "phone": phone }));
    }
    world.start().await;
    world.synced(json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    world.stop().await;
    // As version 0.1.0 left it in a US location.
    for statement in [
        "UPDATE customers SET phone_key = '+495123456789' WHERE phone_number = '+4915123456789'",
        "UPDATE customers SET phone_key = '+863123456789' WHERE phone_number = '+8613123456789'",
        "UPDATE connections SET phone_keys = NULL",
    ] {
        world.sql(statement).await;
    }
    world.start().await;
    for (number, phone) in [(1, "+4915123456789"), (2, "+86 131 2345 6789"), (3, "+14155550142")] {
        let contact = json!({ "firstName": "Ada", "lastName": format!("Example {number}"), "phone": phone });
        world.sandbox.ghl.create_contact(contact);
        let answer = world.deliver_all().await;
        assert_eq!((answer.status(), answer.customer()), ("unchanged", number), "{}", answer.json);
    }
    assert_eq!(world.sandbox.trafft.customers().len(), 4, "nobody is made twice");
}

#[tokio::test]
async fn what_an_older_version_made_of_a_number_is_counted_mended_and_never_cleared() {
    let mut world = World::stopped(&[]).await;
    phones_as_typed(&mut world);
    world.start().await;
    let mut contacts = Vec::new();
    for (number, phone) in
        ["+4915123456789", "00442079460018", "+14155550142", "(415) 555-0177"].into_iter().enumerate()
    {
        let ada = json!({ "firstName": "Ada", "lastName": format!("Example {number}"), "email": format!("ada{number}@example.com"), "companyName": phone });
        contacts.push(world.synced(ada).await);
    }
    world.stop().await;
    // As version 0.1.0 left it in a US location, but for the third.
    for (customer, phone) in [(1, "+495123456789"), (2, "+100442079460018"), (4, "")] {
        world.sandbox.trafft.staff_edit(customer, json!({ "phone_number": phone }));
    }
    for statement in [
        "UPDATE customers SET phone_number = '+495123456789', phone_key = '+495123456789' WHERE customer_id = 1",
        "UPDATE customers SET phone_number = '+100442079460018', phone_key = '+100442079460018' WHERE customer_id = 2",
        "UPDATE customers SET phone_number = '', phone_key = NULL WHERE customer_id = 4",
        "UPDATE connections SET phone_keys = NULL",
    ] {
        world.sql(statement).await;
    }
    let before = world.sandbox.trafft.journal().writes();
    let told = command::run(&world.settings(), &["doctor"]).await.out;
    let counts = "1 in Trafft are wrong, 1 belong to contacts whose number is left out now, 1 are missing in Trafft";
    assert!(told.contains(counts), "{told}");
    assert_eq!(world.sandbox.trafft.journal().writes(), before, "counting writes nothing");

    world.start().await;
    world.drain().await;
    let shown = |id: i64| world.sandbox.trafft.customer(id).unwrap().phone_number.unwrap_or_default();
    assert_eq!([1, 2, 3, 4].map(shown), ["+4915123456789", "+100442079460018", "+14155550142", "+14155550177"]);
    let findings = world.get("/api/v1/findings").await.json["findings"].clone();
    for (contact, want) in
        contacts.iter().zip([Some("the right one is written"), Some("left out now"), None, Some("can be read now")])
    {
        let of_contact: Vec<_> =
            findings.as_array().unwrap().iter().filter(|one| one["contact_id"] == contact.as_str()).collect();
        assert_eq!(of_contact.len(), usize::from(want.is_some()), "{findings}");
        let what = of_contact.first().and_then(|one| one["what"].as_str()).unwrap_or_default();
        assert!(what.contains(want.unwrap_or_default()), "{findings}");
    }
    // Once only.
    world.restart().await;
    world.drain().await;
    assert_eq!(world.get("/api/v1/findings").await.json["findings"], findings);
}

#[tokio::test]
async fn a_refused_location_record_is_asked_for_again_and_nothing_is_guessed_meanwhile() {
    let mut world = World::stopped(&[("TIME_ZONE", ""), ("PHONE_REGION", "")]).await;
    phones_as_typed(&mut world);
    world.sandbox.ghl.set_timezone(&world.sandbox.ghl.location_id(), "Asia/Kolkata");
    let staff = json!({ "first_name": "Ada", "last_name": "Example", "email": "", "phone": "(415) 555-0142" });
    let known = world.sandbox.trafft.staff_create(staff);
    let location = format!("/locations/{}", world.sandbox.ghl.location_id());
    let refuse = || {
        let refused = json!({ "statusCode": 403, "message": "Forbidden resource" }).to_string();
        world.sandbox.ghl.faults().push(Matcher::new("GET", &location), Fault::StatusWithBody(403, refused));
    };
    refuse();
    world.start().await;
    let ada = json!({ "firstName": "Ada", "lastName": "Example", "companyName": "(415) 555-0142" });
    let phone_only = world.sandbox.ghl.create_contact(ada);
    let answer = world.deliver_all().await;
    assert_eq!(answer.status(), "skipped", "{}", answer.json);
    assert!(answer.reason().contains("country is not known"), "{}", answer.reason());
    let bob = json!({ "firstName": "Bob", "lastName": "Sample", "email": "bob@example.com", "companyName": "(415) 555-0177" });
    let bob = world.synced(bob).await;
    let call = json!({ "title": "Call", "dueDate": "2026-09-08T14:30:00.000Z", "completed": false });
    world.sandbox.ghl.add_task(&bob, call);
    world.deliver_all().await;
    let customer = world.customer_of(&bob).await;
    assert_eq!(customer.phone_number.unwrap_or_default(), "");
    let told = customer.description.unwrap_or_default();
    assert!(told.contains("2026-09-08 14:30 UTC"), "{told}");

    // Mended: the read is allowed from now on. With the next contact that is looked for all are put
    // right, without a restart.
    world.rest(std::time::Duration::from_secs(61)).await;
    world.synced(json!({ "firstName": "Eve", "email": "eve@example.com" })).await;
    world.drain().await;
    let found = world.contact(&phone_only).await;
    assert_eq!(
        (found["status"].as_str(), found["trafft_customer_id"].as_i64()),
        (Some("unchanged"), Some(known)),
        "{found}"
    );
    assert_eq!(world.sandbox.trafft.customers().len(), 3, "nobody is made twice");
    let customer = world.customer_of(&bob).await;
    assert_eq!(customer.phone_number.as_deref(), Some("+14155550177"));
    let told = customer.description.unwrap_or_default();
    assert!(told.contains("2026-09-08 20:00") && !told.contains("UTC"), "{told}");
}
