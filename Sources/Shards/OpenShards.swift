import Support

/// Shards that are kept open, so that readers that go from one to the other and back need not open them again.
final class OpenShards: Sendable {
    private struct Entry: Sendable {
        var shard: Int
        var file: InputFile
        var lastUse: Int
    }

    /// The most that are kept: few beside the 256 descriptors that some systems allow.
    private static let limit = 32
    private let state = Monitor<(entries: [Entry], clock: Int)>(([], 0))

    /// The file of a shard; `open` opens it if it is not open.
    func file(_ shard: Int, open: () throws -> InputFile) throws -> InputFile {
        let known = state.update { state -> InputFile? in
            state.clock += 1
            guard let index = state.entries.firstIndex(where: { $0.shard == shard }) else { return nil }
            state.entries[index].lastUse = state.clock
            return state.entries[index].file
        }
        if let known, known.isUnchanged { return known }
        // Two threads may open the same one; the second is let go when it was used.
        let file = try open()
        state.update { state in
            let entry = Entry(shard: shard, file: file, lastUse: state.clock)
            state.entries.removeAll { $0.shard == shard }
            if state.entries.count < Self.limit {
                state.entries.append(entry)
            } else if let oldest = state.entries.indices.min(by: {
                state.entries[$0].lastUse < state.entries[$1].lastUse
            }) {
                state.entries[oldest] = entry
            }
        }
        return file
    }
}
