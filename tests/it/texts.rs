//! What people and other programs write into contacts, and how it reaches Trafft.

use serde_json::{Value, json};

use crate::support::World;

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Example", "email": "ada@example.com" })
}

async fn description(world: &World, contact: &str) -> String {
    world.customer_of(contact).await.description.unwrap_or_default()
}

#[tokio::test]
async fn a_note_is_told_as_it_was_written() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    let ghl = &world.sandbox.ghl;
    let office = format!("<!--[if gte mso 9]>{}<![endif]--><p>Allergic to lavender oil</p>", "x".repeat(10_000));
    ghl.add_note(&contact, json!({ "body": office }));
    ghl.add_note(&contact, json!({ "body": "From: Jo Example <jo@example.com>, wants x<y and z" }));
    let live = ghl.add_note(&contact, json!({ "body": "<p>as the editor has it</p>" }));
    ghl.raw().field(
        "/contacts/",
        &live,
        "body",
        r#""<p>as the editor has it</p>","bodyText":"as it was typed: a<b>c""#,
    );
    world.deliver_all().await;
    let told = description(&world, &contact).await;
    for text in [
        "Allergic to lavender oil",
        "From: Jo Example &lt;jo@example.com&gt;, wants x&lt;y and z",
        "as it was typed: a&lt;b&gt;c",
    ] {
        assert!(told.contains(text), "`{text}` is not in: {told}");
    }
    assert!(!told.contains("editor"), "{told}");
}

/// An editor that was opened and left: neither a line of its own, nor one of the three that are
/// told.
#[tokio::test]
async fn a_note_without_a_word_is_not_told() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    for body in ["Prefers mornings", "Has a dog", "Pays cash", "<p>&nbsp;</p>", "<p><br></p>", " "] {
        world.sandbox.ghl.add_note(&contact, json!({ "body": body }));
    }
    world.deliver_all().await;
    let told = description(&world, &contact).await;
    for text in ["Prefers mornings", "Has a dog", "Pays cash"] {
        assert!(told.contains(text), "{told}");
    }
    assert_eq!(told.lines().count(), 4, "{told}");
}

/// In whichever of a live note's two texts it stands.
#[tokio::test]
async fn a_long_link_pushes_nothing_out_of_a_note() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    let ghl = &world.sandbox.ghl;
    let typed = format!("https://example.com/{} Allergic to lavender oil", "x".repeat(10 * 1024));
    ghl.add_note(&contact, json!({ "body": format!("<p>{typed}</p>") }));
    let live = ghl.add_note(&contact, json!({ "body": "<p>as the editor has it</p>" }));
    ghl.raw().field("/contacts/", &live, "bodyText", &json!(typed).to_string());
    world.deliver_all().await;
    let told = description(&world, &contact).await;
    assert_eq!(told.matches("Allergic to lavender oil").count(), 2, "{told}");
}

#[tokio::test]
async fn only_appointments_that_stand_are_told_and_none_vanishes_over_its_time() {
    let world = World::with(&[("TIME_ZONE", "US/Central")]).await;
    let contact = world.synced(ada()).await;
    let ghl = &world.sandbox.ghl;
    let add = |title: &str| {
        let start = "2026-09-16 11:00:00";
        ghl.add_appointment(
            &contact,
            json!({ "title": title, "startTime": start, "endTime": start, "appointmentStatus": "confirmed" }),
        )
    };
    let path = format!("/contacts/{contact}/appointments");
    for (title, key, text) in [
        ("Deleted", "deleted", "true"),
        ("Misspelt", "appointmentStatus", r#"null,"status":"booked","appoinmentStatus":"cancelled""#),
        ("No show", "appointmentStatus", r#""No-Show""#),
        ("No show either", "appointmentStatus", r#""No Show""#),
        ("Rejected", "appointmentStatus", r#""rejected""#),
        ("Off", "appointmentStatus", r#""CANCELLED ""#),
        ("Spoken", "startTime", r#""2026-09-16 11:00 AM""#),
        ("Counted", "startTime", "1789599600000"),
        ("Database", "startTime", r#"{"_seconds":1789603200,"_nanoseconds":0}"#),
        ("Unreadable", "startTime", r#""next week""#),
    ] {
        ghl.raw().field(&path, add(title), key, text);
    }
    ghl.raw().field(
        "/contacts/",
        ghl.add_task(&contact, json!({ "title": "Call", "dueDate": "2026-09-08T20:00:00Z" })),
        "completed",
        "false",
    );
    for _ in 0..4 {
        ghl.add_note(&contact, json!({ "body": "noted" }));
    }
    world.deliver_all().await;
    world.drain().await;
    let told = description(&world, &contact).await;
    assert!(told.contains("- [ ] Call (due 2026-09-08 15:00)"), "{told}");
    assert!(
        told.contains(
            "Next appointments:\n- 2026-09-16 11:00 Spoken (confirmed)\n- 2026-09-16 18:00 Counted (confirmed)\n\
             - 2026-09-16 19:00 Database (confirmed)\n- and 1 more"
        ),
        "{told}"
    );
    assert!(told.ends_with("- and 1 more"), "{told}");

    let other = world.synced(json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    let start = "2026-09-16 11:00:00";
    let one = json!({ "title": "Unreadable", "startTime": start, "endTime": start, "appointmentStatus": "confirmed" });
    let one = ghl.add_appointment(&other, one);
    ghl.raw().field(&format!("/contacts/{other}/appointments"), one, "startTime", r#""next week""#);
    world.deliver_all().await;
    let told = description(&world, &other).await;
    assert!(told.ends_with("- Unreadable (confirmed)"), "told without its time: {told}");
}

#[tokio::test]
async fn a_time_is_read_in_each_form_wherever_it_stands() {
    let world = World::with(&[("TIME_ZONE", "US/Central")]).await;
    let ghl = &world.sandbox.ghl;
    for (number, (form, read)) in [
        (r#""2026-09-16 11:00 AM""#, true),
        ("1789574400000", true),
        (r#""1789574400000""#, true),
        (r#""2026-09-16 16:00:00 UTC""#, true),
        (r#"{"_seconds":1789574400,"_nanoseconds":0}"#, true),
        (r#""next week""#, false),
    ]
    .into_iter()
    .enumerate()
    {
        let contact = world.synced(json!({ "firstName": "Ada", "email": format!("ada{number}@example.com") })).await;
        let start = "2026-09-16 11:00:00";
        let visit =
            json!({ "title": "Massage", "startTime": start, "endTime": start, "appointmentStatus": "confirmed" });
        let visit = ghl.add_appointment(&contact, visit);
        ghl.raw().field(&format!("/contacts/{contact}/appointments"), visit, "startTime", form);
        let call = ghl.add_task(&contact, json!({ "title": "Call", "dueDate": "2026-09-16T16:00:00Z" }));
        ghl.raw().field(&format!("/contacts/{contact}/tasks"), call, "dueDate", form);
        let note = ghl.add_note(&contact, json!({ "body": "noted" }));
        ghl.raw().field(&format!("/contacts/{contact}/notes"), note, "dateAdded", form);
        world.deliver_all().await;
        let told = description(&world, &contact).await;
        let want = if read {
            "Tasks:\n- [ ] Call (due 2026-09-16 11:00)\nNext appointments:\n- 2026-09-16 11:00 Massage (confirmed)\n\
             Notes:\n- 2026-09-16 noted"
        } else {
            "Tasks:\n- [ ] Call\nNext appointments:\n- Massage (confirmed)\nNotes:\n- noted"
        };
        assert_eq!(told, want, "{form}");
    }
}

#[tokio::test]
async fn four_hundred_tags_leave_room_for_the_rest() {
    let world = World::new().await;
    let contact = world.synced(ada()).await;
    let ghl = &world.sandbox.ghl;
    let tags: Vec<_> = (0..400).map(|number| format!("tag number {number}")).collect();
    ghl.edit_contact(&contact, json!({ "tags": tags }));
    for number in 0..30 {
        let title = format!("{number} {}", "long title ".repeat(20));
        ghl.add_task(&contact, json!({ "title": title, "dueDate": "2026-09-02T14:30:00.000Z", "completed": false }));
    }
    for number in 0..5 {
        let (title, start) = (format!("{number} {}", "long title ".repeat(20)), "2026-09-16 11:00:00");
        let visit = json!({ "title": title, "startTime": start, "endTime": start, "appointmentStatus": "confirmed" });
        ghl.add_appointment(&contact, visit);
    }
    ghl.add_note(&contact, json!({ "body": format!("Allergic to lavender oil {}", "and so on ".repeat(100)) }));
    world.deliver_all().await;
    world.drain().await;
    let told = description(&world, &contact).await;
    let lines: Vec<_> = told.lines().collect();
    assert!(lines[0].starts_with("Tags: tag number 0") && lines[0].ends_with('…'), "{told}");
    assert!(told.contains("Tasks:\n- [ ] ") && told.contains("Allergic to lavender oil"), "{told}");
    assert!(told.contains("Next appointments:\n- 2026-09-16 11:00 "), "{told}");
    // What was cut is marked: the last line of each part.
    let parts = ["Tasks:", "Next appointments:", "Notes:"];
    let before = |title| lines.iter().position(|line| *line == title).and_then(|at| lines.get(at - 1)).unwrap();
    assert!(parts.map(before).into_iter().chain(lines.last()).all(|line| line.ends_with('…')), "{told}");
    assert!(told.chars().count() <= 2_000);
}

#[tokio::test]
async fn an_address_is_cleaned_where_that_is_certain() {
    let world = World::new().await;
    for (number, (typed, sent)) in [
        ("tc@example.com,", "tc@example.com"),
        ("<ang@example.com>", "ang@example.com"),
        ("mailto:a@example.com", "a@example.com"),
    ]
    .into_iter()
    .enumerate()
    {
        let contact = json!({ "firstName": "Ada", "lastName": "Example", "phone": format!("+1415555014{number}") });
        let contact = world.sandbox.ghl.create_contact(contact);
        world.sandbox.ghl.raw().field("/contacts/", &contact, "email", &json!(typed).to_string());
        world.deliver_all().await;
        assert_eq!(world.customer_of(&contact).await.email.as_deref(), Some(sent));
    }
    let contact = world.sandbox.ghl.create_contact(json!({ "firstName": "Ada", "phone": "+14155550149" }));
    world.sandbox.ghl.raw().field("/contacts/", &contact, "email", r#""a@x.example,b@x.example""#);
    let answer = world.deliver_all().await;
    assert!(answer.reason().contains("several addresses"), "{}", answer.reason());
    assert_eq!(world.customer_of(&contact).await.email.unwrap_or_default(), "");
}

#[tokio::test]
async fn a_name_is_the_same_however_it_was_typed() {
    let world = World::new().await;
    for (number, (staff, ghl)) in [
        (("Zoe\u{308}", "O'Brien"), ("Zoë", "O’Brien")),
        (("Jean Luc", "Example"), ("Jean-Luc", "Example")),
        (("ශ්රී", "Example"), ("ශ්\u{200d}රී", "Example")),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("n{number}@example.com");
        let customer = json!({ "first_name": staff.0, "last_name": staff.1, "email": email, "phone": "" });
        let customer = world.sandbox.trafft.staff_create(customer);
        let contact = json!({ "firstName": ghl.0, "lastName": ghl.1, "email": email });
        let contact = world.sandbox.ghl.create_contact(contact);
        // The index learns of the customer first.
        world.rest(std::time::Duration::from_hours(25)).await;
        let answer = world.deliver_all().await;
        assert_eq!(answer.customer(), customer, "{}", answer.json);
        let written = world.customer_of(&contact).await;
        assert_eq!((written.first_name.as_str(), written.last_name.as_str()), ghl);
    }
}
