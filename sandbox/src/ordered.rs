//! A sorted set that knows, without walking, how many of its members lie before a place; pages of
//! it are cheap anywhere.

/// Chunks grow to this and are then split in two.
const CHUNK: usize = 512;

/// Sorted members in sorted chunks. None of the chunks is empty.
pub(crate) struct Ordered<K> {
    chunks: Vec<Vec<K>>,
}

impl<K> Default for Ordered<K> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<K: Ord> Ordered<K> {
    /// The chunk that a key is in, or belongs into.
    fn home(&self, key: &K) -> usize {
        self.chunks.partition_point(|chunk| chunk.last().is_some_and(|last| last < key))
    }

    /// Adds a member, unless it is one.
    pub(crate) fn insert(&mut self, key: K) {
        let at = self.home(&key).min(self.chunks.len().saturating_sub(1));
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(vec![key]);
            return;
        };
        let Err(place) = chunk.binary_search(&key) else {
            return;
        };
        chunk.insert(place, key);
        if chunk.len() > CHUNK {
            let upper = chunk.split_off(CHUNK / 2);
            self.chunks.insert(at + 1, upper);
        }
    }

    /// Takes a member out, if it is one.
    pub(crate) fn remove(&mut self, key: &K) {
        let at = self.home(key);
        let Some(chunk) = self.chunks.get_mut(at) else {
            return;
        };
        if let Ok(place) = chunk.binary_search(key) {
            chunk.remove(place);
        }
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
    }

    /// How many members, from the least on, are `before`; this must not turn true again where it
    /// was false.
    pub(crate) fn rank(&self, before: impl Fn(&K) -> bool) -> usize {
        let at = self.chunks.partition_point(|chunk| chunk.last().is_some_and(&before));
        let whole: usize = self.chunks[..at].iter().map(Vec::len).sum();
        whole + self.chunks.get(at).map_or(0, |chunk| chunk.partition_point(before))
    }

    /// The members that have at least `from` and fewer than `to` before them.
    pub(crate) fn slice(&self, from: usize, to: usize) -> Vec<&K> {
        let (mut skip, mut want) = (from, to.saturating_sub(from));
        let mut found = Vec::new();
        for chunk in &self.chunks {
            if want == 0 {
                break;
            }
            if skip >= chunk.len() {
                skip -= chunk.len();
                continue;
            }
            let here = &chunk[skip..(skip + want).min(chunk.len())];
            found.extend(here);
            (skip, want) = (0, want - here.len());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Ordered};

    #[test]
    fn agrees_with_a_plain_sorted_list() {
        let mut ordered = Ordered::default();
        let mut plain = std::collections::BTreeSet::new();
        for number in 0..20 * CHUNK {
            // 7919 is prime: every remainder comes in some disorder.
            let key = number * 7919 % (9 * CHUNK);
            if number % 3 == 0 {
                ordered.remove(&(key / 2));
                plain.remove(&(key / 2));
            } else {
                ordered.insert(key);
                plain.insert(key);
            }
        }
        let plain: Vec<usize> = plain.into_iter().collect();
        let all: Vec<usize> = ordered.slice(0, usize::MAX).into_iter().copied().collect();
        assert_eq!(all, plain);
        for bound in [0, 1, CHUNK, 3 * CHUNK + 7, 9 * CHUNK] {
            let rank = ordered.rank(|key| *key < bound);
            assert_eq!(rank, plain.partition_point(|key| *key < bound), "{bound}");
            let page: Vec<usize> = ordered.slice(rank, rank + 700).into_iter().copied().collect();
            assert_eq!(page, plain.iter().copied().skip(rank).take(700).collect::<Vec<_>>());
        }
        assert!(ordered.slice(5, 5).is_empty() && ordered.slice(5, 1).is_empty());
        plain.iter().for_each(|key| ordered.remove(key));
        assert_eq!(ordered.rank(|_| true), 0);
    }
}
