import Evaluation
import Foundation
import SafeTensors
import TestSupport
import Testing

/// Pairs of samples and their metrics from SciPy and the original code: `PANDO_GOLDEN`, or beside the package.
struct MetricGolden {
    static let folder: String? = {
        let environment = ProcessInfo.processInfo.environment
        let path = environment["PANDO_GOLDEN"] ?? Package.data.map { $0 + "/golden" } ?? ""
        return FileManager.default.fileExists(atPath: path + "/metrics/samples.json") ? path + "/metrics" : nil
    }()
    static let isThere = folder != nil
    static let comment: Comment = "there are no golden numbers beside the package"

    let arrays: SafeTensorsFile
    let table: [String: [String: Any]]

    init() throws {
        let folder = try #require(Self.folder)
        arrays = try SafeTensorsFile(path: folder + "/samples.safetensors")
        let json = try JSONSerialization.jsonObject(
            with: Data(contentsOf: URL(fileURLWithPath: folder + "/samples.json")))
        table = try #require(json as? [String: [String: Any]])
    }

    /// The names of the pairs.
    var names: [String] { table.keys.filter { $0 != "power_law" }.sorted() }

    /// A number; null is NaN, and there are infinite ones.
    func number(_ name: String, _ key: String) throws -> Double {
        switch try #require(table[name]?[key], "no \(key) of \(name)") {
        case is NSNull: .nan
        case let text as String where text == "inf": .infinity
        case let value: try #require(value as? NSNumber).doubleValue
        }
    }

    func numbers(_ name: String, _ key: String) throws -> [Double] {
        try #require(table[name]?[key] as? [NSNumber]).map(\.doubleValue)
    }

    /// The generated sample and the reference, with weights if they have any.
    func pair(_ name: String) throws -> (generated: Sample, reference: Sample) {
        func sample(_ values: String, _ weights: String) throws -> Sample {
            let weights = "\(name)_\(weights)"
            return try Sample(
                arrays.doubles("\(name)_\(values)"),
                weights: arrays.names.contains(weights) ? arrays.doubles(weights) : nil)
        }
        return (try sample("gen", "wgen"), try sample("ref", "wref"))
    }

    func isInteger(_ name: String) -> Bool { ["poisson_int", "few_int"].contains(name) }
}

/// Whether numbers agree: both NaN, both infinite, or as close as asked.
func agree(_ a: Double, _ b: Double, absolute: Double = 0, relative: Double = 0) -> Bool {
    if a.isNaN || b.isNaN { return a.isNaN && b.isNaN }
    return a == b || abs(a - b) <= max(absolute, relative * abs(b))
}
