//! Statements about several rows at once. A statement costs a round trip to the database (with SQLite: to the thread
//! that works for it), so a batch of events takes a few of them, not a few for each event.

/// The most rows in one statement: far below what either database takes, and enough that the round trip is nothing.
const MOST: usize = 64;

/// One statement in its forms for 1, 2, 4 … rows: few texts, so that every connection keeps them all prepared.
pub(super) struct Texts(Vec<String>);

impl Texts {
    /// `row` has its placeholders as if it were alone; `before` and `after` have none.
    pub(super) fn new(before: &str, row: &str, after: &str) -> Self {
        let forms = (0..=MOST.ilog2()).map(|power| {
            let rows: Vec<_> = (0..1 << power).map(|number| numbered(row, number)).collect();
            format!("{before} {} {after}", rows.join(", "))
        });
        Self(forms.collect())
    }

    /// Cuts the rows into pieces, each with the text for that many.
    pub(super) fn pieces<'r, T>(&'static self, mut rows: &'r [T]) -> impl Iterator<Item = (&'static str, &'r [T])> {
        std::iter::from_fn(move || {
            let power = rows.len().min(MOST).checked_ilog2()?;
            let (piece, rest) = rows.split_at(1 << power);
            rows = rest;
            Some((self.0[power as usize].as_str(), piece))
        })
    }
}

/// The row with its placeholders moved behind those of the rows before it.
fn numbered(row: &str, rows_before: usize) -> String {
    let parts = row.split('$').map(|part| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        (part[..digits].parse::<usize>().ok(), &part[digits..])
    });
    let width = parts.clone().filter_map(|(number, _)| number).max().unwrap_or(0);
    parts
        .map(|(number, rest)| match number {
            Some(number) => format!("${}{rest}", number + rows_before * width),
            None => rest.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    #[test]
    fn pieces_have_the_text_for_their_size() {
        static TEXTS: LazyLock<Texts> = LazyLock::new(|| Texts::new("VALUES", "($1, 7, $2, $1 - 1)", "END"));
        let rows: Vec<_> = (0..131).collect();
        let pieces: Vec<_> = TEXTS.pieces(&rows).collect();
        assert_eq!(pieces.iter().map(|(_, piece)| piece.len()).collect::<Vec<_>>(), [64, 64, 2, 1]);
        assert_eq!(pieces.iter().flat_map(|(_, piece)| *piece).copied().collect::<Vec<_>>(), rows);
        assert_eq!(pieces[2].0, "VALUES ($1, 7, $2, $1 - 1), ($3, 7, $4, $3 - 1) END");
        assert_eq!(TEXTS.pieces(&rows[..0]).count(), 0);
    }
}
