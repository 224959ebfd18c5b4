//! Open addressing with linear probing over slots of 16 bytes.

/// One place of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// The key, where it is one word; the key's hash where it is not.
    pub tag: u64,
    pub pane: u32,
    /// [`Slot::EMPTY`]'s where there is nothing.
    pub group: u32,
}

impl Slot {
    pub const EMPTY: Self = Self { tag: 0, pane: 0, group: u32::MAX };

    /// Whether there is a group here, with this tag and this pane.
    #[inline]
    pub fn is(self, tag: u64, pane: u32) -> bool {
        self.tag == tag && self.pane == pane && self.group != u32::MAX
    }
}

/// The slots: a power of two of them, of which at most five eighths are taken.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    taken: usize,
    /// How far a hash is shifted to be an index.
    shift: u32,
}

impl Table {
    pub fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }

    /// Provides room for more groups. `hash` is that of a slot's group.
    #[inline]
    pub fn reserve(&mut self, more: usize, hash: impl Fn(Slot) -> u64) {
        if (self.taken + more) * 8 > self.slots.len() * 5 {
            self.grow(more, hash);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize, hash: impl Fn(Slot) -> u64) {
        let mut length = (self.slots.len() * 2).max(256);
        while (self.taken + more) * 8 > length * 5 {
            length *= 2;
        }
        let old = std::mem::replace(&mut self.slots, vec![Slot::EMPTY; length]);
        self.shift = 64 - length.trailing_zeros();
        let mask = length - 1;
        for slot in old {
            if slot.group != u32::MAX {
                let mut at = (hash(slot) >> self.shift) as usize & mask;
                while self.slots[at].group != u32::MAX {
                    at = (at + 1) & mask;
                }
                self.slots[at] = slot;
            }
        }
    }

    /// The first place at which a group of this hash may be, and what is there now. There has to be [room](Self::reserve).
    #[inline]
    pub fn first(&self, hash: u64) -> (usize, Slot) {
        let at = (hash >> self.shift) as usize & (self.slots.len() - 1);
        (at, self.slots[at])
    }

    /// The group with this tag and pane that `is_it`, looked for from its [first](Self::first) place on, or a new one that `insert` numbers.
    #[inline]
    pub fn find_or_insert(
        &mut self,
        mut at: usize,
        (tag, pane): (u64, u32),
        is_it: impl Fn(u32) -> bool,
        insert: impl FnOnce() -> u32,
    ) -> u32 {
        let mask = self.slots.len() - 1;
        loop {
            let slot = self.slots[at];
            if slot.group == u32::MAX {
                let group = insert();
                self.slots[at] = Slot { tag, pane, group };
                self.taken += 1;
                return group;
            }
            if slot.is(tag, pane) && is_it(slot.group) {
                return slot.group;
            }
            at = (at + 1) & mask;
        }
    }
}
