import Foundation
import ROOTFile
import TestSupport

/// A sound file that mutants are made of.
struct Seed: Sendable {
    let name: String
    let bytes: [UInt8]
    /// Where the file says how it is made: header, keys, trees that are not compressed, heads and offsets of baskets.
    let structure: [Range<Int>]
    /// Where numbers are that each mean something, of files that were made here.
    let numbers: [Int]
    /// Whether something in it is compressed with LZMA, whose decoder takes much memory whatever it decodes.
    let hasLZMA: Bool

    /// A made file.
    init(_ name: String, _ made: MadeROOTFile) throws {
        try self.init(name, made.bytes, isUnpacked: false, numbers: made.content.marks.values.sorted())
    }

    /// - Parameter isUnpacked: Whether records of trees are decompressed first, so that a mutant reaches what they say and not a checksum.
    init(_ name: String, _ bytes: [UInt8], isUnpacked: Bool, numbers: [Int] = []) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.file("seed.root")
        func opened(_ bytes: [UInt8]) throws -> ROOTFile {
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            return try ROOTFile(path: path)
        }
        var bytes = bytes, file = try opened(bytes)
        if isUnpacked {
            for (_, key) in try file.allKeys() where key.className.hasPrefix("TTree") && key.isCompressed {
                Self.unpack(key, try file.payload(of: key, using: ROOTDecoder()), &bytes)
            }
            file = try opened(bytes)
        }
        self.name = isUnpacked ? "\(name), unpacked" : name
        self.bytes = bytes
        self.numbers = numbers
        hasLZMA = !Self.places(of: Array("XZ".utf8) + [0], in: bytes).isEmpty
        structure = Self.structure(try file.allKeys().map(\.key), bytes)
    }

    /// Puts the decompressed record of a tree behind the file and lets its key lead there.
    private static func unpack(_ key: ROOTKey, _ payload: [UInt8], _ bytes: inout [UInt8]) {
        var header = Array(bytes[key.position..<key.position + key.headerBytes])
        let place = bytes.count, isWide = header[4] > 3
        func set(_ target: inout [UInt8], _ start: Int) {
            let size = big(UInt64(key.headerBytes + payload.count), 4)
            target.replaceSubrange(start..<start + 4, with: size)
            let seek = big(UInt64(place), isWide ? 8 : 4)
            target.replaceSubrange(start + 18..<start + 18 + seek.count, with: seek)
        }
        // The list of keys has a copy of the header.
        let copies = places(of: header, in: bytes).filter { $0 != key.position }
        for copy in copies { set(&bytes, copy) }
        set(&header, 0)
        if !copies.isEmpty { bytes += header + payload }
    }

    private static func structure(_ keys: [ROOTKey], _ bytes: [UInt8]) -> [Range<Int>] {
        var spans = [0..<min(64, bytes.count), 100..<min(300, bytes.count), max(0, bytes.count - 600)..<bytes.count]
        for key in keys {
            spans.append(key.position..<key.position + key.headerBytes)
            guard ["TTree", "TNtuple", "TNtupleD"].contains(key.className), !key.isCompressed else { continue }
            // Most of what can go wrong is in here.
            let tree = key.position + key.headerBytes..<key.position + key.recordBytes
            spans += Array(repeating: tree, count: 6)
        }
        let baskets = places(of: [7] + Array("TBasket".utf8), in: bytes)
        for place in baskets.prefix(200) {
            let start = place - 34
            guard start > 0, place + 80 < bytes.count else { continue }
            spans.append(start..<place + 80)
            // Offsets lie at the record's end.
            let end = start + bytes[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
            if end > place + 80, end < bytes.count { spans.append(max(place, end - 60)..<end) }
        }
        return spans.filter { !$0.isEmpty }
    }

    private static func places(of pattern: [UInt8], in bytes: [UInt8]) -> [Int] {
        guard let first = pattern.first, bytes.count >= pattern.count else { return [] }
        return bytes[...(bytes.count - pattern.count)].indices.filter {
            bytes[$0] == first && bytes[$0..<$0 + pattern.count].elementsEqual(pattern)
        }
    }

    private static func big(_ number: UInt64, _ bytes: Int) -> [UInt8] {
        (0..<bytes).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * (bytes - 1 - $0))) }
    }
}
