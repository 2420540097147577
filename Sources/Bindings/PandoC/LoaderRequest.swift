import Foundation
import Loader
import Shards
import Support

/// What `pando_loader_open` is asked for, as JSON with the names of `LoaderContents` and `LoaderOptions`.
struct LoaderRequest {
    var sources: [LoaderSource]
    var contents: LoaderContents
    var options: LoaderOptions

    /// Reads a request.
    /// - Throws: `LoaderError` with code `options` for names that are not known and values of another kind, `feature` for
    ///   features and tokens that make no sense.
    init(json: String) throws {
        let parsed = try Self.decode(Parsed.self, json, code: .options)
        sources = parsed.sources.map { LoaderSource($0.dataset, weight: $0.weight ?? 1, split: $0.split) }
        contents = LoaderContents(columns: parsed.columns)
        if let features = parsed.features {
            contents.features = try parsed.change(
                features == "released" ? .released : try FeatureConfiguration(json: features))
        } else if parsed.jetFeatures != nil || parsed.padLength != nil || parsed.axis != nil {
            let place = parsed.jetFeatures != nil ? "jet_features" : parsed.padLength != nil ? "pad_length" : "axis"
            throw LoaderError(.feature, place: place, message: "needs features of constituents beside it")
        }
        contents.isJagged = parsed.isJagged ?? false
        contents.labels = parsed.labels ?? []
        contents.labelColumn = parsed.labelColumn
        contents.tokens = try parsed.tokens.map {
            try TokenPairs(codebookSize: $0.codebookSize, length: $0.length ?? 128)
        }
        contents.tokenColumn = parsed.tokenColumn
        contents.angles = parsed.angles ?? .stored
        options = LoaderOptions()
        parsed.options?.apply(to: &options)
        try checkSizes()
    }

    /// Refuses numbers that arithmetic, or memory, would give in to before the loader's own checks say what they cannot be.
    private func checkSizes() throws(LoaderError) {
        let most = [
            ("batchSize", options.batchSize, 1 << 24), ("exactLimit", options.exactLimit, 1 << 60),
            ("window", options.window ?? 1, 1 << 24), ("streams", options.streams ?? 1, 1 << 20),
            ("limit", options.limit ?? 1, 1 << 48), ("rank", options.rank, 1 << 32),
            ("worldSize", options.worldSize, 1 << 32), ("threads", options.threads, 1024),
            ("prefetch", options.prefetch, 1 << 16),
        ]
        for (name, value, most) in most where value.magnitude > most {
            throw LoaderError(.options, place: name, message: "is \(value), expected at most \(most)")
        }
    }

    /// What JSON says; a fault of it is told as an error of the loader that names its place.
    static func decode<Value: Decodable>(_ type: Value.Type, _ json: String, code: LoaderFailure) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(json.utf8))
        } catch let error as DecodingError {
            throw fault(error, code)
        }
    }

    private static func fault(_ error: DecodingError, _ code: LoaderFailure) -> LoaderError {
        let (context, name): (DecodingError.Context, String?) =
            switch error {
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
                (context, nil)
            case .keyNotFound(let key, let context): (context, key.stringValue)
            @unknown default: (.init(codingPath: [], debugDescription: "\(error)"), nil)
            }
        let path = (context.codingPath.map(\.stringValue) + [name].compactMap { $0 }).joined(separator: ".")
        return LoaderError(code, place: path, message: context.debugDescription)
    }

    private struct Parsed: Decodable {
        var sources: [Source]
        var columns: [String]?
        var features: String?
        var padLength: Int?
        var axis: String?
        var jetFeatures: [Feature]?
        var isJagged: Bool?
        var labels: [String]?
        var labelColumn: String?
        var tokens: Tokens?
        var tokenColumn: String?
        var angles: LoaderContents.AngleSource?
        var options: Options?

        struct Source: Decodable {
            var dataset: String
            var weight: Double?
            var split: String?

            enum CodingKeys: String, CodingKey, CaseIterable { case dataset, weight, split }

            init(from decoder: any Decoder) throws {
                try AnyKey.check(decoder, CodingKeys.self)
                let values = try decoder.container(keyedBy: CodingKeys.self)
                dataset = try values.decode(String.self, forKey: .dataset)
                weight = try values.decodeIfPresent(Double.self, forKey: .weight)
                split = try values.decodeIfPresent(String.self, forKey: .split)
            }
        }

        struct Tokens: Decodable {
            var codebookSize: Int
            var length: Int?
        }

        enum CodingKeys: String, CodingKey, CaseIterable {
            case sources, columns, features, padLength, axis, jetFeatures, isJagged, labels, labelColumn, tokens,
                tokenColumn, angles, options
        }

        init(from decoder: any Decoder) throws {
            try AnyKey.check(decoder, CodingKeys.self)
            let values = try decoder.container(keyedBy: CodingKeys.self)
            sources = try values.decode([Source].self, forKey: .sources)
            columns = try values.decodeIfPresent([String].self, forKey: .columns)
            features = try values.decodeIfPresent(String.self, forKey: .features)
            padLength = try values.decodeIfPresent(Int.self, forKey: .padLength)
            axis = try values.decodeIfPresent(String.self, forKey: .axis)
            jetFeatures = try values.decodeIfPresent([Feature].self, forKey: .jetFeatures)
            isJagged = try values.decodeIfPresent(Bool.self, forKey: .isJagged)
            labels = try values.decodeIfPresent([String].self, forKey: .labels)
            labelColumn = try values.decodeIfPresent(String.self, forKey: .labelColumn)
            tokens = try values.decodeIfPresent(Tokens.self, forKey: .tokens)
            tokenColumn = try values.decodeIfPresent(String.self, forKey: .tokenColumn)
            angles = try values.decodeIfPresent(LoaderContents.AngleSource.self, forKey: .angles)
            options = try values.decodeIfPresent(Options.self, forKey: .options)
        }

        /// A configuration with what stands beside it in place of its own.
        func change(_ features: FeatureConfiguration) throws -> FeatureConfiguration {
            guard padLength != nil || axis != nil || jetFeatures != nil else { return features }
            return try FeatureConfiguration(
                features.features, padLength: padLength ?? features.padLength,
                axis: try axis.map { try JetAxisDefinition(named: $0) } ?? features.axis,
                jetFeatures: jetFeatures ?? features.jetFeatures)
        }
    }

    /// The options that are named; the others are the defaults.
    private struct Options: Decodable {
        enum CodingKeys: String, CodingKey, CaseIterable {
            case batchSize, shuffle, exact, exactLimit, mixtureLength, seed, window, streams, dropLast, split, limit
            case limitSeed, rank, worldSize, threads, prefetch, releasesPages, checksDigests
        }

        private var changes: [@Sendable (inout LoaderOptions) -> Void] = []

        init(from decoder: any Decoder) throws {
            try AnyKey.check(decoder, CodingKeys.self)
            let values = try decoder.container(keyedBy: CodingKeys.self)
            var changes: [@Sendable (inout LoaderOptions) -> Void] = []
            func value<Value: Decodable>(_ key: CodingKeys) throws -> Value? {
                do {
                    return try values.decodeIfPresent(Value.self, forKey: key)
                } catch {
                    // Foundation says of -1 for an unsigned number that the whole JSON is none.
                    let kind = Value.self == UInt64.self ? "a whole number from 0 to 2^64 - 1" : "\(Value.self)"
                    throw LoaderError(.options, place: "options.\(key.stringValue)", message: "is not \(kind)")
                }
            }
            func take<Value: Decodable & Sendable>(
                _ key: CodingKeys, _ path: WritableKeyPath<LoaderOptions, Value> & Sendable
            ) throws {
                guard let value: Value = try value(key) else { return }
                changes.append { $0[keyPath: path] = value }
            }
            func takeOptional<Value: Decodable & Sendable>(
                _ key: CodingKeys, _ path: WritableKeyPath<LoaderOptions, Value?> & Sendable
            ) throws {
                guard let value: Value = try value(key) else { return }
                changes.append { $0[keyPath: path] = value }
            }
            try take(.batchSize, \.batchSize)
            try take(.shuffle, \.shuffle)
            try take(.exact, \.exact)
            try take(.exactLimit, \.exactLimit)
            try take(.mixtureLength, \.mixtureLength)
            try take(.seed, \.seed)
            try takeOptional(.window, \.window)
            try takeOptional(.streams, \.streams)
            try take(.dropLast, \.dropLast)
            try takeOptional(.split, \.split)
            try takeOptional(.limit, \.limit)
            try take(.limitSeed, \.limitSeed)
            try take(.rank, \.rank)
            try take(.worldSize, \.worldSize)
            try take(.threads, \.threads)
            try take(.prefetch, \.prefetch)
            try takeOptional(.releasesPages, \.releasesPages)
            try take(.checksDigests, \.checksDigests)
            self.changes = changes
        }

        func apply(to options: inout LoaderOptions) {
            for change in changes { change(&options) }
        }
    }
}

/// Any name of a JSON object, so that unknown ones are seen.
private struct AnyKey: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }

    /// Refuses names that are not among those of `Keys`.
    static func check<Keys: CodingKey & CaseIterable>(_ decoder: any Decoder, _ keys: Keys.Type) throws {
        let known = keys.allCases.map(\.stringValue)
        for key in try decoder.container(keyedBy: AnyKey.self).allKeys where !known.contains(key.stringValue) {
            throw LoaderError(
                .options, place: key.stringValue, message: "is no option",
                advice: "there are \(known.joined(separator: ", "))")
        }
    }
}
