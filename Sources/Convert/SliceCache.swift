import Support

/// Slices that are being read or used: each is read once, by whoever needs it first, and dropped after its last use.
///
/// Bounded by its users: a batch is begun only when it lies within a window behind the last written one.
final class SliceCache: Sendable {
    /// A slice of an input.
    struct Key: Hashable, Sendable {
        var input: Int
        var slice: Int
    }

    private enum State: Sendable {
        case reading
        case ready(RowSlice)
        case failed(any Error)
    }

    private struct Entry: Sendable {
        var state: State
        var usesLeft: Int
    }

    private let entries: Monitor<[Key: Entry]>
    private let uses: @Sendable (Key) -> Int

    /// A cache for slices that are used `uses(key)` times each; some have been read already.
    init(known: consuming [Key: RowSlice], uses: @escaping @Sendable (Key) -> Int) {
        self.uses = uses
        var entries: [Key: Entry] = [:]
        for (key, slice) in known where uses(key) > 0 {
            entries[key] = Entry(state: .ready(slice), usesLeft: uses(key))
        }
        self.entries = Monitor(entries)
    }

    /// Gets slices, reading those that nobody reads yet; waits for those that others are reading.
    func slices(_ keys: [Key], read: (Key) throws -> RowSlice) -> [Key: Result<RowSlice, any Error>] {
        while true {
            let claimed: Key?? = entries.wait { entries -> Key?? in
                for key in keys where entries[key] == nil {
                    entries[key] = Entry(state: .reading, usesLeft: self.uses(key))
                    return .some(key)
                }
                for key in keys {
                    if case .reading? = entries[key]?.state { return nil }
                }
                return .some(nil)
            }
            guard case .some(.some(let key)) = claimed else { break }
            let state: State
            do { state = .ready(try read(key)) } catch { state = .failed(error) }
            entries.update { $0[key]?.state = state }
        }
        return entries.read { entries in
            var found: [Key: Result<RowSlice, any Error>] = [:]
            for key in keys {
                switch entries[key]?.state {
                case .ready(let slice): found[key] = .success(slice)
                case .failed(let error): found[key] = .failure(error)
                case .reading, nil: break
                }
            }
            return found
        }
    }

    /// Says that a batch is done with slices.
    func release(_ keys: [Key]) {
        entries.update { entries in
            for key in keys {
                entries[key]?.usesLeft -= 1
                if let left = entries[key]?.usesLeft, left <= 0 { entries[key] = nil }
            }
        }
    }
}
