import Convert
import Foundation
import HDF5File
import Shards
import TestSupport

/// HDF5 files in the layout of AspenOpenJets with content that physics would not have.
enum MadeInput {
    /// Writes `rows` jets with random bits: any float, including NaN, infinities, -0.0 and subnormals; jets without
    /// constituents; zero rows between constituents; charges and codes that are no integers.
    static func write(_ path: String, rows: Int, seed: UInt64) throws {
        var random = Seeded(seed)
        func noise(_ count: Int) -> [UInt32] {
            (0..<count).map { _ in
                switch Int.random(in: 0..<8, using: &random) {
                case 0: 0
                case 1: 0x8000_0000
                case 2: 0x7fc0_0000 | UInt32.random(in: 0...255, using: &random)
                case 3: 0x7f80_0000
                case 4: UInt32.random(in: 1...0xff, using: &random)
                default: UInt32.random(in: 0 ... .max, using: &random)
                }
            }
        }
        let writer = try HDF5Writer(path: path)
        try writer.create(plan("event_info", .int64, [rows, 3], [max(1, rows / 2), 1], deflate: nil))
        try writer.create(plan("jet_kinematics", .float32, [rows, 4], [7, 2], deflate: 4))
        try writer.create(plan("jet_tagging", .float32, [rows, 13], [5, 4], deflate: 4))
        try writer.create(plan("PFCands", .float32, [rows, 150, 11], [13, 19, 2], deflate: 4))
        let events = (0..<rows * 3).map { _ in Int64.random(in: .min ... .max, using: &random) }
        try events.withUnsafeBytes { try writer.write($0, rows: 0..<rows, to: "event_info") }
        try noise(rows * 4).withUnsafeBytes { try writer.write($0, rows: 0..<rows, to: "jet_kinematics") }
        try noise(rows * 13).withUnsafeBytes { try writer.write($0, rows: 0..<rows, to: "jet_tagging") }
        var candidates: [UInt32] = []
        for _ in 0..<rows {
            let filled = [0, 1, 2, 30, 149, 150].randomElement(using: &random) ?? 0
            var jet = noise(filled * 11)
            // A zero row in the middle is a constituent all the same.
            if filled > 2 { for column in 0..<11 { jet[11 + column] = 0 } }
            candidates += jet + [UInt32](repeating: 0, count: (150 - filled) * 11)
        }
        try candidates.withUnsafeBytes { try writer.write($0, rows: 0..<rows, to: "PFCands") }
        try writer.close()
    }

    private static func plan(_ path: String, _ element: HDF5Element, _ shape: [Int], _ chunk: [Int], deflate: Int?)
        -> HDF5DatasetPlan
    {
        HDF5DatasetPlan(
            path: path, element: element, shape: shape, maxShape: [nil] + shape.dropFirst().map { $0 },
            chunkShape: chunk,
            deflateLevel: deflate)
    }

    static let aspenOpenJets: SourceSchema = {
        // The schema comes with the program; a test without it cannot run.
        guard let schema = try? SourceSchema(named: "aspen-open-jets") else {
            preconditionFailure("no built-in schema")
        }
        return schema
    }()

    /// Converts and gives the catalogue.
    @discardableResult
    static func convert(
        _ inputs: [String], _ output: String, _ change: (inout ConversionOptions) -> Void = { _ in }
    ) throws -> Catalogue {
        var options = ConversionOptions()
        options.threads = 2
        change(&options)
        return try Converter(inputs: inputs, output: output, schema: aspenOpenJets, options: options).run()
    }
}
