//! Text from strangers, made harmless: what reaches Trafft is plain, free of control characters, and bounded.

/// The text of what may be HTML. GHL's editor is rich text, so a note may hold any markup (G §6.15); scripts and styles
/// are no text and vanish.
pub(super) fn plain(html: &str) -> String {
    // Deeply nested markup costs the parser time by the square, and no note is told at such length anyway.
    const ENOUGH: usize = 8 * 1024;
    let cut = html.floor_char_boundary(ENOUGH);
    let html = &html[..cut];
    let text = if html.contains(['<', '&']) {
        let rendered = html2text::config::with_decorator(html2text::render::TrivialDecorator::new())
            .raw_mode(true)
            .allow_width_overflow()
            .string_from_read(html.as_bytes(), usize::from(u16::MAX));
        // A parser that gives up must not let the markup through: then the text is withheld.
        rendered.unwrap_or_default()
    } else {
        html.to_owned()
    };
    one_line(&text)
}

/// White space of any kind becomes one blank; control and invisible formatting characters go.
pub(super) fn one_line(text: &str) -> String {
    let visible = text.chars().filter(|c| c.is_whitespace() || !unprintable(*c)).collect::<String>();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
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

/// The finished description: lines trimmed, empty ones dropped, bounded, and escaped if it may be shown as HTML.
pub(super) fn finish(text: &str, characters: usize, escape: bool) -> String {
    let lines: Vec<_> = text.lines().map(one_line).filter(|line| !line.is_empty()).collect();
    let (text, mut length) = (lines.join("\n"), 0);
    let pieces = text.chars().map(|c| match c {
        '&' if escape => "&amp;".to_owned(),
        '<' if escape => "&lt;".to_owned(),
        '>' if escape => "&gt;".to_owned(),
        c => c.to_string(),
    });
    // Cut between the pieces, so that no entity is torn.
    let within = |piece: &String| {
        length += piece.chars().count();
        length <= characters
    };
    pieces.take_while(within).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        for (html, text) in [
            ("<p>Prefers <b>mornings</b></p>", "Prefers mornings"),
            ("<p>one</p><p>two</p>", "one two"),
            ("<script>alert(1)</script>hello<style>p{}</style>", "hello"),
            ("a &lt;script&gt; b", "a <script> b"),
            ("no markup, 5 > 4", "no markup, 5 > 4"),
            ("<img src=x onerror=alert(1)>after", "after"),
            ("<<p>script>", "< script>"),
            ("tab\there\u{0}\u{202e}", "tab here"),
        ] {
            assert_eq!(plain(html), text, "{html:?}");
        }
    }

    #[test]
    fn what_is_finished_is_escaped_bounded_and_untorn() {
        assert_eq!(finish("a\n\n <b> & c \n", 100, true), "a\n&lt;b&gt; &amp; c");
        assert_eq!(finish("<b>", 100, false), "<b>");
        assert_eq!(finish("ab<", 5, true), "ab");
        assert_eq!(finish("abcdef", 3, true), "abc");
        assert_eq!(shorten("abcdef", 4), "abc…");
    }

    #[test]
    fn deep_nesting_and_length_do_no_harm() {
        assert!(plain(&"<div>".repeat(20_000)).len() < 5);
        assert!(plain(&format!("{}x", "<b>".repeat(100_000))).len() < 5);
        assert!(plain(&"é".repeat(60_000)).len() <= 8 * 1024);
    }
}
