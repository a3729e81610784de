//! Text from strangers, made harmless: what reaches Trafft is plain, free of control characters,
//! and bounded.

use super::markup::text_of;

/// A longer word of ASCII is a link or data, which nobody reads: it must not push out what stands
/// behind it. Other languages write whole sentences without a blank.
const LONGEST_WORD: usize = 80;

/// The text of what may be HTML; scripts and styles are no text and vanish.
pub(super) fn html_to_text(text: &str) -> String {
    let text = without_data(text);
    one_line(&text_of(&text).unwrap_or(text))
}

/// The text with its links and data cut.
pub(super) fn without_data(text: &str) -> String {
    let is_within = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '\'');
    let piece = |piece: &str| match piece.find(|c| !is_within(c)).unwrap_or(piece.len()) {
        word if word > LONGEST_WORD => format!("{}{}", shorten(&piece[..word], LONGEST_WORD), &piece[word..]),
        _ => piece.to_owned(),
    };
    text.split_inclusive(|c| !is_within(c)).map(piece).collect()
}

/// White space of any kind becomes one blank; control and invisible formatting characters go.
pub(super) fn one_line(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        // Joiners shape names in Sinhala or Persian, and put emoji together: only there they are
        // kept.
        let joins = is_joiner(c) && visible.chars().next_back().is_some_and(is_joined);
        if joins && rest.peek().copied().is_some_and(is_joined) || c.is_whitespace() || !unprintable(c) {
            visible.push(c);
        }
    }
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

fn is_joined(c: char) -> bool {
    !c.is_ascii() && !c.is_whitespace() && !unprintable(c)
}

fn unprintable(c: char) -> bool {
    // Direction marks can make text read as what it is not.
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// At most so many characters, with an ellipsis where something was left out.
pub(super) fn shorten(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The finished description: lines trimmed, empty ones dropped, escaped if it may be shown as HTML,
/// and bounded, with an ellipsis where something was left out.
pub(super) fn finish(text: &str, characters: usize, escape: bool) -> String {
    let lines: Vec<_> = text.lines().map(one_line).filter(|line| !line.is_empty()).collect();
    let text = lines.join("\n");
    let piece = |c: char| match c {
        '&' if escape => "&amp;".to_owned(),
        '<' if escape => "&lt;".to_owned(),
        '>' if escape => "&gt;".to_owned(),
        c => c.to_string(),
    };
    let finished: String = text.chars().map(piece).collect();
    if finished.chars().count() <= characters {
        return finished;
    }
    // Cut between the pieces, so that no entity is torn.
    let mut length = 1;
    let within = |piece: &String| {
        length += piece.chars().count();
        length <= characters
    };
    let kept: String = text.chars().map(piece).take_while(within).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        for (html, text) in [
            ("<p>Prefers <b>mornings</b></p>", "Prefers mornings"),
            ("<p>one</p><p>two</p>", "one two"),
            ("wo<b>r</b>d<br>next", "word next"),
            ("<script>alert(1)</script>hello<style>p{}</style>", "hello"),
            ("<p>a &lt;script&gt; b</p>", "a <script> b"),
            ("<img src=x onerror=alert(1)>after", "after"),
            ("tab\there\u{0}\u{202e}", "tab here"),
            ("<li>mornings</li><li>quiet room</li>", "• mornings • quiet room"),
            (
                r#"<ul data-checked="true"><li>paid</li></ul><ul data-checked="false"><li>called</li></ul>"#,
                "[x] paid [ ] called",
            ),
            (
                r#"<ol><li data-list="checked">paid</li><li data-list="unchecked">called</li></ol>"#,
                "[x] paid [ ] called",
            ),
            (
                r#"<label><input type="checkbox" checked>paid</label><p><input type="checkbox">called</p>"#,
                "[x] paid [ ] called",
            ),
            ("<p>From: Jo <jo@example.com></p>", "From: Jo <jo@example.com>"),
            ("<p>wants x<y and z</p>", "wants x<y and z"),
            ("<p>a<b and c</p>", "a<b and c"),
            (r#"<p><a title="x<y">a link</a></p>"#, "a link"),
            ("<p>pain level <b4 surgery: 7, after: 3</p>", "pain level <b4 surgery: 7, after: 3"),
            (
                "<p>https://example.com/?id=5&region=eu&currency=usd&section=2</p>",
                "https://example.com/?id=5&region=eu&currency=usd&section=2",
            ),
            ("<p>Tom &amp; Jerry&nbsp;&#33; <o:p>and</o:p> <B>Spike</B></p>", "Tom & Jerry ! and Spike"),
            ("<table><tr><td>size</td><td>42</td></tr></table>", "size 42"),
        ] {
            assert_eq!(html_to_text(html), text, "{html:?}");
        }
    }

    #[test]
    fn what_is_no_markup_stays_as_it_was_typed() {
        for text in [
            "From: Jo Example <jo@example.com>",
            "wants x<y and z",
            "a<b and c>d",
            "pain level <b4 surgery: 7, after: 3",
            "https://example.com/?id=5&region=eu&currency=usd&section=2",
            "no markup, 5 > 4 & 3 < 4",
            "I </3 mondays, <3 fridays",
            "Tom &amp; Jerry",
        ] {
            assert_eq!(html_to_text(text), text);
        }
    }

    #[test]
    fn what_nobody_reads_pushes_nothing_out() {
        // Office programs paste a style sheet of this size.
        let noise = "x".repeat(100 * 1024);
        for before in [
            format!("<!--[if gte mso 9]>{noise}<![endif]-->"),
            format!("<style>{noise}</style>"),
            format!(r#"<img src="data:image/png;base64,{noise}">"#),
            format!(r#"<a href="https://example.com/{noise}">link</a>"#),
            format!("https://example.com/{noise} "),
        ] {
            let text = html_to_text(&format!("{before}<p>Allergic to lavender oil</p>"));
            assert!(text.ends_with("Allergic to lavender oil") && text.chars().count() < 120, "{text}");
        }
    }

    #[test]
    fn joiners_stay_where_they_join() {
        for name in ["ශ්\u{200d}රී", "علی\u{200c}رضا", "👩\u{200d}👧"] {
            assert_eq!(one_line(name), name);
        }
        for (text, shown) in [("Ad\u{200d}a", "Ada"), ("\u{200d}Ada\u{200c}", "Ada"), ("é \u{200d}é", "é é")] {
            assert_eq!(one_line(text), shown);
        }
    }

    #[test]
    fn what_is_finished_is_escaped_bounded_and_untorn() {
        assert_eq!(finish("a\n\n <b> & c \n", 100, true), "a\n&lt;b&gt; &amp; c");
        assert_eq!(finish("<b>", 100, false), "<b>");
        assert_eq!(finish("ab<", 5, true), "ab…");
        assert_eq!(finish("abcdef", 3, true), "ab…");
        assert_eq!(finish("abc", 3, true), "abc");
        assert_eq!(shorten("abcdef", 4), "abc…");
    }

    #[test]
    fn deep_nesting_and_length_do_no_harm() {
        assert_eq!(html_to_text(&"<div>".repeat(20_000)), "");
        assert_eq!(html_to_text(&format!("x{}y", "<b>".repeat(200_000))), "x");
        assert_eq!(html_to_text(&"x".repeat(60_000)).chars().count(), LONGEST_WORD);
        let words = "word ".repeat(110_000);
        let end = "<p>end</p>";
        let told = html_to_text(&format!("<p>{words}</p>{end}"));
        assert!(told.starts_with("word word") && !told.contains(['<', '>']) && !told.contains("end"), "{}", told.len());
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_typed_is_told_the_same_as_text_and_as_an_editors_html(words in "([\\PC&&[^ ]]{0,30}[ \t\n]){0,12}") {
            let typed = words.replace('<', "(");
            let html = typed.replace('&', "&amp;").replace('>', "&gt;");
            proptest::prop_assert_eq!(html_to_text(&typed), one_line(&typed));
            proptest::prop_assert_eq!(html_to_text(&format!("<p>{html}</p>")), one_line(&typed));
        }
    }

    proptest::proptest! {
        #[test]
        fn unescaped_signs_inside_of_html_are_told_as_they_were_typed(
            words in "(([a-z]{0,3}[<&][a-z]{1,3}=?[0-9a-z]{0,3}|[a-z]{1,5}) ){1,12}"
        ) {
            proptest::prop_assert_eq!(html_to_text(&format!("<p>{words}</p>")), words.trim_end());
        }
    }

    #[test]
    fn a_sentence_without_blanks_is_told_whole() {
        let allergic = "ラベンダーオイルにアレルギーがあります。".repeat(10);
        assert_eq!(html_to_text(&allergic), allergic);
    }
}
