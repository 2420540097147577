import Foundation
import Loader

/// What `dump` loads, as JSON.
struct DumpConfiguration: Decodable {
    struct Source: Decodable {
        var dataset: String
        var weight: Double
    }

    var sources: [Source]
    var features: FeatureConfiguration
    var columns: [String]
    var labels: [String]?
    var labelColumn: String?
    var split: String?
    var angles: LoaderContents.AngleSource?
    var batchSize: Int
}

/// Loads an epoch and writes what its batches hold: a file for each kind of numbers, one batch after the other.
func dump(configuration file: String, to directory: String) throws {
    let asked = try JSONDecoder().decode(
        DumpConfiguration.self, from: Data(contentsOf: URL(fileURLWithPath: file)))
    var options = LoaderOptions(), contents = LoaderContents(columns: asked.columns, features: asked.features)
    (options.batchSize, options.split, options.dropLast, options.threads) = (asked.batchSize, asked.split, false, 2)
    contents.labels = asked.labels ?? []
    contents.labelColumn = asked.labelColumn
    contents.angles = asked.angles ?? .stored
    let loader = try Loader(
        mixture: asked.sources.map { LoaderSource($0.dataset, weight: $0.weight) }, contents: contents, options: options
    )
    var files: [String: Data] = [:]
    func add(_ name: String, _ bytes: UnsafeRawBufferPointer) { files[name, default: Data()].append(contentsOf: bytes) }
    let batches = try loader.batches()
    while let batch = try batches.next() {
        add("features", UnsafeRawBufferPointer(batch.features))
        add("mask", UnsafeRawBufferPointer(batch.mask))
        add("labels", UnsafeRawBufferPointer(batch.labels))
        add("datasets", UnsafeRawBufferPointer(batch.datasets))
        for name in asked.columns {
            if let bytes = batch.bytes(of: name) { add("column_" + name, bytes) }
        }
    }
    for (name, data) in files { try data.write(to: URL(fileURLWithPath: "\(directory)/\(name)")) }
}
