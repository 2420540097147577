/// Values that are being made or used by several threads: each is made once, by whoever needs it first, and dropped after
/// its last use.
///
/// Its size is bounded by its users, who begin work only within a window behind what is done.
public final class SharedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private enum State: Sendable {
        case making
        case ready(Value)
        case failed(any Error)
    }

    private struct Entry: Sendable {
        var state: State
        var usesLeft: Int
    }

    private let entries: Monitor<[Key: Entry]>
    private let uses: @Sendable (Key) -> Int

    /// A cache for values that are used `uses(key)` times each; some have been made already.
    public init(known: consuming [Key: Value] = [:], uses: @escaping @Sendable (Key) -> Int) {
        self.uses = uses
        var entries: [Key: Entry] = [:]
        for (key, value) in known where uses(key) > 0 {
            entries[key] = Entry(state: .ready(value), usesLeft: uses(key))
        }
        self.entries = Monitor(entries)
    }

    /// How many values there are or are being made.
    public var count: Int { entries.read { $0.count } }

    /// Gets values, making those that nobody makes yet; waits for those that others are making.
    public func values(_ keys: [Key], make: (Key) throws -> Value) -> [Key: Result<Value, any Error>] {
        // Values that were found stay until they are released: nothing before these places is looked at again.
        var unclaimed = 0, unready = 0
        while true {
            let claimed: Key?? = entries.wait { entries -> Key?? in
                while unclaimed < keys.count {
                    let key = keys[unclaimed]
                    unclaimed += 1
                    guard entries[key] == nil else { continue }
                    entries[key] = Entry(state: .making, usesLeft: self.uses(key))
                    return .some(key)
                }
                while unready < keys.count {
                    guard let entry = entries[keys[unready]] else {
                        // Released too often: made again.
                        unclaimed = unready
                        entries[keys[unready]] = Entry(state: .making, usesLeft: self.uses(keys[unready]))
                        return .some(keys[unready])
                    }
                    if case .making = entry.state { return nil }
                    unready += 1
                }
                return .some(nil)
            }
            guard case .some(.some(let key)) = claimed else { break }
            let state: State
            do { state = .ready(try make(key)) } catch { state = .failed(error) }
            entries.update { $0[key]?.state = state }
        }
        return entries.read { entries in
            var found: [Key: Result<Value, any Error>] = [:]
            for key in keys {
                switch entries[key]?.state {
                case .ready(let value): found[key] = .success(value)
                case .failed(let error): found[key] = .failure(error)
                case .making, nil: break
                }
            }
            return found
        }
    }

    /// Says that one use of each is over.
    public func release(_ keys: [Key]) {
        entries.update { entries in
            for key in keys {
                entries[key]?.usesLeft -= 1
                if let left = entries[key]?.usesLeft, left <= 0 { entries[key] = nil }
            }
        }
    }
}
