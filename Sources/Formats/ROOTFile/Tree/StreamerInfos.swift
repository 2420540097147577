import Support

/// The streamer infos of a file: which members its classes have. Needed only for members of split objects that are no numbers.
struct StreamerInfos: Sendable {
    /// A member.
    struct Member: Sendable {
        var name: String
        /// The comment, which annotates packed floats.
        var title: String
        var typeName: String
    }

    private struct Version: Sendable {
        var number: Int
        var checksum: UInt32
        var members: [Member]
    }

    private var classes: [String: [Version]] = [:]

    /// Reads the list of a file's record.
    init(_ payload: ObjectPayload) throws(ROOTError) {
        var cursor = payload.cursor
        let frame = try cursor.frame()
        try cursor.skipObject()
        _ = try cursor.nextTextBytes()
        let count = try cursor.nextInt(Int32.self)
        guard count >= 0, count <= max(0, frame.end - cursor.position) / 5 else {
            throw cursor.damaged("\(count) streamer infos")
        }
        for _ in 0..<count {
            let found = try payload.slot(&cursor)
            try cursor.skip(try cursor.nextInt(UInt8.self))
            guard case .object(let slot) = found, try payload.className(slot) == "TStreamerInfo" else { continue }
            try add(slot, payload)
        }
    }

    private mutating func add(_ slot: ObjectPayload.ObjectSlot, _ payload: ObjectPayload) throws(ROOTError) {
        var cursor = try payload.cursor(slot.body)
        _ = try cursor.frame()
        let name = try cursor.named().name
        let checksum = try cursor.next(UInt32.self), version = try cursor.nextInt(Int32.self)
        var members: [Member] = []
        if case .object(let list) = try payload.slot(&cursor) {
            var inside = try payload.cursor(list.body)
            let array = try inside.objectArray()
            for _ in 0..<array.count {
                // A null keeps its number.
                guard case .object(let element) = try payload.slot(&inside) else {
                    members.append(Member(name: "", title: "", typeName: ""))
                    continue
                }
                members.append(try Self.member(element, payload))
            }
        }
        classes[name, default: []].append(Version(number: version, checksum: checksum, members: members))
    }

    private static func member(
        _ slot: ObjectPayload.ObjectSlot, _ payload: ObjectPayload
    ) throws(ROOTError) -> Member {
        var cursor = try payload.cursor(slot.body)
        _ = try cursor.frame()
        // It derives from TStreamerSTL, which derives from TStreamerElement.
        if try payload.className(slot) == "TStreamerSTLstring" { _ = try cursor.frame() }
        let frame = try cursor.frame()
        let (name, title) = try cursor.named(longest: ROOTFile.longestName)
        try cursor.skip(16)
        try cursor.skip(frame.version == 1 ? 4 * max(0, try cursor.nextInt(Int32.self)) : 20)
        return Member(name: name, title: title, typeName: try cursor.nextName())
    }

    /// A member of a class by its number.
    func member(_ id: Int, of className: String, checksum: UInt32, version: Int) -> Member? {
        guard let versions = classes[className] else { return nil }
        let found =
            versions.first { $0.checksum == checksum } ?? versions.first { $0.number == version } ?? versions.last
        guard let members = found?.members, members.indices.contains(id) else { return nil }
        return members[id]
    }
}
