//! The text of what may be HTML: GHL's editor is rich text (G §6.15), and people type `<` and `&`
//! all the same.

use std::cell::{Cell, RefCell};

use html5ever::Attribute;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

/// What a browser would show of it, without a line structure; `None`: it is no HTML, and is to be
/// taken as it was typed.
///
/// It is HTML if it has a tag that HTML knows: not for a `<` or a `&`. Reads tags one after the
/// other and builds no tree, so that deeply nested markup costs no more than other text.
pub(super) fn text_of(html: &str) -> Option<String> {
    // More than any note says; the parser's time does not grow in proportion.
    const ENOUGH: usize = 512 * 1024;
    if !html.contains('<') {
        return None;
    }
    let html = match &html[..html.floor_char_boundary(ENOUGH)] {
        whole if whole.len() == html.len() => whole,
        // No tag is torn.
        part => match (part.rfind('<'), part.rfind('>')) {
            (Some(open), close) if close.is_none_or(|close| close < open) => &part[..open],
            _ => part,
        },
    };
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(as_meant(html)));
    let tokenizer = Tokenizer::new(Reader::default(), TokenizerOpts::default());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    let Reader { text, is_html, .. } = tokenizer.sink;
    is_html.get().then(|| text.into_inner())
}

/// The text with everything escaped that is markup by HTML's grammar alone: a reference without its
/// `;`, as in the query of an address, and a `<` whose tag has not ended where the next one begins.
/// Nobody meant these; editors escape what they write.
fn as_meant(html: &str) -> String {
    let mut meant = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at(at);
        let (sign, behind) = from.split_at(1);
        meant.push_str(before);
        meant.push_str(match sign {
            "<" if !is_tag(behind) => "&lt;",
            "&" if !is_reference(behind) => "&amp;",
            sign => sign,
        });
        rest = behind;
    }
    meant.push_str(rest);
    meant
}

fn is_reference(behind: &str) -> bool {
    let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '#');
    end.is_some_and(|end| end > 0 && behind[end..].starts_with(';'))
}

/// Whether a tag that begins here ends before another one begins; in a quoted value, both signs are
/// text. What begins with no letter is left to the parser: an end tag, a comment.
fn is_tag(behind: &str) -> bool {
    if !behind.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return true;
    }
    let mut quote = None;
    let mut last = ' ';
    for c in behind.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if last == '=' => quote = Some(c),
            (None, '>') => return true,
            (None, '<') => return false,
            (None, _) => {}
        }
        last = c;
    }
    false
}

#[derive(Default)]
struct Reader {
    text: RefCell<String>,
    is_html: Cell<bool>,
    /// Inside of what is no text.
    is_hidden: Cell<bool>,
    /// Whether the items of this list are checked, where the list says so.
    list: Cell<Option<bool>>,
}

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            Token::CharacterTokens(text) if !self.is_hidden.get() => self.push(&text),
            Token::TagToken(tag) => return self.tag(&tag),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl Reader {
    fn push(&self, text: &str) {
        self.text.borrow_mut().push_str(text);
    }

    fn tag(&self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        let is_start = tag.kind == TagKind::StartTag;
        if is_known(name) && tag.attrs.iter().all(has_sense) {
            self.is_html.set(true);
        }
        match name {
            "script" | "style" => {
                self.is_hidden.set(is_start);
                if is_start {
                    let kind = if name == "script" { RawKind::ScriptData } else { RawKind::Rawtext };
                    return TokenSinkResult::RawData(kind);
                }
            }
            "ul" | "ol" => {
                self.list.set(checked(&tag.attrs).filter(|_| is_start));
                self.push(" ");
            }
            "li" if is_start => self.push(match checked(&tag.attrs).or(self.list.get()) {
                None => " • ",
                Some(true) => " [x] ",
                Some(false) => " [ ] ",
            }),
            "input" if attribute(&tag.attrs, "type") == Some("checkbox") => {
                self.push(if attribute(&tag.attrs, "checked").is_some() { "[x] " } else { "[ ] " });
            }
            // These stand inside a word or a sentence.
            "a" | "abbr" | "b" | "big" | "cite" | "code" | "del" | "em" | "font" | "i" | "ins" | "label" | "mark"
            | "s" | "small" | "span" | "strike" | "strong" | "sub" | "sup" | "u" | "wbr" => {}
            // An address in its angle brackets, in a text that is HTML elsewhere.
            name if is_start && name.contains('@') => self.push(&format!("<{name}>")),
            _ => self.push(" "),
        }
        TokenSinkResult::Continue
    }
}

/// `a<b and c>d` is a tag by HTML's grammar, and none that anybody meant.
fn has_sense(attribute: &Attribute) -> bool {
    !attribute.value.is_empty() || matches!(&*attribute.name.local, "alt" | "checked" | "class" | "disabled" | "hidden")
}

/// What editors, mail programs and office programs write.
fn is_known(name: &str) -> bool {
    matches!(
        name,
        "a" | "abbr"
            | "article"
            | "b"
            | "big"
            | "blockquote"
            | "body"
            | "br"
            | "center"
            | "cite"
            | "code"
            | "dd"
            | "del"
            | "div"
            | "dl"
            | "dt"
            | "em"
            | "figure"
            | "font"
            | "footer"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "head"
            | "header"
            | "hr"
            | "html"
            | "i"
            | "iframe"
            | "img"
            | "input"
            | "ins"
            | "label"
            | "li"
            | "link"
            | "mark"
            | "meta"
            | "ol"
            | "p"
            | "pre"
            | "s"
            | "script"
            | "section"
            | "small"
            | "span"
            | "strike"
            | "strong"
            | "style"
            | "sub"
            | "sup"
            | "svg"
            | "table"
            | "tbody"
            | "td"
            | "tfoot"
            | "th"
            | "thead"
            | "title"
            | "tr"
            | "u"
            | "ul"
            | "wbr"
    )
}

fn attribute<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}

/// Whether a list or its item is checked, in the words of the usual editors.
fn checked(attributes: &[Attribute]) -> Option<bool> {
    match attribute(attributes, "data-checked").or_else(|| attribute(attributes, "data-list"))? {
        "true" | "checked" => Some(true),
        "false" | "unchecked" => Some(false),
        _ => None,
    }
}
