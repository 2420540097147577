import Foundation
import Testing

/// Arrays of a SafeTensors file.
struct SafeTensorsFile {
    private struct Entry: Decodable {
        var dtype: String
        var data_offsets: [Int]
    }
    private let header: [String: Entry]
    private let data: Data

    init(_ path: String) throws {
        let file = try Data(contentsOf: URL(fileURLWithPath: path))
        let length = Int(file.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
        var entries: [String: Entry] = [:]
        let json = try JSONSerialization.jsonObject(with: file[8..<8 + length]) as? [String: Any] ?? [:]
        for (name, value) in json where name != "__metadata__" {
            entries[name] = try JSONDecoder().decode(Entry.self, from: JSONSerialization.data(withJSONObject: value))
        }
        header = entries
        data = Data(file[(8 + length)...])
    }

    func array<Element>(_ name: String, _ type: Element.Type) throws -> [Element] {
        let entry = try #require(header[name])
        let bytes = data[data.startIndex + entry.data_offsets[0]..<data.startIndex + entry.data_offsets[1]]
        return bytes.withUnsafeBytes { bytes in
            (0..<bytes.count / MemoryLayout<Element>.stride).map {
                bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.stride, as: Element.self)
            }
        }
    }

    /// An array of integers of any type.
    func integers(_ name: String) throws -> [Int] {
        switch try #require(header[name]?.dtype) {
        case "U8", "BOOL": try array(name, UInt8.self).map(Int.init)
        case "I32": try array(name, Int32.self).map(Int.init)
        case "I64": try array(name, Int64.self).map(Int.init)
        case let other: throw Unexpected(type: other)
        }
    }

    struct Unexpected: Error { var type: String }
}
