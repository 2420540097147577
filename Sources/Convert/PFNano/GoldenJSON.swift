import Foundation
import Shards
import Support

/// Certified luminosity blocks by run, as CMS publishes them: `{"278820": [[17, 1533]], ...}`, both ends of a range included.
///
/// A run that is not named, or has no ranges, is not certified.
public struct GoldenJSON: Codable, Sendable, Equatable {
    /// Ranges of each run, rising and apart from each other.
    private let ranges: [UInt32: [ClosedRange<UInt32>]]

    /// Reads a file.
    /// - Throws: `ConvertError` with code `usage` that says what is wrong.
    public init(path: String) throws {
        try self.init(json: InputFile(path: path).readAll(limit: 1 << 26), file: path)
    }

    /// Reads the text of a file.
    public init(json bytes: [UInt8], file: String) throws {
        func fault(_ place: String, _ message: String) -> ConvertError {
            ConvertError(
                .usage, file: file, place: place, message: message,
                advice: #"a golden JSON is like {"278820": [[17, 1533]]}"#)
        }
        guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(bytes)), case .object(let runs) = value
        else { throw fault("", "is no JSON object") }
        var ranges: [UInt32: [ClosedRange<UInt32>]] = [:]
        for (key, value) in runs {
            let place = "run \(key)"
            guard let run = UInt32(key) else { throw fault(place, "is no run number") }
            guard case .array(let entries) = value else { throw fault(place, "has no list of ranges") }
            let found = try entries.map { entry -> ClosedRange<UInt32> in
                guard case .array(let ends) = entry, ends.count == 2, case .integer(let first) = ends[0],
                    case .integer(let last) = ends[1], let first = UInt32(exactly: first),
                    let last = UInt32(exactly: last), first <= last
                else { throw fault(place, "has a range that is not two rising numbers: \(entry.text)") }
                return first...last
            }
            ranges[run] = Self.joined(found)
        }
        self.ranges = ranges
    }

    private static func joined(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var joined: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, range.lowerBound <= last.upperBound {
                joined[joined.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        return joined
    }

    /// Whether a luminosity block is certified.
    public func certifies(run: UInt32, luminosityBlock: UInt32) -> Bool {
        guard let ranges = ranges[run] else { return false }
        var low = 0, high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < luminosityBlock { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].contains(luminosityBlock)
    }

    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(JSONValue.self)
        try self.init(json: Array(text.text.utf8), file: "golden JSON")
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        let runs = ranges.map { run, ranges in
            ("\(run)", ranges.map { [Int64($0.lowerBound), Int64($0.upperBound)] })
        }
        try container.encode(Dictionary(uniqueKeysWithValues: runs))
    }
}
