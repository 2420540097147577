import Foundation
import Loader

/// What `dump` loads, as JSON.
struct DumpConfiguration: Decodable {
    struct Source: Decodable {
        var dataset: String
        var weight: Double
    }

    struct Tokens: Decodable {
        var codebookSize: Int
        var length: Int
    }

    var sources: [Source]
    var features: FeatureConfiguration?
    var isJagged: Bool?
    var columns: [String]
    var labels: [String]?
    var labelColumn: String?
    var tokens: Tokens?
    var tokenColumn: String?
    var split: String?
    var angles: LoaderContents.AngleSource?
    var batchSize: Int
    var epoch: Int?
    var step: Int?
    var shuffle: Bool?
    var exact: Bool?
    var seed: UInt64?
    var window: Int?
    var streams: Int?
    var dropLast: Bool?
    var limit: Int?
    var limitSeed: UInt64?
    var rank: Int?
    var worldSize: Int?
    var mixtureLength: MixturePlan.Length?

    var contents: LoaderContents {
        get throws {
            var contents = LoaderContents(columns: columns, features: features)
            contents.isJagged = isJagged ?? false
            contents.labels = labels ?? []
            contents.labelColumn = labelColumn
            contents.tokens = try tokens.map { try TokenPairs(codebookSize: $0.codebookSize, length: $0.length) }
            contents.tokenColumn = tokenColumn
            contents.angles = angles ?? .stored
            return contents
        }
    }

    var options: LoaderOptions {
        var options = LoaderOptions()
        (options.batchSize, options.split, options.dropLast, options.threads) = (batchSize, split, dropLast ?? false, 2)
        (options.window, options.streams, options.limit) = (window, streams, limit)
        options.shuffle = shuffle ?? options.shuffle
        options.exact = exact ?? options.exact
        options.seed = seed ?? options.seed
        options.limitSeed = limitSeed ?? options.limitSeed
        options.rank = rank ?? options.rank
        options.worldSize = worldSize ?? options.worldSize
        options.mixtureLength = mixtureLength ?? options.mixtureLength
        return options
    }
}

/// Loads an epoch, or what is left of it behind a step, and writes what its batches hold: a file for each kind of numbers, one
/// batch after the other.
func dump(configuration file: String, to directory: String) throws {
    let asked = try JSONDecoder().decode(
        DumpConfiguration.self, from: Data(contentsOf: URL(fileURLWithPath: file)))
    let loader = try Loader(
        mixture: asked.sources.map { LoaderSource($0.dataset, weight: $0.weight) }, contents: asked.contents,
        options: asked.options)
    var files: [String: Data] = [:]
    func add(_ name: String, _ bytes: UnsafeRawBufferPointer) { files[name, default: Data()].append(contentsOf: bytes) }
    var state = loader.state(epoch: asked.epoch ?? 0)
    state.step = asked.step ?? 0
    let batches = try loader.batches(from: state)
    while let batch = try batches.next() {
        add("features", UnsafeRawBufferPointer(batch.features))
        add("mask", UnsafeRawBufferPointer(batch.mask))
        add("labels", UnsafeRawBufferPointer(batch.labels))
        add("datasets", UnsafeRawBufferPointer(batch.datasets))
        add("jets", UnsafeRawBufferPointer(batch.jets))
        add("feature_offsets", UnsafeRawBufferPointer(batch.featureOffsets))
        add("column_offsets", UnsafeRawBufferPointer(batch.offsets))
        add("jet_features", UnsafeRawBufferPointer(batch.jetFeatures))
        add("token_input", UnsafeRawBufferPointer(batch.tokenInput))
        add("token_target", UnsafeRawBufferPointer(batch.tokenTarget))
        add("token_mask", UnsafeRawBufferPointer(batch.tokenMask))
        for name in asked.columns {
            if let bytes = batch.bytes(of: name) { add("column_" + name, bytes) }
        }
    }
    for (name, data) in files { try data.write(to: URL(fileURLWithPath: "\(directory)/\(name)")) }
}
