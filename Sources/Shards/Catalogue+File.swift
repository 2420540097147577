import Foundation
import Support

extension Catalogue {
    private static let zeros = [UInt8](repeating: UInt8(ascii: "0"), count: 16)
    // The parser recurses; nobody's catalogue is deeper than this.
    private static let deepestNesting = 64

    /// The bytes of `dataset.json`, with its own digest filled in.
    public func fileBytes() throws -> [UInt8] {
        var copy = self
        copy.digest = Digest(value: 0)
        var bytes = [UInt8](try CanonicalJSON.data(copy, pretty: true)) + [UInt8(ascii: "\n")]
        guard let place = Self.digestPlace(in: bytes) else { return bytes }
        bytes.replaceSubrange(place, with: Digest(of: bytes).hex.utf8)
        return bytes
    }

    /// Reads `dataset.json`, checking its digest, version and features.
    /// - Throws: `DatasetError` with code `damaged`, `unsupported` or `inconsistent`.
    public init(fileBytes bytes: [UInt8], path: String) throws {
        try Self.checkDigest(of: bytes, path: path)
        do {
            self = try JSONTreeDecoder.decode(
                Catalogue.self, from: JSONValue(parsing: bytes, depth: Self.deepestNesting))
        } catch {
            throw DatasetError(
                .inconsistent, file: path, message: "is not a catalogue: \(Self.explain(error))",
                advice: "was it made by another program?")
        }
        try check(path: path)
    }

    /// Makes sure that a catalogue's bytes are as they were written, and no trap for a parser.
    /// - Throws: `DatasetError` with code `damaged` or `inconsistent`.
    static func checkDigest(of bytes: [UInt8], path: String) throws {
        let advice = "run 'pando repair' on the dataset"
        guard let place = digestPlace(in: bytes), let found = Digest(hex: String(decoding: bytes[place], as: UTF8.self))
        else {
            throw DatasetError(
                .damaged, file: path, message: "its own digest is missing or unreadable", advice: advice)
        }
        var copy = bytes
        copy.replaceSubrange(place, with: zeros)
        let expected = Digest(of: copy)
        guard found == expected else {
            throw DatasetError(
                .damaged, file: path, message: "its digest is \(expected), but it says \(found)", advice: advice)
        }
    }

    /// The 16 digits behind the top level's `"digest" : "`: the pretty-printed keys of the top level are indented by two.
    private static func digestPlace(in bytes: [UInt8]) -> Range<Int>? {
        let key = Array("\n  \"digest\" : \"".utf8)
        guard bytes.count > key.count + 16 else { return nil }
        var start = 0
        while let found = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            let end = found + key.count
            guard end + 16 <= bytes.count else { return nil }
            if bytes[found..<end].elementsEqual(key) { return end..<end + 16 }
            start = found + 1
        }
        return nil
    }

    private func check(path: String) throws {
        guard format == "pando" else {
            throw DatasetError(.notADataset, file: path, message: "has format '\(format)', expected 'pando'")
        }
        guard formatVersion <= Self.currentVersion else {
            throw DatasetError(
                .unsupported, file: path,
                message: "has format version \(formatVersion); this program reads up to \(Self.currentVersion)",
                advice: "use a newer pando")
        }
        let unknown = features.filter { !Self.knownFeatures.contains($0) }
        guard unknown.isEmpty else {
            throw DatasetError(
                .unsupported, file: path, message: "needs features this program does not know: \(unknown)",
                advice: "use a newer pando")
        }
        let names = shards.map(\.file) + [index.file] + parity.map(\.file)
        for name in names where name.hasPrefix("/") {
            throw DatasetError(.inconsistent, file: path, message: "names the absolute path \(name)")
        }
        // Bounded one by one, so that no sum or difference of them can overflow anywhere.
        let statistics = columns.compactMap(\.statistics).flatMap { [$0.count, $0.notFinite] }
        let inputs = provenance.inputs.flatMap { [$0.bytes, $0.rows, $0.firstRow, $0.rowsTaken] }
        let numbers =
            [rows, constituents, bytes, fullJets, emptyJets ?? 0, index.bytes] + parity.map(\.bytes)
            + columns.map(\.bytes)
            + shards.flatMap { [$0.bytes, $0.rows, $0.batches, $0.sourceOffset, $0.head.bytes, $0.tail.bytes] }
            + statistics + inputs + (splits?.parts.map(\.rows) ?? []) + cutFlow.map(\.passed) + Array(exceptions.values)
            + missing.flatMap { [$0.firstRow ?? 0, $0.rows ?? 0] }
        guard numbers.allSatisfy({ (0..<1 << 48).contains($0) }), shards.count < 1 << 14 else {
            throw DatasetError(.inconsistent, file: path, message: "holds a negative or absurd number")
        }
        guard shards.reduce(0, { $0 + $1.rows }) == rows else {
            throw DatasetError(.inconsistent, file: path, message: "its shards do not add up to \(rows) rows")
        }
    }

    /// Offsets buffers that several columns share; momenta on the lattice, or predicted from pt and angles, and folded flags;
    /// exceptions beside narrowed columns; splits that a column numbers.
    public static let knownFeatures = ["shared-offsets", "lattice", "forward", "exceptions", "stored-splits"]

    private static func explain(_ error: any Error) -> String {
        switch error as? DecodingError {
        case .keyNotFound(let key, let context)?:
            "'\(key.stringValue)' is missing at \(path(context.codingPath))"
        case .typeMismatch(_, let context)?, .valueNotFound(_, let context)?:
            "\(context.debugDescription) at \(path(context.codingPath))"
        case .dataCorrupted(let context)?:
            "\(context.debugDescription) at \(path(context.codingPath))"
        default: "\(error)"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.isEmpty ? "the top" : keys.map(\.stringValue).joined(separator: ".")
    }
}
