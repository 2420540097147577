import Support

/// A tree's own record (TTree of versions 16 to 20), read up to its branches; these are parsed when they are asked for.
struct TreeRecord: Sendable {
    /// A branch of the top level: where it is and what it is called.
    struct Entry: Sendable {
        var slot: ObjectPayload.ObjectSlot
        var name: String
    }

    let payload: ObjectPayload
    let title: String
    let entries: Int
    /// The top level in the file's order; names may repeat.
    let branches: [Entry]
    /// The first branch of each name.
    private let numbers: [String: Int]

    static let readVersions = 16...20

    /// - Parameter className: `TTree`, or a class that derives from it.
    init(_ payload: ObjectPayload, className: String) throws(ROOTError) {
        self.payload = payload
        var cursor = payload.cursor
        // A TNtuple has a frame of its own around that of the tree.
        if className != "TTree" { _ = try cursor.frame() }
        let frame = try cursor.frame(), version = frame.version
        guard Self.readVersions.contains(version) else {
            throw ROOTError(
                .unsupported, message: "a tree of version \(version); versions 16 to 20 are read (ROOT 5.23 and later)",
                advice: "write it again with a newer ROOT")
        }
        title = try cursor.named().title
        for _ in 0..<3 { try cursor.skipFrame() }
        entries = try cursor.nextInt(Int64.self)
        try cursor.skip(24 + (version >= 18 ? 8 : 0) + 8 + 12 + (version >= 17 ? 4 : 0))
        let ranges = version >= 19 ? try cursor.nextInt(UInt32.self) : 0
        try cursor.skip(32 + (version >= 18 ? 8 : 0) + 8)
        if version >= 19 {
            for _ in 0..<2 where try cursor.next(UInt8.self) != 0 {
                guard ranges <= cursor.left / 8 else { throw cursor.damaged("\(ranges) ranges of clusters") }
                try cursor.skip(ranges * 8)
            }
        }
        if version >= 20 { try cursor.skipFrame() }
        guard entries >= 0 else { throw cursor.damaged("the tree has \(entries) entries") }
        let array = try cursor.objectArray()
        var branches: [Entry] = []
        branches.reserveCapacity(array.count)
        var plainClass: Int?
        for _ in 0..<array.count {
            guard case .object(let slot) = try payload.slot(&cursor) else { continue }
            // Comparing places of class names spares the names.
            let isPlain: Bool
            if let plainClass, plainClass == slot.className {
                isPlain = true
            } else {
                isPlain = try payload.className(slot) == "TBranch"
                if isPlain { plainClass = slot.className }
            }
            var inside = try payload.cursor(slot.body)
            if !isPlain { _ = try inside.frame() }
            _ = try inside.frame()
            _ = try inside.frame()
            try inside.skipObject()
            branches.append(Entry(slot: slot, name: try inside.nextName()))
        }
        self.branches = branches
        numbers = Dictionary(
            branches.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The first branch of a name on the top level.
    func entry(named name: String) -> Entry? { numbers[name].map { branches[$0] } }

    /// The branch on the top level whose bytes hold a place.
    func entry(around position: Int) -> Entry? {
        var low = 0, high = branches.count
        while low < high {
            let middle = (low + high) / 2
            if branches[middle].slot.body.upperBound <= position { low = middle + 1 } else { high = middle }
        }
        guard low < branches.count, branches[low].slot.position <= position else { return nil }
        return branches[low]
    }
}
