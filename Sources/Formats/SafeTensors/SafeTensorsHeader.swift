import Support

/// The header of a safetensors file: 8 bytes of length, then JSON, then the tensors' data without gaps.
///
/// Source: the format's own description and its reference implementation.
struct SafeTensorsHeader: Sendable {
    /// The longest JSON that readers accept.
    static let longest = 100_000_000
    /// The key that no tensor may have.
    static let metadataKey = "__metadata__"

    /// Tensors in the order of their data.
    private(set) var tensors: [Tensor] = []
    /// Texts under `__metadata__`.
    private(set) var metadata: [String: String] = [:]
    /// Where each name is among the tensors.
    private(set) var index = NameIndex()

    struct Tensor: Sendable {
        var entry: TensorEntry
        /// Where it begins behind the header.
        var offset: Int
    }

    /// Where a file's data begin, by its first 8 bytes.
    static func dataOffset(_ head: [UInt8], fileSize: Int) throws(SafeTensorsError) -> Int {
        guard head.count == 8 else {
            throw SafeTensorsError(
                .truncated, place: "header", message: "the file has \(fileSize) bytes, the least is 10",
                advice: "it was cut short: get a new copy")
        }
        let length = head.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(longest) else {
            throw SafeTensorsError(
                .notSafeTensors, place: "header", message: "\(length) bytes of header, the most is \(longest)",
                advice: "this is no safetensors file; PyTorch's checkpoints are opened with PyTorchCheckpoint")
        }
        guard Int(length) <= fileSize - 8 else {
            throw SafeTensorsError(
                .truncated, place: "header", message: "\(length) bytes of header in a file of \(fileSize) bytes",
                advice: "it was cut short, or is no safetensors file")
        }
        return 8 + Int(length)
    }

    /// Reads the JSON of a header and holds it against the length of the data behind it.
    init(_ bytes: UnsafeRawBufferPointer, dataLength: Int) throws(SafeTensorsError) {
        guard bytes.first == UInt8(ascii: "{") else {
            throw SafeTensorsError(.notSafeTensors, place: "header", message: "it does not begin with '{'")
        }
        do throws(SafeTensorsError) {
            let found = try Self.parse(bytes)
            metadata = found.metadata
            try arrange(found.tensors, dataLength: dataLength)
        } catch { throw error.inside("header") }
    }

    /// A tensor as the header has it.
    private struct Raw {
        var name: String
        var type: String?
        var shape: [Int]?
        var range: [Int]?
    }

    private static func parse(
        _ bytes: UnsafeRawBufferPointer
    ) throws(SafeTensorsError) -> (tensors: [Raw], metadata: [String: String]) {
        var cursor = JSONCursor(bytes), tensors: [Raw] = [], metadata: [String: String]?
        try cursor.object { cursor, name throws(SafeTensorsError) in
            if name.utf8.elementsEqual(metadataKey.utf8) {
                guard metadata == nil else { throw cursor.damaged("\(metadataKey) stands there twice") }
                metadata = try Self.metadata(&cursor)
            } else {
                tensors.append(try tensor(name, &cursor))
            }
        }
        guard cursor.isAtEnd() else { throw cursor.damaged("something other than spaces behind the JSON") }
        return (tensors, metadata ?? [:])
    }

    private static func metadata(_ cursor: inout JSONCursor) throws(SafeTensorsError) -> [String: String] {
        var found: [String: String] = [:]
        if cursor.takesNull() { return found }
        try cursor.object { cursor, key throws(SafeTensorsError) in
            guard found.updateValue(try cursor.string(), forKey: key) == nil else {
                throw cursor.damaged("the key \(key) stands twice in \(metadataKey)")
            }
        }
        return found
    }

    private static func tensor(_ name: String, _ cursor: inout JSONCursor) throws(SafeTensorsError) -> Raw {
        var raw = Raw(name: name)
        try cursor.object { cursor, key throws(SafeTensorsError) in
            let isTwice: Bool
            switch key {
            case "dtype":
                isTwice = raw.type != nil
                raw.type = try cursor.string()
            case "shape":
                isTwice = raw.shape != nil
                raw.shape = try cursor.naturals(atMost: TensorEntry.mostDimensions)
            case "data_offsets":
                isTwice = raw.range != nil
                raw.range = try cursor.naturals(atMost: 2)
            default:
                isTwice = false
                try cursor.skipValue()
            }
            guard !isTwice else { throw cursor.damaged("\(key) of tensor \(name) stands there twice") }
        }
        return raw
    }

    /// Sorts tensors by their place and checks that they fill the data without gap or overlap.
    private mutating func arrange(_ found: [Raw], dataLength: Int) throws(SafeTensorsError) {
        tensors.reserveCapacity(found.count)
        for raw in found {
            do throws(SafeTensorsError) { tensors.append(try Self.check(raw)) } catch {
                throw error.inside("tensor \(raw.name)")
            }
        }
        // Empty tensors come before the one that begins where they lie; others of one place overlap.
        let order = tensors.indices.sorted { left, right in
            let (a, b) = (tensors[left], tensors[right])
            return (a.offset, a.entry.byteCount, left) < (b.offset, b.entry.byteCount, right)
        }
        tensors = order.map { tensors[$0] }
        index = NameIndex(capacity: tensors.count)
        var end = 0
        for (position, tensor) in tensors.enumerated() {
            guard index.insert(tensor.entry.name, at: position) else {
                throw Self.damaged("the name stands there twice").inside("tensor \(tensor.entry.name)")
            }
            guard tensor.offset == end else {
                let what = tensor.offset < end ? "overlaps the tensor before" : "leaves bytes before it to no tensor"
                throw Self.damaged("begins at byte \(tensor.offset), \(what), which ends at \(end)")
                    .inside("tensor \(tensor.entry.name)")
            }
            // No overflow: `check` compared the sum with the range that the file says.
            end = tensor.offset + tensor.entry.byteCount
        }
        guard end <= dataLength else {
            throw SafeTensorsError(
                .truncated, message: "tensors take \(end) bytes, the file has \(dataLength) behind the header",
                advice: "it was cut short: get a new copy")
        }
        guard end == dataLength else {
            throw Self.damaged("\(dataLength - end) bytes behind the last tensor belong to none")
        }
    }

    private static func check(_ raw: Raw) throws(SafeTensorsError) -> Tensor {
        guard let typeName = raw.type, let shape = raw.shape, let range = raw.range, range.count == 2 else {
            throw damaged("dtype, shape and two data_offsets were expected")
        }
        guard let type = TensorType(rawValue: typeName) else {
            throw SafeTensorsError(
                .unsupported, message: "elements of type \(typeName)",
                advice: "save it as one of \(TensorType.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard let entry = TensorEntry(name: raw.name, type: type, shape: shape) else {
            throw damaged("shape \(shape) has more bytes than 64 bits can say")
        }
        guard range[0] <= range[1], range[1] - range[0] == entry.byteCount else {
            throw damaged("bytes \(range[0]) to \(range[1]) for \(entry.byteCount) bytes of \(typeName) \(shape)")
        }
        return Tensor(entry: entry, offset: range[0])
    }

    private static func damaged(_ message: String) -> SafeTensorsError {
        SafeTensorsError(.damaged, message: message, advice: copyAgain)
    }
}

extension SafeTensorsHeader {
    /// The bytes of a header for tensors that follow each other: length, JSON, spaces up to a multiple of 8.
    static func encode(_ entries: [TensorEntry], metadata: [String: String]) throws(SafeTensorsError) -> [UInt8] {
        var members: [String] = []
        if !metadata.isEmpty {
            let pairs = metadata.sorted { $0.key.precedesByBytes($1.key) }
                .map { "\($0.key.quotedForJSON):\($0.value.quotedForJSON)" }
            members.append("\(metadataKey.quotedForJSON):{\(pairs.joined(separator: ","))}")
        }
        var offset = 0
        for entry in entries {
            let (end, overflow) = offset.addingReportingOverflow(entry.byteCount)
            guard !overflow else {
                throw SafeTensorsError(
                    .usage, place: "tensor \(entry.name)", message: "more bytes than 64 bits can say")
            }
            let shape = entry.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(entry.name.quotedForJSON):{\"dtype\":\"\(entry.type.rawValue)\",\"shape\":[\(shape)],"
                    + "\"data_offsets\":[\(offset),\(end)]}")
            offset = end
        }
        var json = Array("{\(members.joined(separator: ","))}".utf8)
        json.append(contentsOf: repeatElement(0x20, count: (8 - json.count % 8) % 8))
        guard json.count <= longest else {
            throw SafeTensorsError(
                .usage, place: "header", message: "\(json.count) bytes of header, readers accept \(longest)",
                advice: "write less metadata, or several files")
        }
        return (0..<8).map { UInt8(truncatingIfNeeded: json.count >> ($0 * 8)) } + json
    }
}
