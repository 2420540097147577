import Foundation
import Model
import SafeTensors
import TestSupport
import Testing
import Torch

/// Numbers from running the original code: `PANDO_GOLDEN`, or beside the package.
struct Golden {
    static let folder: String? = {
        let environment = ProcessInfo.processInfo.environment
        let path = environment["PANDO_GOLDEN"] ?? Package.data.map { $0 + "/golden" } ?? ""
        return FileManager.default.fileExists(atPath: path + "/model/backbone_generative.json") ? path + "/model" : nil
    }()
    static let isThere = folder != nil
    static let comment: Comment = "there are no golden numbers beside the package"

    let arrays: SafeTensorsFile
    private let json: [String: Any]

    init(_ name: String) throws {
        let folder = try #require(Self.folder)
        arrays = try SafeTensorsFile(path: "\(folder)/\(name).safetensors")
        json = try Self.json("\(folder)/\(name).json")
    }

    static func json(_ path: String) throws -> [String: Any] {
        try #require(
            JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path))) as? [String: Any])
    }

    /// A value by the names that lead to it.
    func value<Value>(_ path: String..., as type: Value.Type = Value.self) throws -> Value {
        var found: Any = json
        for name in path { found = try #require((found as? [String: Any])?[name], "no \(path)") }
        return try #require(found as? Value, "\(path) is no \(type)")
    }

    func integer(_ path: String...) throws -> Int {
        var found: Any = json
        for name in path { found = try #require((found as? [String: Any])?[name], "no \(path)") }
        return try #require(found as? NSNumber).intValue
    }

    func number(_ path: String...) throws -> Double {
        var found: Any = json
        for name in path { found = try #require((found as? [String: Any])?[name], "no \(path)") }
        return try #require(found as? NSNumber).doubleValue
    }

    func tensor(_ name: String) throws -> Tensor {
        let entry = try arrays.entry(name)
        return switch entry.type {
        case .i64: try Tensor.of(arrays.int64s(name), entry.shape)
        case .u8: try Tensor.of(arrays.uint8s(name).map { Int64($0) }, entry.shape)
        default: try Tensor.of(arrays.doubles(name).map { Float($0) }, entry.shape)
        }
    }

    /// Tensors whose names begin so, by the rest of their names.
    func tensors(_ prefix: String) throws -> [String: Tensor] {
        var found: [String: Tensor] = [:]
        for name in arrays.names where name.hasPrefix(prefix) {
            found[String(name.dropFirst(prefix.count))] = try tensor(name)
        }
        return found
    }

    /// Lengths of jets whose mask [jets, positions] is 1 for the first ones.
    func lengths(_ mask: String = "in/mask") throws -> [Int] {
        let shape = try arrays.entry(mask).shape, values = try arrays.uint8s(mask).map { Int($0) }
        return (0..<shape[0]).map { row in values[row * shape[1]..<(row + 1) * shape[1]].reduce(0, +) }
    }

    /// Where the real positions are among all of them.
    static func places(_ lengths: [Int], of positions: Int) throws -> Tensor {
        try Tensor.of(lengths.enumerated().flatMap { jet, length in (0..<length).map { Int64(jet * positions + $0) } })
    }

    /// The real positions of a padded array [jets, positions, ...], one after the other.
    func packed(_ name: String, _ lengths: [Int]) throws -> Tensor {
        let whole = try tensor(name), shape = whole.shape
        return try whole.reshape([shape[0] * shape[1]] + shape.dropFirst(2)).rows(Self.places(lengths, of: shape[1]))
    }
}

/// The largest difference, over the largest absolute value expected.
func relativeDifference(_ found: Tensor, _ expected: Tensor) throws -> Double {
    try #require(found.shape == expected.shape, "\(found.shape) and \(expected.shape)")
    let (ours, theirs) = (try found.doubles(), try expected.doubles())
    let scale = theirs.reduce(0) { max($0, abs($1)) }
    return zip(ours, theirs).reduce(0) { max($0, abs($1.0 - $1.1)) } / max(scale, 1e-30)
}

func largestDifference(_ found: Tensor, _ expected: Tensor) throws -> Double {
    try #require(found.shape == expected.shape, "\(found.shape) and \(expected.shape)")
    return zip(try found.doubles(), try expected.doubles()).reduce(0) { max($0, abs($1.0 - $1.1)) }
}

extension Parameters {
    /// Holds gradients against those expected, relative to the largest of all.
    func gradientDifference(_ expected: [String: Tensor]) throws -> Double {
        var worst = 0.0, largest = 0.0
        for (name, theirs) in expected {
            let ours = try #require(try self[name]?.gradient(), "no gradient of \(name)")
            worst = max(worst, try largestDifference(ours, theirs))
            largest = max(largest, try theirs.doubles().reduce(0) { max($0, abs($1)) })
        }
        return worst / largest
    }

    /// The largest difference of parameters, without the key part of in_proj_bias, whose gradients are rounding noise.
    func difference(_ expected: [String: Tensor]) throws -> Double {
        var worst = 0.0
        for (name, theirs) in expected {
            let ours = try #require(self[name], "no \(name)")
            if name.hasSuffix("in_proj_bias") {
                let width = ours.size(0) / 3
                for start in [0, 2 * width] {
                    worst = max(
                        worst, try largestDifference(ours.narrow(0, start, width), theirs.narrow(0, start, width)))
                }
            } else {
                worst = max(worst, try largestDifference(ours, theirs))
            }
        }
        return worst
    }
}
