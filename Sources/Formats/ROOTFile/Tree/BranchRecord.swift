import Support

/// What a tree's record says of a branch (TBranch of versions 10 to 13, alone or inside a TBranchElement).
struct BranchRecord: Sendable {
    /// The members that a TBranchElement adds.
    struct Element: Sendable {
        /// The class that holds the member, or that of the whole branch.
        var className: String
        var checksum: UInt32
        var classVersion: Int
        /// The member's number in the streamer info; negative for whole objects.
        var id: Int
        var type: Int
        var streamerType: Int
        /// The slot of the branch that counts this one's values.
        var counterSlot: Int?
    }

    /// Where the slot begins in the record: tells branches apart.
    let slot: Int
    let className: String
    let name: String
    let title: String
    /// Codec and level that it was made with; what baskets hold may differ.
    let compression: Int
    let basketBytes: Int
    /// 0: entries of a fixed size.
    let entryOffsetBytes: Int
    let entries: Int
    let firstEntry: Int
    /// Bytes of all baskets, decompressed and stored, keys included.
    let totalBytes: Int
    let storedBytes: Int
    let branches: [ObjectPayload.ObjectSlot]
    let leaves: [ObjectPayload.ObjectSlot]
    /// Baskets that are not in the file but in the record, with their numbers.
    let embedded: [(number: Int, slot: ObjectPayload.ObjectSlot)]
    /// Baskets that were finished.
    let finished: Int
    /// Of each basket in the file: bytes with its key, first entry, place.
    let basketSizes: [Int]
    let basketEntries: [Int]
    let basketPlaces: [Int]
    /// Not empty if baskets lie in another file.
    let fileName: String
    let element: Element?

    static let readVersions = 10...13

    /// Classes of branches that have no more than TBranch before their own members.
    static let classes: Set<String> = [
        "TBranch", "TBranchElement", "TBranchObject", "TBranchRef", "TBranchClones", "TBranchSTL",
    ]

    init(_ slot: ObjectPayload.ObjectSlot, of payload: ObjectPayload) throws(ROOTError) {
        self.slot = slot.position
        className = try payload.className(slot)
        guard Self.classes.contains(className) else {
            throw ROOTError(.unsupported, message: "a branch of class \(className)")
        }
        var cursor = try payload.cursor(slot.body)
        let outer = className == "TBranch" ? nil : try cursor.frame()
        let frame = try cursor.frame()
        guard Self.readVersions.contains(frame.version) else {
            throw ROOTError(
                .unsupported, message: "a branch of version \(frame.version); versions 10 to 13 are read")
        }
        (name, title) = try cursor.named()
        try cursor.skipFrame()
        compression = try cursor.nextInt(Int32.self)
        basketBytes = try cursor.nextInt(Int32.self)
        entryOffsetBytes = try cursor.nextInt(Int32.self)
        let writeBasket = try cursor.nextInt(Int32.self)
        try cursor.skip(8)
        if frame.version >= 13 { try cursor.skipFrame() }
        try cursor.skip(4)
        let baskets = try cursor.nextInt(UInt32.self)
        // A basket takes 20 bytes in the three lists below.
        guard baskets <= cursor.left / 4, writeBasket >= 0 else {
            throw cursor.damaged("\(baskets) baskets, \(writeBasket) finished, in \(cursor.left) bytes")
        }
        try cursor.skip(4)
        entries = try cursor.nextInt(Int64.self)
        firstEntry = frame.version >= 11 ? try cursor.nextInt(Int64.self) : 0
        totalBytes = try cursor.nextInt(Int64.self)
        storedBytes = try cursor.nextInt(Int64.self)
        branches = try Self.objects(&cursor, payload).map(\.slot)
        leaves = try Self.objects(&cursor, payload, followsReferences: true).map(\.slot)
        embedded = try Self.objects(&cursor, payload)
        basketSizes = try Self.numbers(&cursor, baskets, Int32.self)
        basketEntries = try Self.numbers(&cursor, baskets, Int64.self)
        basketPlaces = try Self.numbers(&cursor, baskets, Int64.self)
        fileName = try cursor.nextName()
        finished = min(writeBasket, baskets)
        guard cursor.position == frame.end else {
            throw cursor.damaged("the branch should end at byte \(frame.end)")
        }
        guard entries >= 0 else { throw cursor.damaged("the branch has \(entries) entries") }
        element = className == "TBranchElement" ? try Self.element(&cursor, payload, version: outer?.version ?? 0) : nil
    }

    private static func objects(
        _ cursor: inout ByteCursor, _ payload: ObjectPayload, followsReferences: Bool = false
    ) throws(ROOTError) -> [(number: Int, slot: ObjectPayload.ObjectSlot)] {
        let array = try cursor.objectArray()
        var found: [(number: Int, slot: ObjectPayload.ObjectSlot)] = []
        // Many references may lead to one object, but not to more bytes than there are.
        var budget = payload.count
        for number in 0..<array.count {
            switch try payload.slot(&cursor) {
            case .null: break
            case .object(let slot): found.append((number, slot))
            case .reference(let position):
                guard followsReferences else { break }
                let slot = try payload.object(at: position)
                budget -= slot.body.count
                guard budget >= 0 else { throw cursor.damaged("references to the same objects again and again") }
                found.append((number, slot))
            }
        }
        try cursor.move(to: array.end)
        return found
    }

    private static func numbers<Number: FixedWidthInteger>(
        _ cursor: inout ByteCursor, _ count: Int, _ type: Number.Type
    ) throws(ROOTError) -> [Int] {
        guard try cursor.next(UInt8.self) != 0 else { return [] }
        guard count <= cursor.left / MemoryLayout<Number>.size else {
            throw cursor.damaged("\(count) baskets in \(cursor.left) bytes")
        }
        var numbers: [Int] = []
        numbers.reserveCapacity(count)
        for _ in 0..<count { numbers.append(try cursor.nextInt(Number.self)) }
        return numbers
    }

    private static func element(
        _ cursor: inout ByteCursor, _ payload: ObjectPayload, version: Int
    ) throws(ROOTError) -> Element {
        let className = try cursor.nextName()
        _ = try cursor.nextTextBytes()
        _ = try cursor.nextTextBytes()
        let checksum = try cursor.next(UInt32.self)
        let classVersion = version >= 10 ? try cursor.nextInt(Int16.self) : try cursor.nextInt(Int32.self)
        let id = try cursor.nextInt(Int32.self), type = try cursor.nextInt(Int32.self)
        let streamerType = try cursor.nextInt(Int32.self)
        try cursor.skip(4)
        var counter: Int?
        switch try payload.slot(&cursor) {
        case .null: break
        case .reference(let position): counter = position
        case .object(let slot): counter = slot.position
        }
        return Element(
            className: className, checksum: checksum, classVersion: classVersion, id: id, type: type,
            streamerType: streamerType, counterSlot: counter)
    }
}
