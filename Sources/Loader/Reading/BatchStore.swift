import Shards
import Support

/// Record batches in memory, each read once by whoever needs it first, and kept as long as somebody needs it; after that
/// until its memory is needed for another.
final class BatchStore: Sendable {
    private struct Slot: Sendable {
        let loaded: LoadedBatch
        var batch = -1
        var pins = 0
        var isLoading = false
        /// When it was last let go.
        var stamp = 0
    }

    private struct State: Sendable {
        /// For each record batch its slot; -1 if it is not in memory.
        var slotOf: [Int32]
        var slots: [Slot] = []
        var clock = 0
    }

    private let state: Monitor<State>
    private let selection: StoredSelection
    private let capacity: Int
    private let largest: BatchSize

    /// A store that keeps up to `capacity` record batches when nobody needs them.
    init(batches: Int, capacity: Int, largest: BatchSize, selection: StoredSelection) {
        state = Monitor(State(slotOf: Array(repeating: -1, count: batches)))
        self.capacity = capacity
        self.largest = largest
        self.selection = selection
    }

    /// Gets a record batch and keeps it until `unpin`; `load` fills it if it is not there.
    /// - Throws: What `load` throws.
    func pin(_ batch: Int, load: (LoadedBatch) throws -> Void) throws -> LoadedBatch {
        let (slot, loaded, mustLoad): (Int, LoadedBatch, Bool) = state.wait { state in
            let known = Int(state.slotOf[batch])
            if known >= 0 {
                // Whoever reads it wakes us; if it could not be read, we try ourselves and get the error first hand.
                guard !state.slots[known].isLoading else { return nil }
                state.slots[known].pins += 1
                return (known, state.slots[known].loaded, false)
            }
            let slot = self.freeSlot(&state)
            let old = state.slots[slot].batch
            if old >= 0 { state.slotOf[old] = -1 }
            state.slotOf[batch] = Int32(truncatingIfNeeded: slot)
            state.slots[slot].batch = batch
            state.slots[slot].pins = 1
            state.slots[slot].isLoading = true
            return (slot, state.slots[slot].loaded, true)
        }
        guard mustLoad else { return loaded }
        do {
            try load(loaded)
            state.update { $0.slots[slot].isLoading = false }
            return loaded
        } catch {
            state.update { state in
                state.slotOf[batch] = -1
                state.slots[slot].batch = -1
                state.slots[slot].pins = 0
                state.slots[slot].isLoading = false
            }
            throw error
        }
    }

    /// Whether a record batch is in memory, or on its way.
    func holds(_ batch: Int) -> Bool { state.read { $0.slotOf[batch] >= 0 } }

    /// Lets a record batch go.
    func unpin(_ batch: Int) {
        state.update { state in
            let slot = Int(state.slotOf[batch])
            guard slot >= 0 else { return }
            state.clock += 1
            state.slots[slot].pins -= 1
            state.slots[slot].stamp = state.clock
        }
    }

    /// Bytes of its memory now.
    var bytes: Int { state.read { state in state.slots.reduce(0) { $0 + ($1.isLoading ? 0 : $1.loaded.bytes) } } }

    /// The slot that has been free for longest, or a new one if all are in use.
    private func freeSlot(_ state: inout State) -> Int {
        // All at once, and with their memory, so that a steady loop allocates nothing; pages come when they are written to.
        if state.slots.isEmpty {
            let arena = Arena(
                count: capacity
                    * selection.arenaBytes(
                        rows: largest.rows, constituents: largest.constituents, exceptions: exceptions))
            while state.slots.count < capacity { addSlot(&state, arena) }
        }
        var best = -1
        for (index, slot) in state.slots.enumerated() where slot.pins == 0 {
            if best < 0 || slot.stamp < state.slots[best].stamp { best = index }
        }
        if best < 0 {
            addSlot(&state, nil)
            best = state.slots.count - 1
        }
        return best
    }

    /// Far more exceptions than record batches have; where there are more, their memory grows.
    private var exceptions: Int { largest.constituents / 16 }

    private func addSlot(_ state: inout State, _ arena: Arena?) {
        let loaded = LoadedBatch(selection)
        loaded.reserve(
            rows: largest.rows, constituents: largest.constituents, exceptions: exceptions, in: arena)
        state.slots.append(Slot(loaded: loaded))
    }
}

/// Jets and constituents: of a record batch, or of a batch.
struct BatchSize: Sendable {
    var rows: Int
    var constituents: Int
}
